package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/pion/rtp"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/token"
)

const account = "AC00000000000000000000000000000001"

// rig is a server with fakes around it: tokens are words, browsers' audio is a
// fakePeer, calls go to a fake exchange. It belongs to one synctest bubble.
type rig struct {
	t      *testing.T
	s      *Server
	words  words
	began  time.Time
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	trace  []string
	names  map[string]string
	events []event.Event
	peers  []*fakePeer
	offers []*fakeCall
	refuse error // what the exchange says to offers
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, began: time.Now(), names: map[string]string{}, ended: make(chan error, 1)}
	r.words = words{&book{used: map[string]bool{}, revoked: map[string]bool{}}}
	o := Options{
		Verifier: r.words, Exchange: r, NewPeer: r.newPeer, Region: "EU_IRELAND", Edge: "test", Gateway: "node1",
		Events: event.SinkFunc(func(e event.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		}),
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(t.Context())
	go func() { r.ended <- s.Run(ctx) }()
	return r
}

// stop ends the server and fails the test if anything is left.
func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	if open := r.s.Open(); open != (Counts{}) {
		r.t.Errorf("left behind: %+v", open)
	}
	for _, p := range r.peers {
		if !p.isClosed() {
			r.t.Error("a browser leg was not closed")
		}
	}
}

// words is a Verifier whose tokens are words: "alice" is good for an hour,
// "alice/60s" for so long, "alice/out" may only call, "alice/in" only be called,
// "alice@AC2" is of another account; expired, malformed, unauthorized are refused.
// "ticket1:alice" is a ticket and used up by Verify, "capability:alice" a
// capability token, and "KIND:alice/bad" one that is refused.
type words struct{ book *book }

// book knows which tickets were used and what was revoked.
type book struct {
	mu      sync.Mutex
	used    map[string]bool
	revoked map[string]bool // token ids and identities
}

func (w words) Verify(_ context.Context, text string) (token.Claims, error) {
	c, err := w.judge(text)
	if err == nil && c.Kind == token.Ticket {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		if w.book.used[text] {
			return token.Claims{}, &token.Refusal{Reason: token.ReasonTicketUsed, Features: c.Features}
		}
		w.book.used[text] = true
	}
	return c, err
}

func (w words) Examine(_ context.Context, text string) (token.Claims, error) { return w.judge(text) }

func (w words) Revoked(c token.Claims) bool {
	if w.book == nil {
		return false
	}
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	return w.book.revoked[c.ID] || w.book.revoked[c.Identity]
}

func (w words) revoke(what string) {
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	w.book.revoked[what] = true
}

func (words) judge(text string) (token.Claims, error) {
	features := event.TokenFeatures{Kind: "access", Size: len(text)}
	id, rest, prefixed := strings.Cut(text, ":")
	if prefixed {
		features.Kind = strings.TrimRight(id, "0123456789")
		text = rest
	}
	refused := func(r token.Reason) (token.Claims, error) {
		return token.Claims{}, &token.Refusal{Reason: r, Features: features, Account: account, Identity: "alice"}
	}
	switch text {
	case "expired":
		return refused(token.ReasonExpired)
	case "malformed":
		return refused(token.ReasonSegments)
	case "unauthorized":
		return refused(token.ReasonUnknownKey)
	case "broken":
		return token.Claims{}, errors.New("the keys cannot be read")
	case "":
		return refused(token.ReasonEmpty)
	}
	name, how, _ := strings.Cut(text, "/")
	if how == "bad" {
		who := name
		if features.Kind == "ticket" { // its text says nothing
			who = ""
		}
		return token.Claims{}, &token.Refusal{Reason: token.ReasonSignatureMismatch, Features: features, Account: account, Identity: who}
	}
	c := token.Claims{
		Kind: token.Kind(features.Kind), ID: id, OutgoingApp: "AP1", Account: account, Identity: name, Incoming: true, Outgoing: true,
		Expires: time.Now().Add(time.Hour), Features: features,
	}
	if id, other, ok := strings.Cut(name, "@"); ok {
		c.Identity, c.Account = id, other
	}
	switch {
	case how == "out":
		c.Incoming = false
	case how == "in":
		c.Outgoing = false
	case how == "fixed":
		c.OutgoingParams = url.Values{"To": {"+15550100"}, "team": {"blue"}}
	case how != "":
		ttl, err := time.ParseDuration(how)
		if err != nil {
			return refused(token.ReasonSegments)
		}
		c.Expires = time.Now().Add(ttl)
	}
	return c, nil
}

// fakePeer is a browser's end without a browser.
type fakePeer struct {
	rig     *rig
	n       int
	onState func(rtc.State)

	mu       sync.Mutex
	codec    call.Codec
	restarts int
	closed   bool
	sink     func(*rtp.Header, []byte)
}

