package transaction

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/message"
)

// line is a PacketConn whose other end is the test.
type line struct {
	in, out chan []byte
	closed  chan struct{}
	once    sync.Once
}

var far = net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:5060"))

func newLine() *line {
	return &line{in: make(chan []byte, 100), out: make(chan []byte, 100), closed: make(chan struct{})}
}

func (l *line) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case raw := <-l.in:
		return copy(b, raw), far, nil
	case <-l.closed:
		return 0, nil, net.ErrClosed
	}
}

func (l *line) WriteTo(b []byte, _ net.Addr) (int, error) {
	l.out <- bytes.Clone(b)
	return len(b), nil
}
func (l *line) Close() error { l.once.Do(func() { close(l.closed) }); return nil }
func (l *line) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:5060"))
}
func (l *line) SetDeadline(time.Time) error      { return nil }
func (l *line) SetReadDeadline(time.Time) error  { return nil }
func (l *line) SetWriteDeadline(time.Time) error { return nil }

// user is a Handler that keeps what it is given.
type user struct {
	requests []*Server
	acks     int
	dropped  []string
}

func (u *user) Admit(req *sip.Request, _ Hop) bool      { return req.Recipient.User != "stranger" }
func (u *user) Known(netip.Addr) bool                   { return true }
func (u *user) Request(tx *Server)                      { u.requests = append(u.requests, tx) }
func (u *user) Ack(*sip.Request, Hop)                   { u.acks++ }
func (u *user) SentBy(string, netip.Addr) (string, int) { return "192.0.2.1", 5060 }
func (u *user) Dropped(why string, _ Hop)               { u.dropped = append(u.dropped, why) }

// bubble runs a Layer on a line in fake time.
func bubble(t *testing.T, f func(t *testing.T, l *Layer, u *user, wire *line)) {
	synctest.Test(t, func(t *testing.T) {
		wire, u := newLine(), &user{}
		l := New(Options{UDP: []net.PacketConn{wire}, Handler: u})
		done := make(chan struct{})
		go func() { defer close(done); l.Run(t.Context()) }()
		synctest.Wait()
		f(t, l, u, wire)
		wire.Close()
		l.close()
	})
}

func text(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimLeft(s, "\n"), "\n", "\r\n") + "\r\n")
}

func inviteText(method, branch string) []byte {
	return text(method + " sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.2;branch=" + branch +
		"\nFrom: <sip:b@192.0.2.2>;tag=1\nTo: <sip:a@192.0.2.1>\nCall-ID: c\nCSeq: 1 " + method + "\nMax-Forwards: 70\n")
}

// sent returns what was sent and when, for d.
func (l *line) sent(d time.Duration) (raws [][]byte, at []time.Duration) {
	start := time.Now()
	limit := time.After(d)
	for {
		select {
		case raw := <-l.out:
			raws, at = append(raws, raw), append(at, time.Since(start))
		case <-limit:
			synctest.Wait()
			return raws, at
		}
	}
}

func request(method sip.RequestMethod) *sip.Request {
	req := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: "a", Host: "192.0.2.2"})
	from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "b", Host: "192.0.2.1"}}
	from.Params.Add("tag", "1")
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: req.Recipient})
	id := sip.CallIDHeader("c")
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: method})
	req.SetBody(nil)
	return req
}

var hop = Hop{Network: UDP, Addr: netip.MustParseAddrPort("192.0.2.2:5060")}

func answerTo(t *testing.T, raw []byte, status string) []byte {
	t.Helper()
	msg, rej := message.Parse(raw)
	if rej != nil {
		t.Fatal(rej)
	}
	return text("SIP/2.0 " + status + " x\n" + msg.Via().String() + "\n" + msg.From().String() + "\n" + msg.To().String() +
		";tag=2\n" + msg.CallID().String() + "\n" + msg.CSeq().String() + "\n")
}

func equal(a []time.Duration, b ...time.Duration) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i]*time.Millisecond {
			return false
		}
	}
	return true
}

// results is what a transaction reported.
type results struct {
	mu       sync.Mutex
	statuses []int
	err      error
	at       time.Time // of err
}

func (r *results) on(res *sip.Response, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.err, r.at = err, time.Now()
		return
	}
	r.statuses = append(r.statuses, res.StatusCode)
}

func (r *results) get() (statuses []int, at time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statuses, r.at, r.err
}

