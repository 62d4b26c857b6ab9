package audio

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

const patience = 10 * time.Second

var pcmu = media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 96, DTMFRate: 8000}

type rig struct {
	*Session
	t         *testing.T
	strangers atomic.Int32
	got       chan rtp.Packet
	at        netip.AddrPort
}

func open(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, got: make(chan rtp.Packet, 1000)}
	var err error
	r.Session, err = Open(Options{Bind: netip.MustParseAddr("127.0.0.1"), Stranger: func() { r.strangers.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.OnRTP(func(h *rtp.Header, payload []byte) {
		r.got <- rtp.Packet{Header: *h, Payload: bytes.Clone(payload)}
	})
	r.at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(r.Port()))
	return r
}

// far is a socket of the far end, or of a stranger.
type far struct {
	*net.UDPConn
	t *testing.T
	h rtp.Header
}

func newFar(t *testing.T, host string) *far {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &far{UDPConn: c, t: t, h: rtp.Header{Version: 2, SSRC: 9, SequenceNumber: 65534}}
}

func (f *far) addr() netip.AddrPort { return f.LocalAddr().(*net.UDPAddr).AddrPort() }

func (f *far) send(to netip.AddrPort, payload string) {
	f.t.Helper()
	f.h.SequenceNumber++
	f.h.Timestamp += 160
	b, err := (&rtp.Packet{Header: f.h, Payload: []byte(payload)}).Marshal()
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.WriteToUDPAddrPort(b, to); err != nil {
		f.t.Fatal(err)
	}
}

func (f *far) hears() *rtp.Packet {
	f.t.Helper()
	buf := make([]byte, 2000)
	_ = f.SetReadDeadline(time.Now().Add(patience))
	n, err := f.Read(buf)
	if err != nil {
		f.t.Fatal("nothing is heard")
	}
	var p rtp.Packet
	if err := p.Unmarshal(buf[:n]); err != nil {
		f.t.Fatal(err)
	}
	return &p
}

func (r *rig) hears(payload string) rtp.Packet {
	r.t.Helper()
	select {
	case p := <-r.got:
		if string(p.Payload) != payload {
			r.t.Fatalf("heard %q, want %q", p.Payload, payload)
		}
		return p
	case <-time.After(patience):
		r.t.Fatalf("%q is not heard", payload)
		panic("unreachable")
	}
}

func (r *rig) strange(n int32) {
	r.t.Helper()
	for end := time.Now().Add(patience); r.strangers.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%d strangers, want %d", r.strangers.Load(), n)
		}
	}
	if len(r.got) != 0 {
		r.t.Fatalf("heard a stranger: %v", <-r.got)
	}
}

