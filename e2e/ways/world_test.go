package ways

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/app"
	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/httpapi"
	"dialtone/internal/voice/carrier/wav"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/token"
)

//go:embed pages
var pages embed.FS

const patient = 15 * time.Second

// world is a node, one browser and a site with apps on it.
type world struct {
	t       *testing.T
	node    *node.Node
	browser *browser.Browser
	site    string // where the apps' pages are: not the node
	wire    *wire  // between pages and the node
	breaker *breaker
	issuer  *issuer
	log     *logged
	account string
	signer  token.Signer // of an app: a key of its own, and the account's auth token

	mu     sync.Mutex
	events []event.Event
	shown  []string // every token of this world
	fixed  map[token.Kind]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, breaker: &breaker{}, issuer: newIssuer(t), log: &logged{}, fixed: map[token.Kind]string{}}
	w.browser = browser.Start(t, browser.Options{Wait: patient})
	w.node = node.Start(t, node.Options{Log: w.log, App: func(o *app.Options) {
		o.WrapVerifier, o.IssuerClient = w.breaker.wrap, w.issuer.client
	}})
	t.Cleanup(func() {
		if t.Failed() {
			text := w.log.String()
			t.Logf("the end of the node's log:\n%s", text[max(0, len(text)-8000):])
		}
	})
	w.listen()
	w.wire = newWire(t, w.node.Addr().HTTPS)
	site := httptest.NewServer(w.routes())
	t.Cleanup(site.Close)
	w.site = site.URL

	var session struct{ Account struct{ ID string } }
	w.node.SignIn(t, "admin").Ask(t, "GET", "/api/v1/session", nil, &session)
	w.account = session.Account.ID
	key := w.key("an app's")
	var auth struct{ Secret string }
	w.ask("POST", "/auth-tokens/rotate", map[string]any{"overlap": 3600}, 201, &auth)
	w.signer = token.Signer{Account: w.account, KeyID: key.Key.ID, Secret: []byte(key.Secret), AuthToken: []byte(auth.Secret)}
	return w
}

// begin is the world as one subtest sees it.
func (w *world) begin(t *testing.T) func() {
	before, b := w.t, w.browser
	w.t, w.browser = t, w.browser.For(t)
	return func() {
		w.breaker.mend()
		w.t, w.browser = before, b
	}
}

// ask uses the API as the demo's key.
func (w *world) ask(method, path string, in any, want int, out any) {
	w.t.Helper()
	if got := w.node.Ask(w.t, method, "/api/v1"+path, in, out); got != want {
		w.t.Fatalf("%s %s: %d", method, path, got)
	}
}

func (w *world) key(name string) (k httpapi.NewKey) {
	w.t.Helper()
	w.ask("POST", "/keys", map[string]any{"name": name}, 201, &k)
	return k
}

