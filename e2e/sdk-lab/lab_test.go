package sdklab

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/binary"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/carrier/hear"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/token"
)

//go:embed pages
var pages embed.FS

const (
	account  = "AC00000000000000000000000000000001"
	apiKey   = "SK00000000000000000000000000000001"
	secret   = "the API key's secret"
	micTone  = 1000.0 // what the browser's fake microphone hears
	farTone  = 440.0  // what the far end sends
	waitLong = 30 * time.Second
)

// lab is a server of devices with the test behind it.
type lab struct {
	t      *testing.T
	server *sdk.Server
	host   string // localhost:port
	air    *air
	minter *token.Minter
	calls  chan *aCall
	http   *http.Server

	mu       sync.Mutex
	sockets  map[net.Conn]struct{} // carrying WebSockets
	events   []event.Event
	messages []sdk.Message
	peers    []*rtc.Peer
}

// air is the UDP of the browsers' audio, which a test can take away.
type air struct {
	net.PacketConn
	gone atomic.Bool
}

func (a *air) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := a.PacketConn.ReadFrom(b)
		if err != nil || !a.gone.Load() {
			return n, from, err
		}
	}
}

func (a *air) WriteTo(b []byte, to net.Addr) (int, error) {
	if a.gone.Load() {
		return len(b), nil
	}
	return a.PacketConn.WriteTo(b, to)
}

type keys struct{}

func (keys) APIKey(id string) (*token.Key, token.Reason) {
	k, err := token.NewSecretKey(id, account, token.HS256, []byte(secret))
	if err != nil || id != apiKey {
		return nil, token.ReasonUnknownKey
	}
	return k, ""
}

func (keys) AuthTokens(id string) ([]*token.Key, token.Reason) {
	k, err := token.NewSecretKey("AT1", account, token.HS256, []byte("the account's auth token"))
	if err != nil || id != account {
		return nil, token.ReasonUnknownAccount
	}
	return []*token.Key{k}, ""
}

func (keys) IssuerKey(string, string) (*token.Key, string, token.Reason) {
	return nil, "", token.ReasonUnknownIssuer
}
func (keys) Closed(string, token.Kind, time.Time) bool { return false }
func (keys) Revoked(*token.Claims) bool                { return false }

// chromium is one for all tests: to start one takes longer than most of them.
var chromium *browser.Browser

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sdk-lab")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	microphone := filepath.Join(dir, "microphone.wav")
	if err := os.WriteFile(microphone, wav(micTone, 10*time.Second), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	chromium, err = browser.Launch(browser.Options{Flags: []string{"--use-file-for-fake-audio-capture=" + microphone}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer chromium.Quit()
	return m.Run()
}

// open opens a page of the lab in a session of its own.
func (l *lab) open(page string) *browser.Page {
	l.t.Helper()
	p := chromium.For(l.t).Open("https://" + l.host + "/" + page)
	l.t.Cleanup(p.Leave)
	return p
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, air: &air{PacketConn: udp}, calls: make(chan *aCall, 16), sockets: map[net.Conn]struct{}{}}
	engine, err := rtc.New(rtc.Options{Conn: l.air, Announce: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.host = "localhost:" + listener.Addr().String()[strings.LastIndex(listener.Addr().String(), ":")+1:]
	l.minter = token.NewMinter(token.Signer{Account: account, KeyID: apiKey, Secret: []byte(secret), AuthToken: []byte("the account's auth token")})
	l.server, err = sdk.New(sdk.Options{
		Verifier: token.NewVerifier(keys{}, nil, time.Now), Exchange: l, NewPeer: l.noted(sdk.RTC(engine)), Log: log,
		Region: "EU_IRELAND", Edge: "lab", Gateway: "lab-node", EventHost: l.host,
		Events:    event.SinkFunc(l.publish),
		OnMessage: l.message,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- l.server.Run(ctx) }()
	l.http = &http.Server{Handler: l.routes(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), ConnState: l.follow}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = l.http.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"http/1.1"}}))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if open := l.server.Open(); open != (sdk.Counts{}) {
			t.Errorf("left behind: %+v", open)
		}
		_ = l.http.Close()
		<-served
		_ = engine.Close()
	})
	return l
}

// noted remembers the browsers' ends that are made.
func (l *lab) noted(make sdk.PeerMaker) sdk.PeerMaker {
	return func(onState func(rtc.State)) (sdk.Peer, error) {
		p, err := make(onState)
		if r, ok := p.(*rtc.Peer); ok {
			l.mu.Lock()
			l.peers = append(l.peers, r)
			l.mu.Unlock()
		}
		return p, err
	}
}

type testLog struct{ t *testing.T }

func (w testLog) Write(b []byte) (int, error) {
	if testing.Verbose() {
		_, _ = os.Stderr.Write(b)
	}
	return len(b), nil
}

func (l *lab) routes() http.Handler {
	mux := http.NewServeMux()
	sub, err := fs.Sub(pages, "pages")
	if err != nil {
		l.t.Fatal(err)
	}
	mux.Handle("/", http.FileServerFS(sub))
	mux.HandleFunc("/sdk/v2.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, browser.Module(l.t, "@twilio/voice-sdk/dist/twilio.min.js"))
	})
	mux.HandleFunc("/sdk/v1.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, browser.Module(l.t, "twilio-client/dist/twilio.min.js"))
	})
	silence := wav(0, 100*time.Millisecond)
	mux.HandleFunc("/sounds/silence.wav", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "silence.wav", time.Time{}, bytes.NewReader(silence))
	})
	mux.Handle("/signal", l.server.Signal())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/v4/") {
			l.server.EventGateway().ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// follow remembers the connections that became WebSockets.