func TestAudio(t *testing.T) {
	r, f := open(t), newFar(t, "127.0.0.1")
	if r.Port()%2 != 0 || r.Port() == 0 {
		t.Errorf("port %d", r.Port())
	}
	h := &rtp.Header{Version: 2, PayloadType: 0, SequenceNumber: 5, Timestamp: 7, SSRC: 1, Marker: true}
	if err := r.WriteRTP(h, []byte("before")); err != nil {
		t.Errorf("before it is up: %v", err)
	}
	if _, ok := r.Format(); ok {
		t.Error("a format before one was agreed")
	}
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	if err := r.WriteRTP(h, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	p := f.hears()
	if string(p.Payload) != "hello" || p.SequenceNumber != 5 || p.Timestamp != 7 || !p.Marker || p.SSRC == 1 {
		t.Errorf("heard %+v", p)
	}
	if h.SSRC != 1 {
		t.Error("the caller's header was changed")
	}
	f.send(r.at, "hi")
	r.hears("hi")
	// What is no RTP does no harm.
	for _, b := range []string{"", "x", "\x80", string(make([]byte, 12)), "\xb0\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\xff"} {
		_, _ = f.WriteToUDPAddrPort([]byte(b), r.at)
	}
	f.send(r.at, "on")
	r.hears("on")
	held := pcmu
	held.SendOnly = true
	r.Agree(Far{Addr: f.addr(), Format: held})
	_ = r.WriteRTP(h, []byte("not wanted"))
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	_ = r.WriteRTP(h, []byte("wanted"))
	if p := f.hears(); string(p.Payload) != "wanted" {
		t.Errorf("heard %q while on hold", p.Payload)
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	r, f := open(t), newFar(t, "127.0.0.1")
	neighbour, stranger := newFar(t, "127.0.0.1"), newFar(t, "127.0.0.9")
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	// From another address nothing is believed, however much comes, also before the
	// far end sends.
	for range 20 {
		stranger.send(r.at, "stranger")
	}
	r.strange(20)
	f.send(r.at, "one")
	r.hears("one")
	// Nor from the same address once the source is known.
	for range 20 {
		neighbour.send(r.at, "neighbour")
	}
	r.strange(40)
	_ = r.WriteRTP(&rtp.Header{Version: 2}, []byte("x"))
	if p := f.hears(); string(p.Payload) != "x" {
		t.Errorf("%q", p.Payload)
	}
}

// NAT: the far end names a private address, its packets come from where its
// signalling comes from.
func TestSourceIsLearnt(t *testing.T) {
	r, f := open(t), newFar(t, "127.0.0.3")
	named := netip.MustParseAddrPort("10.1.2.3:4000")
	r.Agree(Far{Addr: named, Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}, Format: pcmu})
	f.send(r.at, "1")
	f.send(r.at, "2")
	r.strange(2)
	f.send(r.at, "3")
	r.hears("3")
	_ = r.WriteRTP(&rtp.Header{Version: 2}, []byte("back"))
	f.hears()
	// Another port of the same place cannot push in.
	other := newFar(t, "127.0.0.3")
	for range 5 {
		other.send(r.at, "other")
	}
	r.strange(7)
}

// The named address is believed at once, even after another was learnt.
func TestNamedSourceWins(t *testing.T) {
	r, f, first := open(t), newFar(t, "127.0.0.1"), newFar(t, "127.0.0.1")
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	for range 3 {
		first.send(r.at, "first")
	}
	r.hears("first")
	f.send(r.at, "named")
	r.hears("named")
	first.send(r.at, "first")
	r.strange(3)
}

// A new description lets the source move; the same one does not.
func TestRelearnAfterReinvite(t *testing.T) {
	r, f, g := open(t), newFar(t, "127.0.0.1"), newFar(t, "127.0.0.9")
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	f.send(r.at, "f")
	r.hears("f")
	r.Agree(Far{Addr: f.addr(), Format: pcmu})
	g.send(r.at, "g")
	r.strange(1)
	r.Agree(Far{Addr: g.addr(), Format: pcmu})
	g.send(r.at, "g")
	r.hears("g")
	f.send(r.at, "f")
	r.strange(2)
}

func TestRelearnAfterSilence(t *testing.T) {
	far := Far{Addr: netip.MustParseAddrPort("192.0.2.1:4000"), Format: pcmu}
	moved, elsewhere := netip.MustParseAddrPort("192.0.2.1:4002"), netip.MustParseAddrPort("198.51.100.1:4000")
	var s source
	now := time.Now()
	h := rtp.Header{SequenceNumber: 1}
	next := func(from netip.AddrPort, after time.Duration) bool {
		now = now.Add(after)
		h.SequenceNumber++
		return s.take(&far, &h, from, now)
	}
	if !next(far.Addr, 0) {
		t.Fatal("the named source is not believed")
	}
	for range 10 {
		if next(moved, 100*time.Millisecond) {
			t.Fatal("taken over while the source may only pause")
		}
	}
	now = now.Add(relearnAfter)
	for range 10 {
		if next(elsewhere, time.Millisecond) {
			t.Fatal("taken over from elsewhere")
		}
	}
	for i, want := range []bool{false, false, true} {
		if next(moved, 0) != want {
			t.Errorf("packet %d of the new source: %v", i, !want)
		}
	}
	if !next(far.Addr, 0) {
		t.Error("the named source is not believed any more")
	}
}

func TestOfferedTypeOfDTMF(t *testing.T) {
	r, f := open(t), newFar(t, "127.0.0.1")
	r.Agree(Far{Addr: f.addr(), Format: pcmu, DTMF: 101})
	f.h.PayloadType = 101
	f.send(r.at, "key")
	if p := r.hears("key"); p.PayloadType != 96 {
		t.Errorf("payload type %d", p.PayloadType)
	}
}

func TestPorts(t *testing.T) {
	o := Options{Bind: netip.MustParseAddr("127.0.0.1"), Low: 42001, High: 42006}
	var open []*Session
	for range 2 {
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if p := s.Port(); p != 42002 && p != 42004 {
			t.Errorf("port %d", p)
		}
		open = append(open, s)
	}
	if _, err := Open(o); err == nil {
		t.Error("more sessions than ports")
	}
	open[0].Close()
	s, err := Open(o)
	if err != nil {
		t.Errorf("the freed port is not taken: %v", err)
	}
	s.Close()
	open[1].Close()
}

func TestManyAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s, err := Open(Options{Bind: netip.MustParseAddr("127.0.0.1")})
			if err != nil {
				t.Error(err)
				return
			}
			if s.rtcp.local.Port() != s.rtp.local.Port()+1 {
				t.Errorf("RTCP on %s for RTP on %s", s.rtcp.local, s.rtp.local)
			}
			s.Close()
			s.Close()
		})
	}
	wg.Wait()
}

