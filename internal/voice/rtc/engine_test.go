package rtc

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/srtp"
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
	return &keys{tx: sender(t, srtp.AEADAES128GCM, 0), rx: receiver(t, srtp.AEADAES128GCM, 1)} // the fuzzer must not guess it by echo
}

func secret(p srtp.Profile, first byte) srtp.Keys {
	k := srtp.Keys{Profile: p, Key: make([]byte, p.KeyLen()), Salt: make([]byte, p.SaltLen())}
	k.Key[0] = first
	return k
}

func sender(t testing.TB, p srtp.Profile, first byte) *srtp.Sender {
	t.Helper()
	s, err := srtp.NewSender(secret(p, first))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func receiver(t testing.TB, p srtp.Profile, first byte) *srtp.Receiver {
	t.Helper()
	r, err := srtp.NewReceiver(secret(p, first))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What one packet costs on its way out and in, without the socket.
func BenchmarkPacket(b *testing.B) {
	for _, profile := range []srtp.Profile{srtp.AEADAES128GCM, srtp.AES128CMSHA1Tag80} {
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
			p.keys.Store(&keys{tx: sender(b, profile, 0), rx: receiver(b, profile, 0)})
			p.path.Store(&path{to: netip.MustParseAddrPort("192.0.2.1:4000")})
			source := sender(b, profile, 0)
			var heard int
			p.OnRTP(func(*rtp.Header, []byte) { heard++ })
			h := rtp.Header{Version: 2}
			payload := make([]byte, 160)
			var raw [maxDatagram]byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.SequenceNumber, h.Timestamp = uint16(i), uint32(160*i)
				if err := p.WriteRTP(&h, payload); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				n, _ := h.MarshalTo(raw[:])
				out, err := source.Protect(raw[:n+160])
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

// What is not the browser's, or was there before, is counted and changes nothing;
// another SSRC under the same keys is heard on.
func TestBadPacketsAreCounted(t *testing.T) {
	metrics := prometheus.NewRegistry()
	e, err := New(Options{Conn: nowhere{done: make(chan struct{})}, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, _ := newPeer(t, e)
	known := netip.MustParseAddrPort("192.0.2.1:4000")
	e.mu.Lock()
	e.addrs[known] = p
	e.mu.Unlock()
	p.keys.Store(&keys{tx: sender(t, srtp.AEADAES128GCM, 1), rx: receiver(t, srtp.AEADAES128GCM, 0)})
	var heard []uint16
	p.OnRTP(func(h *rtp.Header, payload []byte) { heard = append(heard, h.SequenceNumber) })
	browser, stranger := sender(t, srtp.AEADAES128GCM, 0), sender(t, srtp.AEADAES128GCM, 9)
	packet := func(s *srtp.Sender, ssrc uint32, seq uint16) []byte {
		b := make([]byte, 200)
		n, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: seq}, Payload: []byte("hello")}).MarshalTo(b)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Protect(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(out)
	}
	send := func(b []byte, from netip.AddrPort) { e.dispatch(bytes.Clone(b), nil, from) }
	first, second := packet(browser, 7, 1), packet(browser, 7, 2)
	send(first, known)
	for range 3 {
		send(first, known) // replayed
	}
	send(packet(stranger, 7, 2), known) // forged
	send(packet(stranger, 8, 3), known)
	for n := 12; n < 12+16; n += 5 { // truncated: no place for the tag
		send(second[:n], known)
	}
	send(second[:len(second)-1], known)                     // truncated: the tag is another
	send(second, netip.MustParseAddrPort("192.0.2.9:4000")) // from elsewhere
	send(second, known)
	send(packet(browser, 9, 7), known) // another SSRC
	send(packet(browser, 7, 3), known) // and back
	if want := []uint16{1, 2, 7, 3}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	want := map[string]float64{
		"dialtone_rtc_dropped_total replayed": 3, "dialtone_rtc_dropped_total forged": 3,
		"dialtone_rtc_dropped_total malformed": 4, "dialtone_rtc_dropped_total stranger": 1,
		"dialtone_rtc_ssrc_changes_total": 2,
	}
	if got := counted(t, metrics); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func counted(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue()
		}
	}
	return all
}

// The better profile is agreed where both know it, whatever the browser prefers.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		theirs []dtls.SRTPProtectionProfile
		want   srtp.Profile
	}{
		{[]dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AEAD_AES_128_GCM}, srtp.AEADAES128GCM},
		{[]dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}, srtp.AEADAES128GCM},
		{[]dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}, srtp.AES128CMSHA1Tag80},
	} {
		t.Run(fmt.Sprint(c.theirs), func(t *testing.T) {
			e := newEngine(t, "127.0.0.1:0")
			var s webrtc.SettingEngine
			s.SetIncludeLoopbackCandidate(true)
			s.SetSRTPProtectionProfiles(c.theirs...)
			b := newBrowserOn(t, webrtc.MimeTypePCMU, s)
			p, _ := newPeer(t, e)
			answer, err := p.Answer(b.offer(nil), []call.Codec{call.PCMU})
			if err != nil {
				t.Fatal(err)
			}
			b.accept(answer)
			talk(t, b, p)
			if got := p.keys.Load().tx.Profile(); got != c.want {
				t.Errorf("%s was agreed", got)
			}
		})
	}
}