func (l *lab) follow(c net.Conn, state http.ConnState) {
	if state == http.StateHijacked {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sockets[c] = struct{}{}
	}
}

// cut drops all signalling, as a network does.
func (l *lab) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.sockets {
		_ = c.(*tls.Conn).NetConn().Close()
		delete(l.sockets, c)
	}
}

func (l *lab) publish(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *lab) message(m sdk.Message) {
	m.Content = bytes.Clone(m.Content)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m)
}

// until waits until what was published or said satisfies f.
func (l *lab) until(what string, f func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(waitLong)
	for {
		l.mu.Lock()
		ok := f()
		l.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *lab) token(identity string, ttl time.Duration) string {
	l.t.Helper()
	text, err := l.minter.MintAccess(token.AccessGrant{
		Identity: identity, TTL: ttl, Incoming: true, OutgoingApp: "AP00000000000000000000000000000001",
	}, time.Now())
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// aCall is a call of a device, or one that the test made to it.
type aCall struct {
	t       *testing.T
	offer   call.Offer
	leg     switchboard.Leg
	id      call.LegID
	reports chan call.Report
	ear     *ear
}

// Offer implements sdk.Exchange.
func (l *lab) Offer(o call.Offer, leg switchboard.Leg) (switchboard.Reporter, error) {
	c := &aCall{t: l.t, offer: o, leg: leg, id: o.Leg, reports: make(chan call.Report, 256), ear: &ear{}}
	l.calls <- c
	return c.report, nil
}

func (c *aCall) report(r call.Report) { c.reports <- r }

// offered returns the next call a device makes.
func (l *lab) offered() *aCall {
	l.t.Helper()
	select {
	case c := <-l.calls:
		return c
	case <-time.After(waitLong):
		l.t.Fatal("no call was offered")
		return nil
	}
}

func (l *lab) dial(identity string, codecs ...call.Codec) *aCall {
	l.t.Helper()
	c := &aCall{t: l.t, id: call.NewLegID(), reports: make(chan call.Report, 256), ear: &ear{}}
	leg, err := l.server.Dial("CA1", call.Dial{
		Leg: c.id, To: call.Client(identity), From: call.Phone("+15550123"), Account: account, Codecs: codecs,
		Params: url.Values{"line": {"support & sales"}}, Timeout: waitLong,
	}, c.report)
	if err != nil {
		l.t.Fatal(err)
	}
	c.leg = leg
	return c
}

// want returns the next report of the type, skipping those of other types.
func want[R call.Report](c *aCall) R {
	c.t.Helper()
	timeout := time.After(waitLong)
	for {
		select {
		case r := <-c.reports:
			if found, ok := r.(R); ok {
				return found
			}
			if down, over := r.(call.Down); over {
				c.t.Fatalf("the leg ended: %+v", down)
			}
		case <-timeout:
			var r R
			c.t.Fatalf("no %T was reported", r)
		}
	}
}

// talk plays the far end's tone and listens.
func (c *aCall) talk() {
	c.leg.Endpoint().Play(media.Tone(farTone, time.Second), true, nil)
	c.leg.Endpoint().Record(c.ear)
}

// ear keeps the last second of what a device says.
type ear struct {
	mu      sync.Mutex
	samples []int16
	total   int
}

// WriteSamples implements media.Recorder.
func (e *ear) WriteSamples(s []int16) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total += len(s)
	e.samples = append(e.samples, s...)
	if over := len(e.samples) - 8000; over > 0 {
		e.samples = append([]int16(nil), e.samples[over:]...)
	}
	return nil
}

func (e *ear) heard() (hz, level float64, total int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.samples) < 4000 {
		return 0, 0, e.total
	}
	return hear.Frequency(e.samples, 8000), hear.Level(e.samples), e.total
}

// hears fails the test unless page and far end hear each other's tones.
func (c *aCall) hears(p *browser.Page) {
	c.t.Helper()
	var at struct{ Hz, Level float64 }
	deadline := time.Now().Add(waitLong)
	for {
		p.Eval("lab.hear()", &at)
		hz, level, _ := c.ear.heard()
		if math.Abs(at.Hz-farTone) < farTone/100 && at.Level > 0.01 && math.Abs(hz-micTone) < micTone/100 {
			c.t.Logf("the page hears %.1f Hz at %.3f, the far end %.1f Hz at %.1f", at.Hz, at.Level, hz, level)
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the page hears %.1f Hz at %.3f, the far end %.1f Hz at %.1f", at.Hz, at.Level, hz, level)
		}
	}
}

// wav returns a WAV file of a tone, 16 bits, mono, 48 kHz.
func wav(hz float64, d time.Duration) []byte {
	const rate = 48000
	n := int(d.Seconds() * rate)
	var b bytes.Buffer
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, uint32(36+2*n))
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, []uint16{16, 0, 1, 1})
	_ = binary.Write(&b, binary.LittleEndian, []uint32{rate, rate * 2})
	_ = binary.Write(&b, binary.LittleEndian, []uint16{2, 16})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, uint32(2*n))
	samples := make([]int16, n)
	for i := range samples {
		samples[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/rate))
	}
	_ = binary.Write(&b, binary.LittleEndian, samples)
	return b.Bytes()
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost", "*.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
