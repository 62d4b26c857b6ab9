package rtc

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

func newPeer(t *testing.T, e *Engine) (*Peer, *states) {
	t.Helper()
	s := newStates()
	p, err := e.NewPeer(s.put)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, s
}

// dial connects a new browser that calls with a new peer that answers.
func dial(t *testing.T, e *Engine, mime string, codecs ...call.Codec) (*browser, *Peer, *states) {
	t.Helper()
	p, s := newPeer(t, e)
	b := newBrowser(t, mime)
	answer, err := p.Answer(b.offer(nil), codecs)
	if err != nil {
		t.Fatal(err)
	}
	b.accept(answer)
	return b, p, s
}

func TestBrowserCalls(t *testing.T) {
	for _, c := range []struct {
		mime string
		want media.Format
	}{
		{webrtc.MimeTypePCMU, media.Format{Codec: call.PCMU, PayloadType: 0, ClockRate: 8000, DTMF: 126, DTMFRate: 8000}},
		{webrtc.MimeTypePCMA, media.Format{Codec: call.PCMA, PayloadType: 8, ClockRate: 8000, DTMF: 126, DTMFRate: 8000}},
		{webrtc.MimeTypeOpus, media.Format{Codec: call.Opus, PayloadType: 111, ClockRate: 48000, DTMF: 110, DTMFRate: 48000}},
	} {
		t.Run(string(c.want.Codec), func(t *testing.T) {
			e := newEngine(t, "127.0.0.1:0")
			b, p, s := dial(t, e, c.mime, c.want.Codec)
			if f, _ := p.Format(); f != c.want {
				t.Errorf("format %+v, want %+v", f, c.want)
			}
			// The client under test nominates at its second round of checks, 200 ms
			// after the first; Chromium does at once (facts: 20–40 ms).
			there, here := talk(t, b, p)
			t.Logf("after the answer the browser heard us in %v, we it in %v", there, here)
			if there > time.Second || here > time.Second {
				t.Errorf("audio took %v and %v to come up", there, here)
			}
			s.wait(t, Connected)
			_ = p.Close()
			s.wait(t, Closed)
		})
	}
}

func TestBrowserIsCalled(t *testing.T) {
	for _, c := range []call.Codec{call.PCMU, call.PCMA, call.Opus} {
		t.Run(string(c), func(t *testing.T) {
			e := newEngine(t, "127.0.0.1:0")
			p, s := newPeer(t, e)
			offer, err := p.Offer([]call.Codec{c})
			if err != nil {
				t.Fatal(err)
			}
			b := newBrowser(t, "audio/"+string(c))
			if err = p.Accept(b.answer(offer)); err != nil {
				t.Fatal(err)
			}
			if f, ok := p.Format(); !ok || f.Codec != c || f.DTMF == 0 || f.DTMFRate != f.ClockRate {
				t.Errorf("format %+v", f)
			}
			there, here := talk(t, b, p)
			t.Logf("after the accept the browser heard us in %v, we it in %v", there, here)
			s.wait(t, Connected)
			if err := p.Accept(b.LocalDescription().SDP); fault.KindOf(err) != fault.Conflict {
				t.Errorf("a second answer: %v", err)
			}
		})
	}
}

