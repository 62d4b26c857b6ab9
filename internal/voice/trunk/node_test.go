package trunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/health"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk/message"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// quick are timers with which transactions end in 0.64 s.
var quick = Timers{T1: 10 * time.Millisecond, T2: 40 * time.Millisecond, T4: 50 * time.Millisecond}

// node is a Server under test on real loopback sockets.
type node struct {
	*Server
	t      *testing.T
	addr   *net.UDPAddr
	offers chan offered
	health *health.Board
	prom   *prometheus.Registry
	stop   func()
	ended  chan struct{}

	mu      sync.Mutex
	refuse  error
	answers []event.TrunkAnswer
}

// offered is a call that the node offered.
type offered struct {
	call.Offer
	leg     switchboard.Leg
	reports reports
}

type reports chan call.Report

func (r reports) reporter() switchboard.Reporter {
	return func(x call.Report) { r <- x }
}

// Offer implements switchboard.Exchange.
func (n *node) Offer(o call.Offer, leg switchboard.Leg) (switchboard.Reporter, error) {
	n.mu.Lock()
	err := n.refuse
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r := make(reports, 100)
	n.offers <- offered{o, leg, r}
	return r.reporter(), nil
}

// startNode runs a Server until the test ends, and checks then that nothing is left.
func startNode(t *testing.T, c Config, change ...func(*Options)) *node {
	t.Helper()
	return startNodeOn(t, nil, c, change...)
}

// startNodeOn is startNode on a network of the test's own, with the RFC's timers.
func startNodeOn(t *testing.T, netOf *fabric, c Config, change ...func(*Options)) *node {
	t.Helper()
	var conn net.PacketConn = listenUDP(t, "127.0.0.1")
	if netOf != nil {
		conn = netOf.listen("10.0.0.1:5060")
		change = append(change, func(o *Options) {
			o.Timers = Timers{}
			o.ListenPacket = func(_, address string) (net.PacketConn, error) { return netOf.listen(address), nil }
		})
	}
	n := &node{
		t: t, addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(conn.LocalAddr().String())), offers: make(chan offered, 100),
		health: health.NewBoard(), prom: prometheus.NewRegistry(), ended: make(chan struct{}),
	}
	if c.Destinations.Home == "" {
		c.Destinations.Home = "US"
	}
	for i := range c.Trunks {
		if c.Trunks[i].OptionsInterval == 0 {
			c.Trunks[i].OptionsInterval = -1
		}
	}
	o := Options{
		Config: c, UDP: []net.PacketConn{conn}, Exchange: n, Health: n.health, Metrics: n.prom, Timers: quick,
		Events: event.SinkFunc(func(e event.Event) {
			if a, ok := e.(event.TrunkAnswer); ok {
				n.mu.Lock()
				n.answers = append(n.answers, a)
				n.mu.Unlock()
			}
		}),
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	n.Server, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go func() {
		defer close(n.ended)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-n.ended:
		case <-time.After(patience):
			t.Error("the server does not end")
			return
		}
		if open := n.Open(); open != (Counts{}) {
			t.Errorf("left behind: %+v", open)
		}
	})
	return n
}

// trunkTo is the trunk of a peer.
func trunkTo(name string, p *peer) Trunk {
	return Trunk{Name: name, Account: "AC1", Host: p.addr.Addr().String(), Port: int(p.addr.Port())}
}

func (n *node) offered() offered {
	n.t.Helper()
	select {
	case o := <-n.offers:
		return o
	case <-time.After(patience):
		n.t.Fatal("no call was offered")
		panic("unreachable")
	}
}

func (n *node) dial(d call.Dial) (switchboard.Leg, reports) {
	n.t.Helper()
	r := make(reports, 100)
	if d.Leg == "" {
		d.Leg = call.NewLegID()
	}
	if d.From.Number == "" {
		d.From.Number = "+15550199"
	}
	leg, err := n.Dial("CA1", d, r.reporter())
	if err != nil {
		n.t.Fatal(err)
	}
	return leg, r
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// quietly waits until no leg holds a dialog or socket.
func (n *node) quietly() {
	n.t.Helper()
	eventually(n.t, "all dialogs and sockets released", func() bool {
		o := n.Open()
		return o.Dialogs == 0 && o.Sockets == 0
	})
}

func (n *node) trunkAnswers() []event.TrunkAnswer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]event.TrunkAnswer(nil), n.answers...)
}