func (r *rig) newPeer(onState func(rtc.State)) (Peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &fakePeer{rig: r, n: len(r.peers) + 1, onState: onState}
	r.peers = append(r.peers, p)
	return p, nil
}

func (p *fakePeer) Offer(codecs []call.Codec) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codec = codecs[0]
	return serverSDP(fmt.Sprintf("offer%d %v", p.n, codecs)), nil
}

func (p *fakePeer) Accept(sdp string) error {
	if !strings.HasPrefix(sdp, "v=0") {
		return errors.New("not SDP")
	}
	return nil
}

func (p *fakePeer) Answer(offer string, codecs []call.Codec) (string, error) {
	if !strings.HasPrefix(offer, "v=0") {
		return "", errors.New("not SDP")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	offered, err := rtc.Offered(offer)
	if err != nil {
		return "", err
	}
	for _, mine := range codecs {
		if p.codec == "" && slices.Contains(offered, mine) {
			p.codec = mine
		}
	}
	if p.codec == "" {
		return "", errors.New("no common codec")
	}
	p.restarts++
	return serverSDP(fmt.Sprintf("answer%d.%d %s", p.n, p.restarts, p.codec)), nil
}

func (p *fakePeer) Format() (media.Format, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return media.Format{Codec: p.codec, ClockRate: 8000, DTMF: 101, DTMFRate: 8000}, p.codec != ""
}
func (p *fakePeer) WriteRTP(*rtp.Header, []byte) error { return nil }
func (p *fakePeer) OnRTP(f func(*rtp.Header, []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sink = f
}

func (p *fakePeer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.onState(rtc.Closed)
	return nil
}

func (p *fakePeer) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// hear lets a packet arrive from the browser.
func (p *fakePeer) hear(n uint16) {
	p.mu.Lock()
	sink := p.sink
	p.mu.Unlock()
	if sink != nil {
		sink(&rtp.Header{Version: 2, PayloadType: 0, SequenceNumber: n, Timestamp: uint32(n) * 160}, make([]byte, 160))
	}
}

func serverSDP(what string) string { return "v=0\r\ns=" + what + "\r\n" }

// browserSDP is what a page says: fp names the page, ufrag the try of ICE.
func browserSDP(fp, ufrag string, payloads ...string) string {
	types := "0 111 8 126"
	if len(payloads) > 0 {
		types = strings.Join(payloads, " ")
	}
	return strings.Join([]string{
		"v=0", "o=- 46117317 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
		"m=audio 9 UDP/TLS/RTP/SAVPF " + types, "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
		"a=ice-ufrag:" + ufrag, "a=ice-pwd:asd88fgpdd777uzjYhagZg" + ufrag, "a=ice-options:trickle",
		"a=fingerprint:sha-256 " + certificate(fp), "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:111 opus/48000/2", "a=rtpmap:8 PCMA/8000", "a=rtpmap:126 telephone-event/8000", "",
	}, "\r\n")
}

func certificate(name string) string {
	var b strings.Builder
	for i := range 32 {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", name[i%len(name)])
	}
	return b.String()
}

// fakeCall is a call that a device offered, or a leg that the test dialled.
type fakeCall struct {
	rig     *rig
	name    string
	offer   call.Offer
	leg     switchboard.Leg
	mu      sync.Mutex
	reports []call.Report
}

// Offer implements Exchange.
func (r *rig) Offer(o call.Offer, leg switchboard.Leg) (switchboard.Reporter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return nil, r.refuse
	}
	c := &fakeCall{rig: r, name: fmt.Sprintf("call%d", len(r.offers)+1), offer: o, leg: leg}
	r.offers = append(r.offers, c)
	r.note("   %s offered from %s to %s params %s codecs %v", c.name, o.From, o.To, o.Params.Encode(), o.Codecs)
	return c.report, nil
}

func (c *fakeCall) report(rep call.Report) {
	c.rig.mu.Lock()
	c.rig.note("   %s %s %+v", c.name, strings.TrimPrefix(fmt.Sprintf("%T", rep), "call."), rep)
	c.rig.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, rep)
}

func (c *fakeCall) got() []call.Report {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]call.Report(nil), c.reports...)
}

