package rtc

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"dialtone/internal/voice/call"
)

// Garbage on the port, is dropped; the calls on it do not notice.
func TestGarbageOnThePort(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	b, p, s := dial(t, e, webrtc.MimeTypePCMU, call.PCMU)
	talk(t, b, p)
	s.wait(t, Connected)
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(e.listen))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		junk := make([]byte, r.IntN(1500))
		for i := range junk {
			junk[i] = byte(r.Uint32())
		}
		if len(junk) > 0 && r.IntN(2) == 0 {
			junk[0] = [...]byte{0, 1, 22, 23, 128, 144}[r.IntN(6)]
		}
		_, _ = stranger.Write(junk) // an empty one too
	}
	talk(t, b, p)
}

// Whatever comes to the port, nothing crashes and nothing is taken for a
// browser's.
func FuzzPort(f *testing.F) {
	e, err := New(Options{Conn: nowhere{done: make(chan struct{})}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	p, err := e.NewPeer(nil)
	if err != nil {
		f.Fatal(err)
	}
	if _, err = p.Answer(chromeOffer, []call.Codec{call.PCMU}); err != nil {
		f.Fatal(err)
	}
	check, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername("abcdefgh:WqqT"), stun.NewShortTermIntegrity("no"), stun.Fingerprint)
	if err != nil {
		f.Fatal(err)
	}
	known := netip.MustParseAddrPort("192.0.2.1:4000")
	e.addrs[known] = p
	k := testKeys(f)
	f.Add(check.Raw, false)
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, true)
	f.Add([]byte{0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, true)
	f.Add([]byte{0xb0, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, 1, 0, 0}, true)
	f.Add([]byte{0x81, 201, 0, 7}, true)
	p.OnRTP(func(*rtp.Header, []byte) { f.Error("a forged packet was taken for audio") })
	f.Fuzz(func(t *testing.T, b []byte, fromBrowser bool) {
		if len(b) == 0 || len(b) > maxDatagram {
			return
		}
		from := netip.MustParseAddrPort("192.0.2.9:9")
		if fromBrowser {
			from = known
			p.keys.Store(k)
		}
		alive := p.alive.Load()
		e.dispatch(b, nil, from)
		if p.alive.Load() != alive {
			t.Error("an unauthenticated packet counts as a sign of life")
		}
	})
}

func testKeys(t testing.TB) *keys {
	t.Helper()
	key, salt := make([]byte, 16), make([]byte, 12)
	tx, err := srtp.CreateContext(key, salt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	key[0] = 1 // the fuzzer must not guess it by echo
	rx, err := srtp.CreateContext(key, salt, srtp.ProtectionProfileAeadAes128Gcm, srtp.SRTPReplayProtection(128))
	if err != nil {
		t.Fatal(err)
	}
	return &keys{tx: tx, rx: rx}
}

// What one packet costs on its way out and in, without the socket.
func BenchmarkPacket(b *testing.B) {
	for _, profile := range []srtp.ProtectionProfile{srtp.ProtectionProfileAeadAes128Gcm, srtp.ProtectionProfileAes128CmHmacSha1_80} {
		b.Run(profile.String(), func(b *testing.B) {
			e, err := New(Options{Conn: nowhere{done: make(chan struct{})}})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			p, err := e.NewPeer(nil)
			if err != nil {
				b.Fatal(err)
			}
			salt := 12
			if profile == srtp.ProtectionProfileAes128CmHmacSha1_80 {
				salt = 14
			}
			context := func(o ...srtp.ContextOption) *srtp.Context {
				c, err := srtp.CreateContext(make([]byte, 16), make([]byte, salt), profile, o...)
				if err != nil {
					b.Fatal(err)
				}
				return c
			}
			k := &keys{tx: context(), rx: context(srtp.SRTPReplayProtection(128))}
			p.keys.Store(k)
			p.path.Store(&path{to: netip.MustParseAddrPort("192.0.2.1:4000")})
			source := context()
			var heard int
			p.OnRTP(func(*rtp.Header, []byte) { heard++ })
			h := rtp.Header{Version: 2}
			payload := make([]byte, 160)
			var raw, sealed [maxDatagram]byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.SequenceNumber, h.Timestamp = uint16(i), uint32(160*i)
				if err := p.WriteRTP(&h, payload); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				n, _ := h.MarshalTo(raw[:])
				out, err := source.EncryptRTP(sealed[:0], raw[:n+160], nil)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				p.receiveRTP(out, int64(time.Second))
			}
			if heard == 0 {
				b.Fatal("nothing was heard")
			}
		})
	}
}
