package httpapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/httpapi"
	"dialtone/internal/store/recordings"
	"dialtone/internal/store/secret"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
)

// seed makes the demo's people once for all tests: hashing passwords takes its
// time on purpose.
func seed(t *testing.T) (talk.Demo, string) {
	t.Helper()
	d, err := seedOnce()
	if err != nil {
		t.Fatal(err)
	}
	return d, seedDir
}

var (
	seedDir  string
	seedOnce = sync.OnceValues(func() (talk.Demo, error) {
		store, err := sqlite.Open(context.Background(), seedDir)
		if err != nil {
			return talk.Demo{}, err
		}
		d, err := talk.SeedDemo(context.Background(), store, talk.Demo{})
		return d, errors.Join(err, store.Close())
	})
)

func TestMain(m *testing.M) {
	var err error
	if seedDir, err = os.MkdirTemp("", "httpapi"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(seedDir) // only a temporary directory is left behind if it fails
	os.Exit(code)
}

// house is a front door over a real store and desk, without calls.
type house struct {
	t      *testing.T
	url    string
	demo   talk.Demo
	health *health.Board
	door   *httpapi.Server
	client *http.Client
	store  talk.Store

	ring    *fakeRing
	devices *fakeDevices
	audit   *fakeAudit
	ended   []string // identities whose devices were ended
}

// cheap is what new passwords cost in tests.
var cheap = people.Params{Memory: 64, Time: 1, Threads: 1}

type reach struct{}

func (reach) Reachable(string, string) bool { return false }

func newHouse(t *testing.T, demo httpapi.DemoCarrier, change ...func(*httpapi.Options)) *house {
	t.Helper()
	d, seeded := seed(t)
	place := t.TempDir()
	if err := errors.Join(os.CopyFS(place, os.DirFS(seeded)), os.Chmod(filepath.Join(place, secret.KeyFile), 0o600)); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	dir, err := recordings.Open(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	desk, err := talk.New(t.Context(), talk.Options{Store: store, Devices: reach{}, Recordings: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- desk.Run(ctx) }()
	h := &house{
		t: t, demo: d, health: health.NewBoard(), store: store,
		ring: newFakeRing(d.Account.ID), devices: &fakeDevices{}, audit: &fakeAudit{},
	}
	h.demo.APIKey = h.ring.named("demo").Bearer()
	page := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	staff := people.NewStaff(people.StaffOptions{
		Store: store, Audit: people.NewRecorder(store, h.health, nil), Hashing: cheap,
		RevokeIdentity: func(_ context.Context, _, identity, _, _ string) error {
			h.ended = append(h.ended, identity)
			return nil
		},
	})
	o := httpapi.Options{
		Door:  people.NewDoor(store, people.DoorOptions{Staff: staff, Account: d.Account.ID, Hashing: cheap}),
		Staff: staff, AuditLog: store, Desk: desk, Recordings: dir,
		Keys: h.ring, Ring: h.ring, Devices: h.devices, FellBack: h.devices, Audit: h.audit,
		OutgoingApp: func(account string) string { return "AP" + strings.TrimPrefix(account, "AC") },
		Accounts:    func(string) (talk.Account, bool) { return d.Account, true }, Demo: demo,
		Console: fstest.MapFS{
			"index.html": {Data: []byte("<p>the console")}, "assets/a.js": {Data: []byte("1")}, "sounds/incoming.wav": {Data: []byte("2")},
		},
		Signal: page("signalling"), EventGateway: page("events"), Health: h.health, Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.DiscardHandler), Version: "test", Pulse: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	h.door = httpapi.New(o)
	server := httptest.NewUnstartedServer(h.door)
	h.door.Limit(server.Config)
	server.StartTLS()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.url = server.URL
	h.client = &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(func() {
		h.door.Close()
		h.client.CloseIdleConnections()
		server.Close()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return h
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (h *house) ask(method, path, body string, header ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := h.client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (h *house) signIn(name string) (csrf string) {
	h.t.Helper()
	at := slices.IndexFunc(h.demo.Users, func(u talk.DemoUser) bool { return u.Name == name })
	body, _ := json.Marshal(map[string]string{"name": name, "password": h.demo.Users[at].Password})
	a := h.ask("POST", "/api/v1/session", string(body))
	var session httpapi.Session
	if err := json.Unmarshal([]byte(a.Body), &session); err != nil || a.Status != 200 {
		h.t.Fatalf("sign in: %d %s", a.Status, a.Body)
	}
	cookie := a.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			h.t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	return session.CSRF
}

func TestEverySideOfTheDoor(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		contains     string
	}{
		{"GET", "/", 200, "the console"},
		{"GET", "/history?kind=missed", 200, "the console"},
		{"GET", "/assets/a.js", 200, "1"},
		{"GET", "/assets/gone.js", 404, ""},
		{"GET", "/sounds/gone.wav", 404, ""},
		{"GET", "/gone.js", 404, ""},
		{"GET", "/metrics", 404, ""},
		{"GET", "/2010-04-01/Accounts", 404, ""},
		{"POST", "/", 405, "only be read"},
		{"GET", "/../../etc/passwd", 200, "the console"},
		{"GET", "/signal", 200, "signalling"},
		{"GET", "/tenant/a/signal", 200, "signalling"},
		{"POST", "/v4/EndpointEvents", 200, "events"},
		{"POST", "/.twilio.com/v4/EndpointMetrics", 200, "events"},
		{"GET", "/healthz", 200, "alive"},
		{"GET", "/readyz", 200, "ready"},
		{"GET", "/api/v1/nothing", 404, "no such operation"},
		{"GET", "/api/v1/openapi.json", 200, `"/api/v1/calls"`},
		{"GET", "/api/v1/calls", 401, "sign in"},
		{"GET", "/api/v1/events", 401, "sign in"},
		{"GET", "/api/v1/voicemails/RE1/audio", 401, "sign in"},
		{"DELETE", "/api/v1/session", 401, "sign in"},
		{"POST", "/api/v1/demo/call-me", 404, ""},
	} {
		a := h.ask(c.method, c.path, "")
		if a.Status != c.status || !strings.Contains(a.Body, c.contains) {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, a.Status, a.Body)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s lacks the headers of every answer", c.method, c.path)
		}
	}
}

func TestWhatAPersonMayNotDo(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("alice")
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		header                   []string
	}{
		{"without the CSRF value", "POST", "/api/v1/device-tokens", "{}", 403, nil},
		{"with it", "POST", "/api/v1/device-tokens", "{}", 201, []string{"X-Dialtone-CSRF", csrf}},
		{"a state there is not", "PUT", "/api/v1/me", `{"state":"asleep"}`, 422, []string{"X-Dialtone-CSRF", csrf}},
		{"no JSON", "PUT", "/api/v1/me", `{`, 400, []string{"X-Dialtone-CSRF", csrf}},
		{"too much", "PUT", "/api/v1/me", `{"state":"` + strings.Repeat("x", 2<<20) + `"}`, 413, []string{"X-Dialtone-CSRF", csrf}},
		{"hold no call", "POST", "/api/v1/calls/CA1/hold", `{"on":true}`, 404, []string{"X-Dialtone-CSRF", csrf}},
		{"a forged key", "GET", "/api/v1/calls", "", 401, []string{"Authorization", "Bearer " + h.ring.named("demo").ID + ".guess"}},
	} {
		if a := h.ask(c.method, c.path, c.body, c.header...); a.Status != c.status {
			t.Errorf("%s: %d %s", c.name, a.Status, a.Body)
		}
	}
	if a := h.ask("GET", "/api/v1/me", "", "Authorization", "Bearer "+h.demo.APIKey); a.Status != 403 {
		t.Errorf("a machine has a state: %d %s", a.Status, a.Body)
	}
	if a := h.ask("DELETE", "/api/v1/session", "", "X-Dialtone-CSRF", csrf); a.Status != 204 {
		t.Errorf("sign out: %d %s", a.Status, a.Body)
	}
	if a := h.ask("GET", "/api/v1/session", ""); a.Status != 401 {
		t.Errorf("after signing out: %d", a.Status)
	}
}

func TestInternalsStayInside(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("bob")
	a := h.ask("POST", "/api/v1/device-tokens", `{"kind":"ticket"}`, "X-Dialtone-CSRF", csrf)
	if a.Status != 500 || strings.Contains(a.Body, "vault") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	h := newHouse(t, nil)
	for range 20 {
		a := h.ask("POST", "/api/v1/session", `{"name":"alice","password":"guess"}`)
		if a.Status == 429 {
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %v", a.Header)
			}
			return
		}
		if a.Status != 401 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	t.Error("twenty guesses were taken")
}

func TestReadiness(t *testing.T) {
	h := newHouse(t, nil)
	h.health.Raise(health.Warning{Code: "trunk-unreachable", Subject: "one", Severity: health.Degraded})
	if a := h.ask("GET", "/readyz", ""); a.Status != 200 || !strings.Contains(a.Body, "trunk-unreachable\n") || strings.Contains(a.Body, "one") {
		t.Errorf("degraded: %d %s", a.Status, a.Body)
	}
	h.health.Raise(health.Warning{Code: "certificate-expiring", Severity: health.Critical})
	if a := h.ask("GET", "/readyz", ""); a.Status != 503 {
		t.Errorf("critical: %d %s", a.Status, a.Body)
	}
}

type brokenCarrier struct{}

func (brokenCarrier) CallMe(context.Context, string) error {
	return fault.New(fault.Unavailable, "The simulated carrier could not call the line.")
}

func TestDemoTellsWhatFailed(t *testing.T) {
	h := newHouse(t, brokenCarrier{})
	a := h.ask("POST", "/api/v1/demo/call-me", "", "Authorization", "Bearer "+h.demo.APIKey)
	if a.Status != 503 || !strings.Contains(a.Body, "could not call the line") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for _, from := range []string{`+1555\r\nX: y`, "alice", "+1"} {
		a := h.ask("POST", "/api/v1/demo/call-me", `{"from":"`+from+`"}`, "Authorization", "Bearer "+h.demo.APIKey)
		if a.Status != 422 {
			t.Errorf("from %s: %d %s", from, a.Status, a.Body)
		}
	}
}

func TestStreamEndsWithTheSession(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("alice")
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	h.ask("DELETE", "/api/v1/session", "", "X-Dialtone-CSRF", csrf)
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasPrefix(string(text), "id: 1\nevent: snapshot\n") || !strings.Contains(string(text), `event: bye
data: {"reason":"signed_out"}`) {
		t.Errorf("%v %.300s", err, text)
	}
}

// A person whose password was changed, or who was shut out, hears nothing more.
func TestStreamEndsWithoutTheSession(t *testing.T) {
	h := newHouse(t, nil)
	h.signIn("alice")
	user := h.demo.Users[slices.IndexFunc(h.demo.Users, func(u talk.DemoUser) bool { return u.Name == "alice" })]
	response := h.listen()
	defer response.Body.Close()
	found, err := h.store.UsersByLogin(t.Context(), user.Email)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := h.store.DeleteSessionsOf(t.Context(), found[0].ID); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(text), `{"reason":"signed_out"}`) {
		t.Errorf("%v %.300s", err, text)
	}
}

func TestOnePersonCannotTakeAllStreams(t *testing.T) {
	h := newHouse(t, nil)
	h.signIn("alice")
	for i := range 200 {
		response := h.listen()
		defer response.Body.Close()
		if response.StatusCode == 429 {
			if i < 20 {
				t.Errorf("only %d streams", i)
			}
			h.client.Jar, _ = cookiejar.New(nil)
			h.signIn("bob")
			response := h.listen()
			defer response.Body.Close()
			if response.StatusCode != 200 {
				t.Errorf("bob: %d", response.StatusCode)
			}
			return
		}
	}
	t.Error("200 streams of one person")
}

// listen opens an event stream.
func (h *house) listen() *http.Response {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", h.url+"/api/v1/events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := h.client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return response
}

// Who sends a body drop by drop, to an operation that does not even read it,
// must not hold a connection; a stream outlives those limits.
func TestSlowClients(t *testing.T) {
	h := newHouse(t, nil)
	var limits http.Server
	h.door.Limit(&limits)
	if limits.ReadHeaderTimeout == 0 || limits.ReadTimeout == 0 || limits.WriteTimeout == 0 || limits.IdleTimeout == 0 {
		t.Fatalf("a limit is missing: %+v", &limits)
	}
	quick := httptest.NewUnstartedServer(h.door)
	quick.Config.ReadTimeout, quick.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	quick.Start()
	defer quick.Close()
	for _, path := range []string{"/", "/signal", "/v4/EndpointEvents", "/api/v1/nothing"} {
		c, err := net.Dial("tcp", quick.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab")
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: still connected after 5 s", path)
		}
		c.Close()
	}

	r, err := http.NewRequestWithContext(t.Context(), "GET", quick.URL+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.demo.APIKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	began, lines := time.Now(), bufio.NewScanner(response.Body)
	for time.Since(began) < 600*time.Millisecond {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %v: %v", time.Since(began), lines.Err())
		}
	}
}

// A browser would take every other thing on the developer's own machine for
// HTTPS, for a year.
func TestOnlyPublicHostsInsistOnHTTPS(t *testing.T) {
	h := newHouse(t, nil)
	for host, want := range map[string]bool{"calls.example.com": true, "calls.example.com:8443": true, "localhost": false, "localhost:8443": false, "a.localhost": false} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.door.ServeHTTP(w, r)
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