// make makes a token of the kind as an app's server does: tickets by the API,
// the others with secrets of its own.
func (w *world) make(kind token.Kind, name string, signer token.Signer, ttl time.Duration) (text string, err error) {
	outgoing := "AP" + strings.TrimPrefix(w.account, "AC")
	switch kind {
	case token.Ticket:
		text, err = w.ticket(name)
	case token.Access:
		text, err = token.NewMinter(signer).MintAccess(token.AccessGrant{Identity: name, TTL: ttl, Incoming: true, OutgoingApp: outgoing}, time.Now())
	case token.Capability:
		text, err = token.NewMinter(signer).MintCapability(token.CapabilityGrant{ClientName: name, TTL: ttl, Incoming: true, OutgoingApp: outgoing}, time.Now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = append(w.shown, text)
	return text, err
}

func (w *world) ticket(name string) (string, error) {
	body, err := json.Marshal(map[string]string{"kind": "ticket", "identity": name})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequest("POST", w.node.URL("/api/v1/device-tokens"), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+w.node.Demo.APIKey)
	r.Header.Set("Content-Type", "application/json")
	answer, err := w.node.HTTP.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var t httpapi.DeviceToken
	if err := json.NewDecoder(answer.Body).Decode(&t); err != nil || answer.StatusCode != 201 {
		return "", fmt.Errorf("a ticket: %s, %w", answer.Status, err)
	}
	return t.Token, nil
}

func (w *world) token(kind token.Kind, name string) string {
	w.t.Helper()
	text, err := w.make(kind, name, w.signer, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// fix makes the site give that token for the kind, refuse ("none") or hang
// ("never"); "" takes it back.
func (w *world) fix(kind token.Kind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fixed[kind] = text
}

func (w *world) routes() http.Handler {
	sub, err := fs.Sub(pages, "pages")
	if err != nil {
		w.t.Fatal(err)
	}
	var silence bytes.Buffer
	if err := wav.Encode(&silence, wav.Sound{Rate: 8000, Samples: make([]int16, 800)}); err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(sub))
	file := func(path, name string) {
		mux.HandleFunc(path, func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, name) })
	}
	file("/sdk/v2.js", browser.Module(w.t, "@twilio/voice-sdk/dist/twilio.min.js"))
	file("/sdk/v1.js", browser.Module(w.t, "twilio-client/dist/twilio.min.js"))
	file("/keep-registered.js", filepath.Join(browser.Root(), "../docs/examples/keep-registered.js"))
	mux.HandleFunc("/silence.wav", func(rw http.ResponseWriter, r *http.Request) {
		http.ServeContent(rw, r, "silence.wav", time.Time{}, bytes.NewReader(silence.Bytes()))
	})
	mux.HandleFunc("/token", func(rw http.ResponseWriter, r *http.Request) {
		kind := token.Kind(r.FormValue("kind"))
		w.mu.Lock()
		text := w.fixed[kind]
		w.mu.Unlock()
		var err error
		if text == "" {
			text, err = w.make(kind, r.FormValue("name"), w.signer, time.Hour)
		}
		if text == "never" { // hangs, as an overloaded server does
			<-r.Context().Done()
			return
		}
		if err != nil || text == "none" {
			http.Error(rw, "no token", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(rw, text)
	})
	return mux
}

// open opens one of the site's pages.
func (w *world) open(page string) *browser.Page {
	w.t.Helper()
	p := w.browser.Open(w.site + "/" + page + "?node=" + url.QueryEscape("localhost:"+w.wire.port))
	p.Until("window.app && app.loaded")
	return p
}

// caller is a device that calls others, without a browser.
func (w *world) caller() *device.Device {
	w.t.Helper()
	d, err := device.Open(w.t.Context(), device.Options{URL: "wss://" + w.node.Addr().HTTPS + "/signal", Token: w.token(token.Access, "caller")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(d.Close)
	return d
}

// calls shows that the page's device rings when its name is called.
func (w *world) calls(from *device.Device, page *browser.Page, name string) {
	w.t.Helper()
	c, err := from.Call(url.Values{"To": {"client:" + name}})
	if err != nil {
		w.t.Fatal(err)
	}
	page.Until("app.saw('incoming')")
	if err := c.HangUp(); err != nil {
		w.t.Fatal(err)
	}
	page.Until("app.saw('cancel')")
	ctx, cancel := context.WithTimeout(w.t.Context(), patient)
	defer cancel()
	if err := c.AwaitEnd(ctx); err != nil {
		w.t.Logf("the call ended: %v", err)
	}
}

// listen collects what happens at the node.
func (w *world) listen() {
	all := w.node.Events(1 << 14)
	done, gone := make(chan struct{}), make(chan struct{})
	w.t.Cleanup(func() { close(done); <-gone; all.Cancel() })
	go func() {
		defer close(gone)
		for {
			select {
			case e := <-all.Events():
				w.mu.Lock()
				w.events = append(w.events, e)
				w.mu.Unlock()
			case <-done:
				return
			}
		}
	}()
}

// mark is a moment in what happens.
func (w *world) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// await waits for an event since the mark.
func await[E event.Event](w *world, since int, what string, ok func(E) bool) (found E) {
	w.t.Helper()
	node.Until(w.t, patient, what, func() bool {
		for _, e := range happened[E](w, since) {
			if ok(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func happened[E event.Event](w *world, since int) (all []E) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[since:] {
		if e, is := e.(E); is {
			all = append(all, e)
		}
	}
	return all
}

// counted returns the value of a metric with its labels, as it is shown.
func (w *world) counted(series string) (value float64) {
	w.t.Helper()
	answer, err := http.Get("http://" + w.node.Addr().Metrics + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return value
}

// breaker is a verifier that can be broken while the node runs.
type breaker struct {
	real   sdk.Verifier
	broken atomic.Pointer[sdk.Verifier]
}

func (b *breaker) wrap(v sdk.Verifier) sdk.Verifier {
	b.real = v
	b.broken.Store(&b.real)
	return b
}

func (b *breaker) use(v sdk.Verifier) { b.broken.Store(&v) }
func (b *breaker) mend()              { b.broken.Store(&b.real) }

func (b *breaker) Verify(ctx context.Context, text string) (token.Claims, error) {
	return (*b.broken.Load()).Verify(ctx, text)
}

func (b *breaker) Examine(ctx context.Context, text string) (token.Claims, error) {
	return (*b.broken.Load()).Examine(ctx, text)
}
func (b *breaker) Revoked(c token.Claims) bool { return (*b.broken.Load()).Revoked(c) }

// storeless is a verifier whose store of tickets is away: it cannot judge them.
type storeless struct{ sdk.Verifier }

func (s storeless) Verify(ctx context.Context, text string) (token.Claims, error) {
	if !strings.Contains(text, ".") {
		return token.Claims{}, fault.New(fault.Unavailable, "the database is away")
	}
	return s.Verifier.Verify(ctx, text)
}

// wire passes connections on to the node and can cut them, as a bad line does.
type wire struct {
	port string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newWire(t *testing.T, to string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{conns: map[net.Conn]struct{}{}}
	_, w.port, _ = net.SplitHostPort(l.Addr().String())
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); w.cut(); all.Wait() })
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns[near], w.conns[far] = struct{}{}, struct{}{}
			w.mu.Unlock()
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.Close()
				_ = from.Close()
				w.mu.Lock()
				delete(w.conns, from)
				w.mu.Unlock()
			}
			all.Go(func() { pass(far, near) })
			all.Go(func() { pass(near, far) })
		}
	})
	return w
}

// cut ends every connection that there is.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