// down returns the leg's last report, which must be its only Down.
func (c *fakeCall) down(t *testing.T) call.Down {
	t.Helper()
	var found []call.Down
	reports := c.got()
	for _, rep := range reports {
		if d, ok := rep.(call.Down); ok {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		t.Fatalf("want one Down as the last report, got %v", reports)
	}
	if _, last := reports[len(reports)-1].(call.Down); !last {
		t.Fatalf("something was reported after Down: %v", reports)
	}
	return found[0]
}

// up returns what the leg reported when it was answered.
func up(t *testing.T, c *fakeCall) call.Up {
	t.Helper()
	for _, rep := range c.got() {
		if u, ok := rep.(call.Up); ok {
			return u
		}
	}
	t.Fatal("the leg is not up")
	return call.Up{}
}

func (c *fakeCall) alive(t *testing.T) {
	t.Helper()
	for _, rep := range c.got() {
		if d, ok := rep.(call.Down); ok {
			t.Fatalf("the leg is down: %+v", d)
		}
	}
}

func (c *fakeCall) peer() *fakePeer {
	synctest.Wait()
	p, _ := c.leg.(*leg).line.current().(*fakePeer)
	return p
}

// last returns the newest call offered by a device.
func (r *rig) last() *fakeCall {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.offers) == 0 {
		r.t.Fatal("no call was offered")
	}
	return r.offers[len(r.offers)-1]
}

// dial calls an identity.
func (r *rig) dial(identity string, change func(*call.Dial)) *fakeCall {
	r.t.Helper()
	d := call.Dial{Leg: call.NewLegID(), To: call.Client(identity), From: call.Phone("+15550123"), Account: account, Timeout: 30 * time.Second}
	if change != nil {
		change(&d)
	}
	c := &fakeCall{rig: r, name: "dial"}
	leg, err := r.s.Dial("CA1", d, c.report)
	if err != nil {
		r.t.Fatalf("Dial: %v", err)
	}
	c.leg = leg
	synctest.Wait()
	return c
}

// note adds a line to the trace; the caller holds mu.
func (r *rig) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.trace = append(r.trace, fmt.Sprintf("%7.3f %s", time.Since(r.began).Seconds(), r.plain(line)))
}

var unstable = regexp.MustCompile(`CA[0-9a-f]{32}|TJS[0-9a-zA-Z-]+|KX[0-9a-f]{32}|"reconnect":"[0-9a-f]{32}"`)

// plain puts names for what differs from run to run.
func (r *rig) plain(line string) string {
	return unstable.ReplaceAllStringFunc(line, func(id string) string {
		kind := id[:2]
		if strings.HasPrefix(id, `"reconnect"`) {
			kind = "token"
		}
		if r.names[id] == "" {
			n := 1
			for _, name := range r.names {
				if strings.HasPrefix(name, kind) || strings.HasPrefix(name, `"reconnect":"`+kind) {
					n++
				}
			}
			r.names[id] = fmt.Sprintf("%s%d", kind, n)
			if kind == "token" {
				r.names[id] = fmt.Sprintf(`"reconnect":"token%d"`, n)
			}
		}
		return r.names[id]
	})
}

// page is a browser page with an SDK, as far as the wire goes.
type page struct {
	r        *rig
	name     string
	sdk      string // 2.18.5 or 1.15.1
	protocol string
	in       chan []byte
	gone     chan struct{} // closed when the socket is
	stuck    chan struct{} // not nil: the page does not read

	mu     sync.Mutex
	heard  []frameSeen
	closed bool
	status websocket.StatusCode
	dead   bool // does not echo heartbeats
}

type frameSeen struct {
	Type    string         `json:"type"`
	Payload jsontext.Value `json:"payload"`
}

func (r *rig) open(name, sdk string) *page {
	p := &page{r: r, name: name, sdk: sdk, protocol: "1.6", in: make(chan []byte, 64), gone: make(chan struct{})}
	if strings.HasPrefix(sdk, "1.") {
		p.protocol = "1.5"
	}
	r.s.crew.Go(func() { r.s.serve(p, netip.MustParseAddr("192.0.2.1"), "https://app.example.com") })
	synctest.Wait()
	return p
}

// Read implements socket.
func (p *page) Read() ([]byte, error) {
	select {
	case data := <-p.in:
		return data, nil
	case <-p.gone:
		return nil, io.EOF
	}
}

// Write implements socket.
func (p *page) Write(frame []byte, within time.Duration) error {
	if p.stuck != nil {
		select {
		case <-p.stuck:
		case <-p.gone:
			return io.ErrClosedPipe
		case <-time.After(within):
			return context.DeadlineExceeded
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return io.ErrClosedPipe
	}
	if string(frame) == "\n" {
		p.heard = append(p.heard, frameSeen{Type: "heartbeat"})
		if !p.dead {
			p.in <- []byte("\n")
		}
		return nil
	}
	var f frameSeen
	if err := json.Unmarshal(frame, &f); err != nil {
		panic(err)
	}
	p.heard = append(p.heard, f)
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.note("S→%s %s", p.name, short(string(frame)))
	return nil
}

// Close implements socket.
func (p *page) Close(code websocket.StatusCode, reason string) {
	p.r.mu.Lock()
	p.r.note("S→%s closes: %d %s", p.name, code, reason)
	p.r.mu.Unlock()
	p.end(code)
}

// Cut implements socket.
func (p *page) Cut() { p.end(-1) }

func (p *page) end(code websocket.StatusCode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed, p.status = true, code
		close(p.gone)
	}
}