func (n *node) counter(name string, labels ...string) float64 {
	n.t.Helper()
	families, err := n.prom.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			for i := 0; i+1 < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metric
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// want takes the next report and checks its kind; Heard and Away are skipped.
func want[R call.Report](t *testing.T, r reports) R {
	t.Helper()
	for {
		select {
		case x := <-r:
			if got, ok := x.(R); ok {
				return got
			}
			switch x.(type) {
			case call.Heard, call.Away:
				continue
			}
			var zero R
			t.Fatalf("report %T %+v, want %T", x, x, zero)
		case <-time.After(patience):
			var zero R
			t.Fatalf("no %T was reported", zero)
		}
	}
}

func wantDown(t *testing.T, r reports, cause call.EndCause) call.Down {
	t.Helper()
	d := want[call.Down](t, r)
	if d.Cause != cause {
		t.Fatalf("ended with %s (%d), want %s", d.Cause, d.Status, cause)
	}
	select {
	case x := <-r:
		t.Fatalf("report %T %+v after the end", x, x)
	default:
	}
	return d
}

// peer is a scripted carrier on a UDP socket of its own.
type peer struct {
	t    *testing.T
	conn net.PacketConn
	addr netip.AddrPort
	seen [][]byte
	rtp  net.PacketConn
}

func newPeer(t *testing.T) *peer { return newPeerAt(t, "127.0.0.1") }

func newPeerAt(t *testing.T, host string) *peer {
	t.Helper()
	return peerOn(t, listenUDP(t, host), listenUDP(t, host))
}

func peerOn(t *testing.T, conn, rtp net.PacketConn) *peer {
	return &peer{t: t, conn: conn, rtp: rtp, addr: netip.MustParseAddrPort(conn.LocalAddr().String())}
}

func listenUDP(t *testing.T, host string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// crlf gives a message written with bare newlines its line ends and its Content-Length.
func crlf(text string) []byte {
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	body = strings.ReplaceAll(body, "\n", "\r\n")
	head = strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n")
	return fmt.Appendf(nil, "%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func (p *peer) send(to net.Addr, text string) {
	p.t.Helper()
	if _, err := p.conn.WriteTo(crlf(text), to); err != nil {
		p.t.Fatal(err)
	}
}

var errSilence = errors.New("nothing came")

// read returns the next message that is not a repetition.
func (p *peer) read(wait time.Duration) (sip.Message, net.Addr, error) {
	buf := make([]byte, 65536)
	deadline := time.Now().Add(wait)
	for {
		_ = p.conn.SetReadDeadline(deadline)
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return nil, nil, errSilence
		}
		raw := bytes.Clone(buf[:n])
		repeated := false
		for _, s := range p.seen {
			repeated = repeated || bytes.Equal(s, raw)
		}
		if repeated {
			continue
		}
		p.seen = append(p.seen, raw)
		msg, rej := message.Parse(raw)
		if rej != nil {
			p.t.Fatalf("we sent what we would not take: %v\n%s", rej, raw)
		}
		return msg, from, nil
	}
}

// request waits for a request of the method; responses of 100 are skipped.
func (p *peer) request(method sip.RequestMethod) *sip.Request {
	p.t.Helper()
	for {
		msg, from, err := p.read(patience)
		if err != nil {
			p.t.Fatalf("no %s came", method)
		}
		if res, ok := msg.(*sip.Response); ok && res.StatusCode == 100 {
			continue
		}
		req, ok := msg.(*sip.Request)
		if !ok || req.Method != method {
			p.t.Fatalf("instead of %s came\n%s", method, msg)
		}
		req.SetSource(from.String())
		return req
	}
}

// response waits for a response with the status; 100 is skipped.
func (p *peer) response(status int) *sip.Response {
	p.t.Helper()
	for {
		msg, _, err := p.read(patience)
		if err != nil {
			p.t.Fatalf("no %d came", status)
		}
		res, ok := msg.(*sip.Response)
		if ok && res.StatusCode == 100 && status != 100 {
			continue
		}
		if !ok || res.StatusCode != status {
			p.t.Fatalf("instead of %d came\n%s", status, msg)
		}
		return res
	}
}

func (p *peer) silence(wait time.Duration) {
	p.t.Helper()
	if msg, _, err := p.read(wait); err == nil {
		p.t.Fatalf("instead of silence came\n%s", msg)
	}
}

// sdp describes the peer's RTP port.
func (p *peer) sdp(lines ...string) string {
	a := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(p.rtp.LocalAddr().String()))
	if len(lines) == 0 {
		lines = []string{"0 8 101", "a=rtpmap:101 telephone-event/8000"}
	}
	return fmt.Sprintf("v=0\no=- 1 1 IN IP4 %s\ns=-\nc=IN IP4 %s\nt=0 0\nm=audio %d RTP/AVP %s\n",
		a.IP, a.IP, a.Port, strings.Join(lines, "\n"))
}

const sdpType = "Content-Type: application/sdp\n\n"

// callIn is one call that a peer makes.
type callIn struct {
	p                  *peer
	to                 net.Addr
	id, fromTag, toTag string
	uri, from, contact string
	seq                int
}

func (p *peer) call(n *node) *callIn {
	id := call.NewLegID()
	return &callIn{
		p: p, to: n.addr, id: string(id), fromTag: "f" + string(id[2:10]), uri: "sip:+15550199@" + n.addr.String(),
		from: "\"Ann \\\"A\\\" Caller\" <sip:+15550123@carrier.example>", contact: "<sip:gw@" + p.addr.String() + ">",
	}
}

// raw writes a request of the dialog; extra is headers with their line ends, then body.
func (c *callIn) raw(method string, seq int, branch, extra string) string {
	to := "<" + c.uri + ">"
	if c.toTag != "" {
		to += ";tag=" + c.toTag
	}
	return fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\nMax-Forwards: 70\nFrom: %s;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: %d %s\nContact: %s\n%s",
		method, c.uri, c.p.addr, branch, c.from, c.fromTag, to, c.id, seq, method, c.contact, extra)
}

