package srtp

import (
	"encoding/binary"
	"testing"

	"github.com/pion/rtp"
)

// BenchmarkPacket is one packet of 20 ms of G.711, against pion/srtp.
//
//	go test -run - -bench Packet -count 5 ./internal/voice/srtp
func BenchmarkPacket(b *testing.B) {
	for i, p := range []Profile{AES128CMSHA1Tag80, AEADAES128GCM} {
		k := testKeys(p, byte(i))
		plain := packet(1, 0, string(make([]byte, 160)))
		number := func(n int) { binary.BigEndian.PutUint16(plain[2:], uint16(n)) }
		b.Run(p.String()+"/protect/ours", func(b *testing.B) {
			s, _ := newPair(b, k)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				number(n)
				if _, err := s.Protect(plain); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(p.String()+"/protect/pion", func(b *testing.B) {
			s := newPeer(b, k)
			out := make([]byte, 0, 2048)
			var h rtp.Header
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				number(n)
				if _, err := h.Unmarshal(plain); err != nil { // it wants one
					b.Fatal(err)
				}
				if _, err := s.EncryptRTP(out, plain, &h); err != nil {
					b.Fatal(err)
				}
			}
		})
		// Every packet is opened as often as there are packets: a receiver that is
		// made anew takes them again.
		const many = 50_000
		sealed := make([][]byte, many)
		s, _ := newPair(b, k)
		for n := range sealed {
			number(n)
			sealed[n] = mustProtect(b, s, plain)
		}
		work := make([]byte, len(sealed[0]))
		b.Run(p.String()+"/unprotect/ours", func(b *testing.B) {
			_, r := newPair(b, k)
			var h rtp.Header
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%many == 0 {
					_, r = newPair(b, k)
				}
				copy(work, sealed[n%many])
				out, err := r.Unprotect(work)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := h.Unmarshal(out); err != nil { // as pion's includes
					b.Fatal(err)
				}
			}
		})
		b.Run(p.String()+"/unprotect/pion", func(b *testing.B) {
			r := newPeer(b, k)
			out := make([]byte, 0, 2048)
			var h rtp.Header
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%many == 0 {
					r = newPeer(b, k)
				}
				copy(work, sealed[n%many])
				if _, err := r.DecryptRTP(out, work, &h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