// An ICE restart must not be heard: packets flow on the old path until the
// browser uses the new credentials.
func TestICERestartDuringTalk(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	talk(t, b, p)
	s.wait(t, Connected)
	var heard, last, longest atomic.Int64
	p.OnRTP(func(*rtp.Header, []byte) {
		now := e.now()
		if gap := now - last.Swap(now); heard.Add(1) > 1 && gap > longest.Load() {
			longest.Store(gap)
		}
	})
	more := func(n int64) {
		t.Helper()
		limit := time.Now().Add(10 * time.Second)
		for want := heard.Load() + n; heard.Load() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatal("the browser is not heard any more")
			}
		}
	}

	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				b.say(0x11)
			}
		}
	})
	more(5)
	before := strings.Count(b.RemoteDescription().SDP, "ufrag")
	ours := p.local[0]
	answer, err := p.Answer(b.offer(&webrtc.OfferOptions{ICERestart: true}), []call.Codec{call.PCMA, call.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(answer, ours.ufrag) || before != 1 {
		t.Error("the answer to a restart repeats our credentials")
	}
	if f, _ := p.Format(); f.Codec != call.PCMU {
		t.Errorf("a restart changed the codec to %v", f.Codec)
	}
	b.accept(answer)
	s.wait(t, Connected)
	more(5)
	close(stop)
	sender.Wait()
	gap := time.Duration(longest.Load())
	t.Logf("longest gap between packets across the restart: %v", gap)
	if gap > time.Second {
		t.Error("the restart was heard")
	}
	talk(t, b, p)
	if name := e.ufrags; len(name) != 1 {
		t.Errorf("%d credentials are known after the restart, want the new one", len(name))
	}
}

// A page that was loaded anew continues the call with a connection of its own.
func TestAnotherPageTakesOver(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	talk(t, b, p)
	s.wait(t, Connected)
	second := newBrowser(t, webrtc.MimeTypePCMU)
	answer, err := p.Answer(second.offer(nil), []call.Codec{call.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	second.accept(answer)
	talk(t, second, p)
	s.wait(t, Connected)
	// The old page goes, late. The call stays.
	_ = b.Close()
	talk(t, second, p)
	_ = second.Close()
	s.wait(t, Closed)
}

func TestPeersDoNotMix(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	const n = 6
	type end struct {
		b *browser
		p *Peer
	}
	ends := make([]end, n)
	for i := range ends {
		ends[i].b, ends[i].p, _ = dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	}
	var counts [n]atomic.Int64
	for i, x := range ends {
		x.p.OnRTP(func(_ *rtp.Header, payload []byte) {
			if payload[0] != byte(i+1) {
				t.Errorf("peer %d heard browser %d", i, payload[0]-1)
			}
			counts[i].Add(1)
		})
	}
	deadline := time.Now().Add(10 * time.Second)
	for done := 0; done < n; {
		if time.Now().After(deadline) {
			t.Fatal("not everybody heard")
		}
		done = 0
		for i, x := range ends {
			x.b.say(byte(i + 1))
			var payload [160]byte
			payload[0] = byte(i + 101)
			_ = x.p.WriteRTP(&rtp.Header{SequenceNumber: x.b.seq}, payload[:])
			for len(x.b.heard) > 0 {
				if got := <-x.b.heard; got.Payload[0] != byte(i+101) {
					t.Fatalf("browser %d heard peer %d", i, got.Payload[0]-101)
				}
				counts[i].Add(1 << 32)
			}
			if c := counts[i].Load(); c>>32 >= 5 && c&0xffffffff >= 5 {
				done++
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestKeysTravelAsEvents(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	talk(t, b, p)
	s.wait(t, Connected)
	got := make(chan byte, 10)
	ep := media.NewEndpoint(p, nil, media.Hooks{Digit: func(d byte, _ bool) { got <- d }})
	defer ep.Close()
	for i := range 5 {
		b.seq++
		end := byte(0)
		if i > 2 {
			end = 0x80
		}
		h := rtp.Header{Version: 2, PayloadType: 126, SequenceNumber: b.seq, Timestamp: 5000, Marker: i == 0}
		if err := b.track.write(h, []byte{5, end | 10, byte(160 * i >> 8), byte(160 * i)}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case d := <-got:
		if d != '5' {
			t.Errorf("key %c", d)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the key never came")
	}
	for len(b.heard) > 0 {
		<-b.heard
	}
	ep.SendDigits("9")
	for {
		select {
		case pkt := <-b.heard:
			if pkt.PayloadType == 126 {
				if pkt.Payload[0] != 9 {
					t.Errorf("the browser heard event %d", pkt.Payload[0])
				}
				return
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the browser heard no event")
		}
	}
}

func TestCloseFreesEverything(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	peers := make([]*Peer, 50)
	for i := range peers {
		var s *states
		if i%10 == 0 { // some of them with a real connection
			var b *browser
			b, peers[i], s = dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
			talk(t, b, peers[i])
			s.wait(t, Connected)
			defer b.Close()
		} else {
			peers[i], _ = newPeer(t, e)
			if _, err := peers[i].Offer([]call.Codec{call.PCMU}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range peers {
		_ = p.Close()
		<-p.left
	}
	e.mu.Lock()
	if len(e.peers)+len(e.addrs)+len(e.ufrags) != 0 {
		t.Errorf("left behind: %d peers, %d addresses, %d credentials", len(e.peers), len(e.addrs), len(e.ufrags))
	}
	e.mu.Unlock()
	ours := func() string {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		var left []string
		for _, g := range strings.Split(string(stacks), "\n\n") {
			if strings.Contains(g, "voice/rtc.(*Peer)") || strings.Contains(g, "voice/rtc.(*association)") {
				left = append(left, g)
			}
		}
		return strings.Join(left, "\n\n")
	}
	if left := ours(); left != "" {
		t.Errorf("goroutines left of %d before:\n%s", before, left)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := e.NewPeer(nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a peer of a closed engine: %v", err)
	}
}

// waiting is an offer of a browser that leaves DTLS to us.
func waiting(offer string) string {
	return strings.Replace(offer, "a=setup:actpass", "a=setup:passive", 1)
}

func TestWeBeginDTLS(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	p, s := newPeer(t, e)
	b := newBrowser(t, webrtc.MimeTypePCMU)
	answer, err := p.Answer(waiting(b.offer(nil)), []call.Codec{call.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer, "a=setup:active") {
		t.Errorf("answered\n%s", answer)
	}
	b.accept(answer)
	talk(t, b, p)
	s.wait(t, Connected)
}

// The certificate must be the one of the SDP, whoever begins DTLS.
func TestForeignCertificateIsRefused(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	forge := func(sdp string) string {
		at := strings.Index(sdp, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
		return sdp[:at] + strings.Repeat("AB:", 31) + "AB" + sdp[at+95:]
	}
	t.Run("we begin", func(t *testing.T) {
		p, s := newPeer(t, e)
		b := newBrowser(t, webrtc.MimeTypePCMU)
		answer, err := p.Answer(forge(waiting(b.offer(nil))), []call.Codec{call.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		b.accept(answer)
		s.wait(t, Failed)
	})
	t.Run("the browser begins", func(t *testing.T) {
		p, s := newPeer(t, e)
		offer, err := p.Offer([]call.Codec{call.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		b := newBrowser(t, webrtc.MimeTypePCMU)
		if err := p.Accept(forge(b.answer(offer))); err != nil {
			t.Fatal(err)
		}
		s.wait(t, Failed)
	})
}

func TestBrowserHangsUpByDTLS(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	talk(t, b, p)
	s.wait(t, Connected)
	_ = b.Close()
	s.wait(t, Closed)
}

func TestAnnouncedAddresses(t *testing.T) {
	conn, err := net.ListenPacket("udp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	public := []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}
	e, err := New(Options{Conn: conn, Announce: public, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, _ := newPeer(t, e)
	sdp, err := p.Offer([]call.Codec{call.PCMU, call.Opus})
	if err != nil {
		t.Fatal(err)
	}
	port := e.listen.Port()
	for _, want := range []string{
		fmt.Sprintf("a=candidate:1 1 udp 2130706431 203.0.113.7 %d typ host", port),
		fmt.Sprintf("a=candidate:2 1 udp 2130706175 2001:db8::7 %d typ host", port),
		fmt.Sprintf("m=audio %d UDP/TLS/RTP/SAVPF 0 111 110 126", port),
		"c=IN IP4 203.0.113.7", "a=ice-lite", "a=end-of-candidates", "a=setup:actpass",
	} {
		if !strings.Contains(sdp, want+"\r\n") {
			t.Errorf("no %q in\n%s", want, sdp)
		}
	}
	for _, not := range []string{"a=ssrc", "a=msid", "127.0.0.1 " + fmt.Sprint(port)} {
		if strings.Contains(sdp, not) {
			t.Errorf("%q in\n%s", not, sdp)
		}
	}
}

func TestAllLocalAddressesAreOffered(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp4", "udp"} { // "udp" is a port of both families
		conn, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Options{Conn: conn})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		both := !e.listen.Addr().Is4()
		p, _ := newPeer(t, e)
		sdp, err := p.Offer([]call.Codec{call.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			ip := a.(*net.IPNet).IP
			want := (ip.To4() != nil || both) && !ip.IsLinkLocalUnicast()
			line := fmt.Sprintf(" %v %d typ host", ip, e.listen.Port())
			if got := strings.Contains(sdp, line); got != want {
				t.Errorf("%s: %v offered: %v, want %v", network, ip, got, want)
			}
		}
	}
}

// Two browsers on one bridge hear each other, every packet once and untouched.
func TestTwoBrowsersOnABridge(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	var b [2]*browser
	var ep [2]*media.Endpoint
	for i := range b {
		var p *Peer
		var s *states
		b[i], p, s = dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
		talk(t, b[i], p)
		s.wait(t, Connected)
		ep[i] = media.NewEndpoint(p, nil, media.Hooks{})
		defer ep[i].Close()
	}
	for i := range b {
		for len(b[i].heard) > 0 {
			<-b[i].heard
		}
	}
	media.Bridge(ep[0], ep[1])
	const n = 100
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		b[0].say(byte(i))
		b[1].say(byte(100 + i))
	}
	for i, first := range []byte{100, 0} {
		var last *rtp.Packet
		for k := range n {
			select {
			case p := <-b[i].heard:
				for k == 0 && (p.Payload[0] == 0x11 || p.Payload[0] == 0x22) {
					p = <-b[i].heard // talk's last packets were still on their way
				}
				if p.Payload[0] != first+byte(k) || len(p.Payload) != 160 {
					t.Fatalf("browser %d heard %d in place of %d", i, p.Payload[0], first+byte(k))
				}
				if last != nil && (p.SequenceNumber != last.SequenceNumber+1 || p.Timestamp != last.Timestamp+160) {
					t.Fatalf("browser %d: packet %v after %v", i, p.Header, last.Header)
				}
				last = p
			case <-time.After(5 * time.Second):
				t.Fatalf("browser %d heard %d packets of %d", i, k, n)
			}
		}
	}
}
