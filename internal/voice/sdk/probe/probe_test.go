package probe_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/sdk/probe"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/check"
	"dialtone/internal/voice/token/wrong"
)

type nowhere struct{}

func (nowhere) Offer(call.Offer, switchboard.Leg) (switchboard.Reporter, error) {
	return func(call.Report) {}, nil
}

// outcomes counts what the server says of devices.
type outcomes struct {
	mu   sync.Mutex
	seen map[event.RegistrationOutcome]int
}

func (o *outcomes) Publish(e event.Event) {
	if r, ok := e.(event.Registration); ok {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.seen[r.Outcome]++
	}
}

// provider serves devices over TLS with a verifier.
func provider(t *testing.T, v sdk.Verifier) (*httptest.Server, *outcomes) {
	t.Helper()
	seen := &outcomes{seen: map[event.RegistrationOutcome]int{}}
	s, err := sdk.New(sdk.Options{
		Verifier: v, Exchange: nowhere{}, Events: seen,
		NewPeer: func(func(rtc.State)) (sdk.Peer, error) { return nil, context.Canceled },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	web := httptest.NewTLSServer(s.Signal())
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return web, seen
}

func probing(t *testing.T, web *httptest.Server, each time.Duration) *probe.Probe {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	p, err := probe.New(probe.Options{URL: "wss" + strings.TrimPrefix(web.URL, "https"), Roots: roots, Each: each})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// own is check's own keys, without those that are slow to sign with.
func own(t *testing.T) (check.Source, *token.Verifier) {
	t.Helper()
	s, err := check.OwnAt(4, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = slices.DeleteFunc(s.Keys, func(k check.Key) bool { return k.Algorithm == token.RS256 || k.Algorithm == token.PS256 })
	return s, s.Verifier.(*token.Verifier)
}

// TestACheckOfALiveProvider: a sample of every cohort gets from a server over
// TLS what it should, and nothing is registered there.
func TestACheckOfALiveProvider(t *testing.T) {
	source, verifier := own(t)
	web, seen := provider(t, verifier)
	source.Verifier, source.IdentityOnly = probing(t, web, 0), true
	r, err := check.Run(t.Context(), check.Options{Sources: []check.Source{source}, Tokens: 10_000, Sample: 400, Rate: 1000, GiveUp: 5, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Tokens != 400 || r.Valid.Tokens < 200 || r.Wrong.Tokens < 50 {
		t.Errorf("%d tokens, %+v valid, %+v wrong, %d unjudged: %+v", r.Tokens, r.Valid, r.Wrong, r.Unjudged, r.Findings)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.seen[event.Registered] > 0 || seen.seen[event.Connected] < 200 || seen.seen[event.Refused] < 50 {
		t.Errorf("the server saw %v", seen.seen)
	}
}

// TestACheckOfABrokenProvider: the outage's own fault is named from outside.
func TestACheckOfABrokenProvider(t *testing.T) {
	source, verifier := own(t)
	doubles := wrong.Doubles()
	forgotten := doubles[slices.IndexFunc(doubles, func(d wrong.Double) bool { return d.Name == "'_' forgotten" })]
	web, _ := provider(t, forgotten.Wrap(verifier))
	source.Verifier, source.IdentityOnly = probing(t, web, 0), true
	r, err := check.Run(t.Context(), check.Options{Sources: []check.Source{source}, Tokens: 10_000, Sample: 600, Rate: 1000, GiveUp: 5, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Sentence, "tokens of which some part holds '_' are refused (31204)") {
		t.Errorf("%+v", r.Findings)
	}
}

// TestAProviderThatDoesNotAnswer is an error soon, not a long wait.
func TestAProviderThatDoesNotAnswer(t *testing.T) {
	ended := make(chan struct{})
	silent := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		<-ended
		_ = c.CloseNow()
	}))
	defer silent.Close()
	defer close(ended)
	source, _ := own(t)
	source.Verifier, source.IdentityOnly = probing(t, silent, 50*time.Millisecond), true
	_, err := check.Run(t.Context(), check.Options{Sources: []check.Source{source}, Tokens: 2000, Sample: 300, Rate: 1000, GiveUp: 5})
	if err == nil || !strings.Contains(err.Error(), "5 tokens in a row could not be judged: no verdict within 50ms") {
		t.Errorf("%v", err)
	}
}

// TestWhatIsNoVerdict: a provider that fails has judged nothing.
func TestWhatIsNoVerdict(t *testing.T) {
	for answer, want := range map[string]string{
		`{"type":"error","payload":{"error":{"code":31204}}}`:                 "the provider refused the token with 31204",
		`{"type":"error","payload":{"error":{"code":31005}}}`:                 "the provider answered with 31005, which is no verdict",
		`{"type":"connected","payload":{"token":{"identity":"a?","ttl":60}}}`: "",
		"\n":          "the connection was closed without a verdict (1000)",
		"not a frame": "the answer is no frame of the protocol",
	} {
		web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			_, hello, err := c.Read(r.Context())
			if err == nil && strings.Contains(string(hello), `"type":"listen"`) && strings.Contains(string(hello), `"token":"x"`) {
				_ = c.Write(r.Context(), websocket.MessageText, []byte(answer))
			}
			if answer == "\n" {
				if _, echo, err := c.Read(r.Context()); err != nil || string(echo) != "\n" {
					t.Errorf("heartbeat answered with %q %v", echo, err)
				}
			}
			_ = c.Close(websocket.StatusNormalClosure, "")
		}))
		claims, err := probing(t, web, 5*time.Second).Verify(t.Context(), "x")
		switch {
		case want == "" && (err != nil || claims.Identity != "a?" || time.Until(claims.Expires) <= 0):
			t.Errorf("%s: %+v %v", answer, claims, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
		web.Close()
	}
}

func TestAddressesOfProviders(t *testing.T) {
	for _, bad := range []string{"", "https://example.com/signal", "ws://example.com/signal", "wss:///signal", "wss://user@example.com", "%"} {
		if _, err := probe.New(probe.Options{URL: bad}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