// invite sends an INVITE; body "" makes it a late offer.
func (c *callIn) invite(body string, headers ...string) {
	c.seq++
	extra := strings.Join(append(headers, ""), "\n")
	if body != "" {
		extra += sdpType + body
	}
	c.p.send(c.to, c.raw("INVITE", c.seq, fmt.Sprintf("i%s%d", c.id, c.seq), extra))
}

func (c *callIn) cancel() {
	c.p.send(c.to, c.raw("CANCEL", c.seq, fmt.Sprintf("i%s%d", c.id, c.seq), ""))
}

// ackRefusal acknowledges a non-2xx.
func (c *callIn) ackRefusal() {
	c.p.send(c.to, c.raw("ACK", c.seq, fmt.Sprintf("i%s%d", c.id, c.seq), ""))
}

func (c *callIn) noteTag(res *sip.Response) *sip.Response {
	c.toTag, _ = res.To().Params.Get("tag")
	return res
}

// ack acknowledges a 2xx.
func (c *callIn) ack(body string) {
	extra := ""
	if body != "" {
		extra = sdpType + body
	}
	c.p.send(c.to, c.raw("ACK", c.seq, fmt.Sprintf("a%s%d", c.id, c.seq), extra))
}

// request sends a request within the dialog.
func (c *callIn) request(method, extra string) {
	c.seq++
	c.p.send(c.to, c.raw(method, c.seq, fmt.Sprintf("r%s%d", c.id, c.seq), extra))
}

// reply answers a request that the node sent.
func (p *peer) reply(req *sip.Request, status int, tag, extra string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Whatever\n", status)
	for _, name := range []string{"via", "from"} {
		for _, h := range req.GetHeaders(name) {
			fmt.Fprintf(&b, "%s\n", h)
		}
	}
	to := req.To().String()
	if tag != "" && !req.To().Params.Has("tag") {
		to += ";tag=" + tag
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n", to, req.CallID(), req.CSeq())
	if status > 100 && status < 300 {
		fmt.Fprintf(&b, "Contact: <sip:gw@%s>\n", p.addr)
	}
	b.WriteString(extra)
	from, err := net.ResolveUDPAddr("udp", req.Source())
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(from, b.String())
}
