package rtc

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/transport/v4/vnet"
	"github.com/pion/webrtc/v4"

	"dialtone/internal/voice/call"
)

// chromeOffer is what Chromium offers through the Voice SDK, shortened.
const chromeOffer = `v=0
o=- 6519480273571132981 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS 05d9add4
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:WqqT
a=ice-pwd:Fbo9ZyjH+De+NJ7n1XwcqON/
a=ice-options:trickle
a=fingerprint:sha-256 76:51:C0:CB:B4:0C:21:A5:DB:38:31:52:55:B9:8D:DF:1E:1F:80:13:C3:AB:C5:FE:DF:31:87:D0:14:A3:95:24
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:05d9add4 a3a1cd32
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:2951710484 cname:0gCZX7i84XG4qUxK
`

// checker sends ICE checks by hand.
type checker struct {
	t    *testing.T
	conn *net.UDPConn
	to   netip.AddrPort
}

func newChecker(t *testing.T, local string, to netip.AddrPort) *checker {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(local), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &checker{t, c, to}
}

func (c *checker) send(setters ...stun.Setter) {
	c.t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, setters...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err = c.conn.WriteToUDPAddrPort(m.Raw, c.to); err != nil {
		c.t.Fatal(err)
	}
}

// reply returns the next STUN message and where it came from; nil if none comes
// before the answer to a check that is known to be good.
func (c *checker) reply() (*stun.Message, netip.AddrPort) {
	c.t.Helper()
	var b [1500]byte
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, from, err := c.conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			c.t.Fatal(err)
		}
		if b[0] > 3 {
			continue // our ClientHello
		}
		m := &stun.Message{Raw: bytes.Clone(b[:n])}
		if err := m.Decode(); err != nil {
			c.t.Fatal(err)
		}
		return m, from
	}
}

// twice sends a check and, when it is answered, once more: with the second answer
// the first check has had all its effects. It returns the second answer.
func (c *checker) twice(setters ...stun.Setter) *stun.Message {
	c.t.Helper()
	c.send(setters...)
	c.reply()
	c.send(setters...)
	m, _ := c.reply()
	return m
}

func answered(t *testing.T, e *Engine) *Peer {
	t.Helper()
	p, _ := newPeer(t, e)
	if _, err := p.Answer(chromeOffer, []call.Codec{call.PCMU}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChecksAreAnswered(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	p := answered(t, e)
	name, key := stun.NewUsername(p.local[0].ufrag+":WqqT"), stun.NewShortTermIntegrity(p.local[0].pwd)
	c := newChecker(t, "127.0.0.1", e.listen)

	// None of these is answered: the good check at the end is answered first.
	c.send(stun.NewUsername("strange1:WqqT"), key, stun.Fingerprint)
	c.send(name, stun.NewShortTermIntegrity("wrong"), stun.Fingerprint)
	c.send(name, key)
	c.send(name, stun.Fingerprint)
	c.send(key, stun.Fingerprint)
	c.send(stun.NewUsername("no colon"), key, stun.Fingerprint)
	good := []stun.Setter{name, stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)}, stun.RawAttribute{Type: stun.AttrUseCandidate}, key, stun.Fingerprint}
	m := c.twice(good...)
	var mapped stun.XORMappedAddress
	if m.Type != stun.BindingSuccess || mapped.GetFrom(m) != nil || key.Check(m) != nil || stun.Fingerprint.Check(m) != nil {
		t.Fatalf("reply %v", m)
	}
	if want := c.conn.LocalAddr().String(); mapped.String() != want {
		t.Errorf("mapped address %v, want %v", mapped, want)
	}
	if to := p.path.Load(); to == nil || to.to.String() != c.conn.LocalAddr().String() {
		t.Errorf("path %v", to)
	}

	c.send(name, stun.RawAttribute{Type: stun.AttrICEControlled, Value: make([]byte, 8)}, key, stun.Fingerprint)
	if m, _ := c.reply(); m.Type != stun.BindingError {
		t.Errorf("a controlled browser got %v", m)
	}

	// Another address without USE-CANDIDATE is a possible path, with it the path.
	d := newChecker(t, "127.0.0.1", e.listen)
	d.twice(name, key, stun.Fingerprint)
	if p.path.Load().to.String() != c.conn.LocalAddr().String() {
		t.Error("the path moved unasked")
	}
	d.twice(good...)
	if p.path.Load().to.String() != d.conn.LocalAddr().String() {
		t.Error("the path did not move")
	}
}

// Who owns credentials of their own cannot take another's address from under it.
func TestAddressOfALivingPeerIsNotTaken(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	victim, thief := answered(t, e), answered(t, e)
	c := newChecker(t, "127.0.0.1", e.listen)
	from := c.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	check := func(p *Peer) {
		c.send(stun.NewUsername(p.local[0].ufrag+":WqqT"), stun.NewShortTermIntegrity(p.local[0].pwd), stun.Fingerprint)
	}
	check(victim)
	c.reply()
	check(thief)
	check(victim)
	if m, _ := c.reply(); stun.NewShortTermIntegrity(victim.local[0].pwd).Check(m) != nil || e.byAddr(from) != victim {
		t.Error("the address changed hands")
	}
	victim.alive.Store(-int64(stale)) // gone for a while: somebody else may get its port
	check(thief)
	m, _ := c.reply()
	if stun.NewShortTermIntegrity(thief.local[0].pwd).Check(m) != nil || e.byAddr(from) != thief {
		t.Error("a free address was not given")
	}
}