// Timers A and B, E and F of RFC 3261 17.1.
func TestClientWithoutAnswer(t *testing.T) {
	for method, want := range map[sip.RequestMethod][]time.Duration{
		sip.INVITE:  {0, 500, 1500, 3500, 7500, 15500, 31500},
		sip.OPTIONS: {0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500},
	} {
		bubble(t, func(t *testing.T, l *Layer, _ *user, wire *line) {
			var r results
			start := time.Now()
			l.Send(request(method), hop, r.on)
			_, at := wire.sent(time.Minute)
			if !equal(at, want...) {
				t.Errorf("%s sent at %v", method, at)
			}
			if _, when, err := r.get(); !errors.Is(err, ErrTimeout) || when.Sub(start) != 32*time.Second {
				t.Errorf("%s: %v after %s", method, err, when.Sub(start))
			}
			if tx, _ := l.Open(); tx != 0 {
				t.Errorf("%d transactions left", tx)
			}
		})
	}
}

// A refusal is acknowledged each time it comes; D ends that.
func TestClientRefused(t *testing.T) {
	bubble(t, func(t *testing.T, l *Layer, u *user, wire *line) {
		var r results
		l.Send(request(sip.INVITE), hop, r.on)
		raw := <-wire.out
		wire.in <- answerTo(t, raw, "180")
		wire.in <- answerTo(t, raw, "486")
		wire.in <- answerTo(t, raw, "486")
		raws, _ := wire.sent(31 * time.Second)
		if len(raws) != 2 || !bytes.HasPrefix(raws[0], []byte("ACK ")) || !bytes.Equal(raws[0], raws[1]) {
			t.Errorf("sent %q", raws)
		}
		if got, _, _ := r.get(); len(got) != 2 || got[0] != 180 || got[1] != 486 {
			t.Errorf("reported %v", got)
		}
		time.Sleep(2 * time.Second)
		if tx, _ := l.Open(); tx != 0 {
			t.Errorf("%d transactions left", tx)
		}
		wire.in <- answerTo(t, raw, "486")
		synctest.Wait()
		if len(u.dropped) != 1 || u.dropped[0] != "stray response" {
			t.Errorf("dropped %v", u.dropped)
		}
	})
}

// RFC 6026: each 2xx goes to the user, for 64 T1.
func TestClientAccepted(t *testing.T) {
	bubble(t, func(t *testing.T, l *Layer, _ *user, wire *line) {
		var r results
		l.Send(request(sip.INVITE), hop, r.on)
		raw := <-wire.out
		for range 3 {
			wire.in <- answerTo(t, raw, "200")
		}
		wire.in <- answerTo(t, raw, "486") // nothing comes of it
		raws, _ := wire.sent(31 * time.Second)
		if got, _, _ := r.get(); len(got) != 3 || len(raws) != 0 {
			t.Errorf("%v reported, sent %q", got, raws)
		}
	})
}

// A cancelled INVITE without a final response is over after 64 T1.
func TestCancelWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, l *Layer, _ *user, wire *line) {
		var r results
		c := l.Send(request(sip.INVITE), hop, r.on)
		raw := <-wire.out
		c.Cancel()
		c.Cancel()
		if raws, _ := wire.sent(10 * time.Second); len(raws) != 0 {
			t.Errorf("sent %q before a provisional response", raws)
		}
		wire.in <- answerTo(t, raw, "100")
		raws, _ := wire.sent(40 * time.Second)
		if len(raws) != 11 || !bytes.HasPrefix(raws[0], []byte("CANCEL ")) {
			t.Errorf("%d sent: %q", len(raws), raws)
		}
		if _, _, err := r.get(); !errors.Is(err, ErrTimeout) {
			t.Errorf("failed with %v", err)
		}
		if tx, _ := l.Open(); tx != 0 {
			t.Errorf("%d transactions left", tx)
		}
	})
}

// Timers G and H: a refusal is repeated until its ACK.
func TestServerRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, l *Layer, u *user, wire *line) {
		wire.in <- inviteText("INVITE", "z9hG4bK1")
		synctest.Wait()
		u.requests[0].Answer(486, "tag")
		_, at := wire.sent(10 * time.Second)
		if !equal(at, 0, 500, 1500, 3500, 7500) {
			t.Errorf("sent at %v", at)
		}
		wire.in <- inviteText("ACK", "z9hG4bK1")
		if raws, _ := wire.sent(time.Minute); len(raws) != 0 {
			t.Errorf("sent after the ACK: %q", raws)
		}
		if tx, _ := l.Open(); tx != 0 || len(u.requests) != 1 || u.acks != 0 {
			t.Errorf("%d transactions, %d requests, %d ACKs", tx, len(u.requests), u.acks)
		}
	})
}

