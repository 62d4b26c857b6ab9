package rtc

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/srtp"
)

// A real client understands our reports, and we its.
func TestReportsWithABrowser(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	heard := make(chan []rtcp.Packet, 100)
	talk(t, b, p)
	s.wait(t, Connected)
	r := b.GetSenders()[0] // who learns of all that reports on its stream
	go func() {
		for {
			packets, _, err := r.ReadRTCP()
			if err != nil {
				return
			}
			heard <- packets
		}
	}()
	// The client makes its reports on its own clock, once a second.
	p.report(time.Now())
	var sr *rtcp.SenderReport
	select {
	case packets := <-heard:
		var ok bool
		if sr, ok = packets[0].(*rtcp.SenderReport); !ok {
			t.Fatalf("the browser got %v", packets)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the browser got no report")
	}
	if sr.SSRC != p.ssrc || sr.PacketCount == 0 || len(sr.Reports) != 1 || sr.Reports[0].TotalLost != 0 {
		t.Errorf("%+v", sr)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	p.OnRTP(nil)
	h := rtp.Header{Version: 2, SequenceNumber: uint16(sr.PacketCount) + 1000, Timestamp: sr.RTPTime}
	for end := time.Now().Add(10 * time.Second); p.Figures().RoundTrip == 0; <-tick.C {
		h.SequenceNumber++
		h.Timestamp += 160
		_ = p.WriteRTP(&h, make([]byte, 160))
		b.say(1)
		p.report(time.Now())
		if time.Now().After(end) {
			t.Fatalf("no report of the browser's: %+v", p.Figures())
		}
	}
	f := p.Figures()
	t.Logf("%+v", f)
	if f.Received == 0 || f.RoundTrip > time.Second || f.Lost > 0 {
		t.Errorf("%+v", f)
	}
}

// Each leg of a bridge knows how both ways fare: it counts what came, and the
// browser reports the rest.
func TestFiguresOfABridge(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	var b [2]*browser
	var peers [2]*Peer
	var ep [2]*media.Endpoint
	for i := range b {
		var s *states
		b[i], peers[i], s = dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
		s.wait(t, Connected)
		go func() { // without a reader the client takes no notice of our reports
			for r := b[i].GetSenders()[0]; ; {
				if _, _, err := r.ReadRTCP(); err != nil {
					return
				}
			}
		}()
		ep[i] = media.NewEndpoint(peers[i], nil, media.Hooks{})
		defer ep[i].Close()
	}
	media.Bridge(ep[0], ep[1])
	known := func(m call.Media) bool { return m.MOS > 4 && m.FarMOS > 4 && m.RoundTrip > 0 }
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n, end := 0, time.Now().Add(10*time.Second); !known(ep[0].Stats()) || !known(ep[1].Stats()); n++ {
		<-tick.C
		b[0].say(byte(n))
		b[1].say(byte(n))
		if n%50 == 25 { // the browsers answer within a second
			peers[0].report(time.Now())
			peers[1].report(time.Now())
		}
		if time.Now().After(end) {
			t.Fatalf("%+v\n%+v", ep[0].Stats(), ep[1].Stats())
		}
	}
	for i, e := range ep {
		m := e.Stats()
		if t.Logf("%+v", m); m.Codec != call.PCMU || m.Lost != 0 || m.FarLost != 0 || m.Bursts != 0 || m.RoundTrip > time.Second {
			t.Errorf("browser %d: %+v", i, m)
		}
	}
}

// collector keeps the SRTCP that is sent.
type collector struct {
	nowhere
	reports chan []byte
}

func (c *collector) WriteTo(b []byte, _ net.Addr) (int, error) {
	if b[1] >= 192 && b[1] < 224 {
		c.reports <- bytes.Clone(b)
	}
	return len(b), nil
}

// Reports go out by themselves while the leg is up, at intervals that differ.
func TestReportsComeByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &collector{nowhere: nowhere{done: make(chan struct{})}, reports: make(chan []byte, 100)}
		e, err := New(Options{Conn: conn})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.NewPeer(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		p.remote = &description{} // as if there had been an answer
		p.mu.Unlock()
		p.keys.Store(&keys{tx: sender(t, srtp.AEADAES128GCM, 0), rx: receiver(t, srtp.AEADAES128GCM, 1)})
		p.path.Store(&path{to: netip.MustParseAddrPort("192.0.2.1:4000")})
		p.lives(e.now())
		p.stir()
		h := rtp.Header{Version: 2}
		browser := receiver(t, srtp.AEADAES128GCM, 0)
		var times []time.Time
		for range 50 * 60 {
			h.SequenceNumber++
			h.Timestamp += 160
			if err := p.WriteRTP(&h, make([]byte, 160)); err != nil {
				t.Fatal(err)
			}
			p.lives(e.now())
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			for len(conn.reports) > 0 {
				plain, err := browser.UnprotectReport(<-conn.reports)
				if err != nil {
					t.Fatal(err)
				}
				packets, err := rtcp.Unmarshal(plain)
				if err != nil {
					t.Fatal(err)
				}
				if sr := packets[0].(*rtcp.SenderReport); sr.PacketCount != uint32(h.SequenceNumber) {
					t.Errorf("%d packets reported of %d", sr.PacketCount, h.SequenceNumber)
				}
				times = append(times, time.Now())
			}
		}
		if len(times) < 60/6 || len(times) > 60/2 {
			t.Fatalf("%d reports a minute", len(times))
		}
		intervals := map[time.Duration]bool{}
		for i := range times[1:] {
			intervals[times[i+1].Sub(times[i]).Round(time.Millisecond)] = true
		}
		if len(intervals) < 3 {
			t.Errorf("intervals %v", intervals)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}