func TestAddressesOfOnePeerAreBounded(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	p := answered(t, e)
	for range 3 * maxPaths {
		c := newChecker(t, "127.0.0.1", e.listen)
		c.send(stun.NewUsername(p.local[0].ufrag+":WqqT"), stun.NewShortTermIntegrity(p.local[0].pwd), stun.Fingerprint)
		c.reply()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(p.paths) > maxPaths || len(e.addrs) > maxPaths {
		t.Errorf("%d paths, %d addresses", len(p.paths), len(e.addrs))
	}
	if to := p.path.Load(); e.addrs[to.to] != p {
		t.Error("the path in use was forgotten")
	}
}

// On a port of all addresses the answer must come from the one that was asked,
// or the browser does not recognise it.
func TestAnswerComesFromTheAddressAsked(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(listen, func(t *testing.T) {
			e := newEngine(t, listen)
			p := answered(t, e)
			for _, asked := range []string{"127.0.0.2", "127.0.0.1", "::1"} {
				a := netip.MustParseAddr(asked)
				if a.Is6() && (e.listen.Addr().Is4() || !hasIPv6()) {
					continue
				}
				local := "127.0.0.1"
				if a.Is6() {
					local = "::1"
				}
				c := newChecker(t, local, netip.AddrPortFrom(a, e.listen.Port()))
				c.send(stun.NewUsername(p.local[0].ufrag+":WqqT"), stun.NewShortTermIntegrity(p.local[0].pwd), stun.Fingerprint)
				if _, from := c.reply(); from.Addr().Unmap() != a {
					t.Errorf("%v answered for %v", from, a)
				}
			}
		})
	}
}

func hasIPv6() bool {
	c, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// A browser that vanishes is noticed by its silence, and comes back by itself
// when only the network was away.
func TestSilenceOfTheBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wan, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "10.0.0.0/24", LoggerFactory: quiet{}})
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{"10.0.0.1"}})
		theirs, _ := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{"10.0.0.2"}})
		for _, n := range []*vnet.Net{ours, theirs} {
			if err := wan.AddNet(n); err != nil {
				t.Fatal(err)
			}
		}
		var down atomic.Bool
		wan.AddChunkFilter(func(vnet.Chunk) bool { return !down.Load() })
		if err := wan.Start(); err != nil {
			t.Fatal(err)
		}
		defer wan.Stop()
		conn, err := ours.ListenPacket("udp4", "10.0.0.1:40000")
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Options{Conn: conn})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		s := newStates()
		p, err := e.NewPeer(s.put)
		if err != nil {
			t.Fatal(err)
		}
		var set webrtc.SettingEngine
		set.SetNet(theirs)
		set.SetICETimeouts(time.Minute, 2*time.Minute, 2*time.Second)
		set.LoggerFactory = quiet{}
		b := newBrowserOn(t, webrtc.MimeTypePCMU, set)
		answer, err := p.Answer(b.offer(nil), []call.Codec{call.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		b.accept(answer)
		want := func(x State, within time.Duration) {
			t.Helper()
			select {
			case got := <-s.ch:
				if got != x {
					t.Fatalf("state %v, want %v", got, x)
				}
			case <-time.After(within):
				t.Fatalf("state %v did not come within %v", x, within)
			}
		}
		want(Connected, 5*time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.ch) != 0 {
			t.Fatalf("state %v while the browser only sent checks", <-s.ch)
		}
		down.Store(true)
		want(Disconnected, disconnectedAfter+time.Second)
		down.Store(false)
		want(Connected, 5*time.Second)
		down.Store(true)
		want(Disconnected, disconnectedAfter+time.Second)
		want(Failed, failedAfter)
		_ = p.Close()
		want(Closed, time.Second)
		_ = b.Close()
	})
}

func TestNoBrowserEverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{"10.0.0.1"}})
		conn, err := n.ListenPacket("udp4", "127.0.0.1:40000")
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Options{Conn: conn})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		s := newStates()
		p, err := e.NewPeer(s.put)
		if err != nil {
			t.Fatal(err)
		}
		offer, err := p.Offer([]call.Codec{call.PCMU})
		if err != nil || !strings.Contains(offer, "m=audio") {
			t.Fatal(offer, err)
		}
		time.Sleep(time.Hour) // it rings; that is not our business
		begin := time.Now()
		if err := p.Accept(strings.Replace(chromeOffer, "actpass", "active", 1)); err != nil {
			t.Fatal(err)
		}
		if got := <-s.ch; got != Failed || time.Since(begin) != failedAfter {
			t.Errorf("%v after %v", got, time.Since(begin))
		}
	})
}