func TestServerAccepts(t *testing.T) {
	bubble(t, func(t *testing.T, l *Layer, u *user, wire *line) {
		wire.in <- inviteText("INVITE", "z9hG4bK1")
		synctest.Wait()
		tx := u.requests[0]
		tx.Answer(180, "tag")
		tx.Answer(200, "tag")
		tx.Answer(500, "tag") // too late
		wire.in <- inviteText("INVITE", "z9hG4bK1")
		wire.in <- inviteText("ACK", "z9hG4bK2")
		wire.in <- inviteText("ACK", "z9hG4bK1") // of senders that do not know better
		raws, _ := wire.sent(10 * time.Second)
		if len(raws) != 3 || !bytes.Equal(raws[1], raws[2]) || !bytes.HasPrefix(raws[1], []byte("SIP/2.0 200")) {
			t.Errorf("sent %q", raws)
		}
		if u.acks != 2 {
			t.Errorf("%d ACKs reported", u.acks)
		}
	})
}

// Requests of RFC 2543 clients and of RFC 4475 3.2.1 are told apart without a branch.
func TestServerWithoutBranch(t *testing.T) {
	bubble(t, func(t *testing.T, _ *Layer, u *user, wire *line) {
		one := inviteText("INVITE", "z9hG4bK")
		wire.in <- one
		wire.in <- one
		wire.in <- bytes.Replace(one, []byte("Call-ID: c"), []byte("Call-ID: d"), 1)
		synctest.Wait()
		if len(u.requests) != 2 {
			t.Errorf("%d requests", len(u.requests))
		}
	})
}

func TestServerCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, _ *Layer, u *user, wire *line) {
		wire.in <- inviteText("INVITE", "z9hG4bK1")
		wire.in <- inviteText("CANCEL", "z9hG4bK1")
		wire.in <- inviteText("CANCEL", "z9hG4bK1")
		synctest.Wait()
		told := 0
		u.requests[0].OnCancel(func() { told++ })
		wire.in <- inviteText("CANCEL", "z9hG4bKother")
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		if raws, _ := wire.sent(time.Second); len(raws) != 2 || !bytes.Contains(raws[0], []byte("CSeq: 1 CANCEL")) {
			t.Errorf("sent %q", raws)
		}
		if len(u.requests) != 2 || !u.requests[1].Request.IsCancel() {
			t.Error("the CANCEL of nothing is not given to the user")
		}
	})
}

func TestStrangersAndNonsense(t *testing.T) {
	bubble(t, func(t *testing.T, _ *Layer, u *user, wire *line) {
		wire.in <- []byte("\r\n\r\n")
		wire.in <- []byte("nonsense")
		wire.in <- bytes.Replace(inviteText("INVITE", "z9hG4bK1"), []byte("sip:a@"), []byte("sip:stranger@"), 1)
		wire.in <- bytes.Replace(inviteText("INVITE", "z9hG4bK2"), []byte("SIP/2.0\r"), []byte("SIP/3.0\r"), 1)
		raws, _ := wire.sent(time.Second)
		if len(raws) != 1 || !bytes.HasPrefix(raws[0], []byte("SIP/2.0 505")) {
			t.Errorf("sent %q", raws)
		}
		if strings.Join(u.dropped, ",") != "malformed,stranger,malformed" {
			t.Errorf("dropped %v", u.dropped)
		}
	})
}

func TestReadMessage(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		rejected       bool
	}{
		{"body", "INFO x SIP/2.0\r\nL: 2\r\n\r\nabc", "INFO x SIP/2.0\r\nL: 2\r\n\r\nab", false},
		{"keep-alive before", "\r\n\r\nA\r\n\r\n", "A\r\n\r\n", false},
		{"same twice", "A\r\nl: 1\r\nContent-Length : 1\r\n\r\nx", "A\r\nl: 1\r\nContent-Length : 1\r\n\r\nx", false},
		{"twice", "A\r\nl: 1\r\nl: 2\r\n\r\nxx", "", true},
		{"negative", "A\r\nl: -1\r\n\r\nxx", "", true},
		{"huge", "A\r\nl: 65535\r\n\r\nxx", "", true},
		{"endless", strings.Repeat("A: b\r\n", 20000), "", true},
	} {
		a, b := net.Pipe()
		go func() { _, _ = b.Write([]byte(tc.in)); b.Close() }()
		raw, rej, err := readMessage(a, bufio.NewReader(a), func() {})
		a.Close()
		if (rej != nil) != tc.rejected || err != nil || !tc.rejected && string(raw) != tc.want {
			t.Errorf("%s: %q %v %v", tc.name, raw, rej, err)
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add([]byte("\r\n\r\nINFO x SIP/2.0\r\nl: 2\r\n\r\nabc"))
	f.Add([]byte("A\r\nContent-Length: 3\r\nl:3\r\n\r\nabcB\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, other := net.Pipe()
		go func() { _, _ = other.Write(b); other.Close() }()
		defer a.Close()
		r := bufio.NewReader(a)
		for {
			raw, rej, err := readMessage(a, r, func() {})
			if rej != nil || err != nil {
				return
			}
			if len(raw) > message.MaxSize+4096 {
				t.Fatalf("message of %d bytes", len(raw))
			}
		}
	})
}