func TestReports(t *testing.T) {
	r, f, c := open(t), newFar(t, "127.0.0.1"), newFar(t, "127.0.0.1")
	r.Agree(Far{Addr: f.addr(), RTCP: c.addr().Port(), Format: pcmu})
	for range 4 {
		f.send(r.at, "12345678")
		r.hears("12345678")
	}
	f.h.SequenceNumber += 6 // lost
	f.send(r.at, "12345678")
	r.hears("12345678")
	_ = r.WriteRTP(&rtp.Header{Version: 2, Timestamp: 160}, make([]byte, 160))
	r.sendReport(time.Now())
	buf := make([]byte, 2000)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal("no report came")
	}
	packets, err := rtcp.Unmarshal(buf[:n])
	if err != nil || len(packets) != 2 {
		t.Fatalf("%v %v", packets, err)
	}
	sr, ok := packets[0].(*rtcp.SenderReport)
	if !ok || sr.PacketCount != 1 || sr.OctetCount != 160 || len(sr.Reports) != 1 {
		t.Fatalf("%v", packets[0])
	}
	if b := sr.Reports[0]; b.SSRC != 9 || b.TotalLost != 6 || b.LastSequenceNumber != 65536+9 || b.FractionLost != 6*256/11 {
		t.Errorf("%+v", b)
	}
	// The far end's report is noted, a stranger's is not.
	stranger := newFar(t, "127.0.0.9")
	block := func(lost uint32) []byte {
		b, err := (&rtcp.ReceiverReport{SSRC: 9, Reports: []rtcp.ReceptionReport{{SSRC: r.ssrc, TotalLost: lost}}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, _ = stranger.WriteToUDPAddrPort(block(1000), r.rtcp.local)
	_, _ = c.WriteToUDPAddrPort([]byte("garbage"), r.rtcp.local)
	_, _ = c.WriteToUDPAddrPort(block(17), r.rtcp.local)
	for end := time.Now().Add(patience); r.Figures().FarLost != 17; time.Sleep(time.Millisecond) {
		if lost := r.Figures().FarLost; lost != 0 || time.Now().After(end) {
			t.Fatalf("%d lost there", lost)
		}
	}
	if f := r.Figures(); f.Received != 5 || f.Lost != 6 {
		t.Errorf("%+v", f)
	}
}