// drop loses the connection, as a network does.
func (p *page) drop() {
	p.r.mu.Lock()
	p.r.note("C %s drops", p.name)
	p.r.mu.Unlock()
	p.end(-1)
	synctest.Wait()
}

func (p *page) isClosed() (websocket.StatusCode, bool) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.closed
}

var sdpText = regexp.MustCompile(`"v=0(?:[^"\\]|\\.)*"`)

// short puts labels in place of SDP.
func short(frame string) string {
	return sdpText.ReplaceAllStringFunc(frame, func(q string) string {
		var sdp string
		if err := json.Unmarshal([]byte(q), &sdp); err != nil {
			return q
		}
		if f := fingerprintOf(sdp); f.ufrag != "" {
			return fmt.Sprintf("<browser's SDP, ICE %s>", f.ufrag)
		}
		return "<our SDP: " + strings.TrimSuffix(strings.TrimPrefix(sdp, "v=0\r\ns="), "\r\n") + ">"
	})
}

// say sends a frame as the page's SDK does and waits until it was dealt with.
func (p *page) say(kind string, payload any) {
	text, err := json.Marshal(struct {
		Type    string `json:"type"`
		Version string `json:"version"`
		Payload any    `json:"payload"`
	}{kind, p.protocol, payload}, json.Deterministic(true))
	if err != nil {
		p.r.t.Fatal(err)
	}
	p.r.mu.Lock()
	p.r.note("C %s %s", p.name, short(string(text)))
	p.r.mu.Unlock()
	p.raw(string(text))
}

func (p *page) raw(text string) {
	p.in <- []byte(text)
	synctest.Wait()
}

type object map[string]any

func (p *page) listen(tok string) {
	payload := object{"token": tok, "browserinfo": object{
		"p": "browser", "plugin": "rtc", "v": p.sdk, "browser": object{"platform": "Linux", "userAgent": "Chromium " + p.name},
	}}
	if p.protocol == "1.6" {
		payload["reconnectTimeout"] = 0
	}
	p.say("listen", payload)
}

func (p *page) register() { p.say("register", object{"media": object{"audio": true}}) }

// enter listens and registers, and forgets what was heard.
func (p *page) enter(tok string) *page {
	p.listen(tok)
	p.register()
	if got := p.types(); fmt.Sprint(got) != "[connected ready]" {
		p.r.t.Fatalf("%s was not let in: %v", p.name, got)
	}
	return p
}

// calls sends an outgoing invite and returns its temporary id.
func (p *page) calls(params string) string {
	id := fmt.Sprintf("TJS5442aba2-%s-%d", p.name, time.Now().UnixNano())
	twilio := object{}
	if params != "" {
		twilio["params"] = params
	}
	payload := object{"callsid": id, "sdp": browserSDP(p.name, "u1"), "twilio": twilio}
	if p.protocol == "1.5" {
		payload["preflight"] = false
	}
	p.say("invite", payload)
	return id
}

// take returns the next frame heard, which must be of this type, with its payload.
func (p *page) take(kind string) map[string]any {
	p.r.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.heard) > 0 && p.heard[0].Type == "heartbeat" {
		p.heard = p.heard[1:]
	}
	if len(p.heard) == 0 {
		p.r.t.Fatalf("%s heard nothing, want %s", p.name, kind)
	}
	f := p.heard[0]
	p.heard = p.heard[1:]
	if f.Type != kind {
		p.r.t.Fatalf("%s heard %s %s, want %s", p.name, f.Type, f.Payload, kind)
	}
	var payload map[string]any
	if err := json.Unmarshal(f.Payload, &payload); err != nil {
		p.r.t.Fatal(err)
	}
	return payload
}

// types returns the types of what was heard since, without heartbeats, and forgets it.
func (p *page) types() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	kinds := []string{}
	for _, f := range p.heard {
		if f.Type != "heartbeat" {
			kinds = append(kinds, f.Type)
		}
	}
	p.heard = nil
	return kinds
}

func (p *page) quiet(t *testing.T) {
	t.Helper()
	if kinds := p.types(); len(kinds) > 0 {
		t.Fatalf("%s heard %v, want nothing", p.name, kinds)
	}
}

// code returns the error code in a payload.
func code(payload map[string]any) int {
	e, _ := payload["error"].(map[string]any)
	c, _ := e["code"].(float64)
	return int(c)
}

func str(payload map[string]any, key string) string {
	s, _ := payload[key].(string)
	return s
}

// registrations returns the verdicts published, as "outcome identity reason code".
func (r *rig) registrations() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		if v, ok := e.(event.Registration); ok {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Outcome, v.Identity, v.Reason)))
		}
	}
	return all
}
