package srtp

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// BenchmarkAgainstPion takes turns with pion/srtp, a hundred packets of 20 ms of
// G.711 each, so that whatever else the machine does hits both, and reports the
// medians and their ratio.
//
//	go test -run - -bench Pion ./internal/voice/srtp
func BenchmarkAgainstPion(b *testing.B) {
	const turn = 100
	for i, p := range []Profile{AES128CMSHA1Tag80, AEADAES128GCM} {
		k := testKeys(p, byte(i))
		plain := packet(1, 0, string(make([]byte, 160)))
		out := make([]byte, 0, 2048)
		var h rtp.Header
		b.Run(p.String()+"/protect", func(b *testing.B) {
			ours, _ := newPair(b, k)
			theirs := newPeer(b, k)
			n := [2]uint16{}
			number := func(i int) {
				n[i]++
				binary.BigEndian.PutUint16(plain[2:], n[i])
			}
			compare(b, turn, func() error {
				number(0)
				_, err := ours.Protect(plain)
				return err
			}, func() error {
				number(1)
				if _, err := h.Unmarshal(plain); err != nil { // it wants one
					return err
				}
				_, err := theirs.EncryptRTP(out, plain, &h)
				return err
			})
		})
		b.Run(p.String()+"/unprotect", func(b *testing.B) {
			// A receiver that is made anew takes the same packets again.
			const many = 30_000
			s, _ := newPair(b, k)
			sealed := make([][]byte, many)
			for n := range sealed {
				binary.BigEndian.PutUint16(plain[2:], uint16(n))
				sealed[n] = mustProtect(b, s, plain)
			}
			work := make([]byte, len(sealed[0]))
			_, ours := newPair(b, k)
			theirs := newPeer(b, k)
			n := [2]int{}
			compare(b, turn, func() error {
				if n[0]++; n[0]%many == 0 {
					_, ours = newPair(b, k)
				}
				copy(work, sealed[n[0]%many])
				plain, err := ours.Unprotect(work)
				if err == nil {
					_, err = h.Unmarshal(plain) // as pion's includes
				}
				return err
			}, func() error {
				if n[1]++; n[1]%many == 0 {
					theirs = newPeer(b, k)
				}
				copy(work, sealed[n[1]%many])
				_, err := theirs.DecryptRTP(out, work, &h)
				return err
			})
		})
	}
}

func compare(b *testing.B, turn int, ours, theirs func() error) {
	var took [2][]float64
	b.ReportAllocs()
	for b.Loop() {
		for i, f := range []func() error{ours, theirs} {
			begin := time.Now()
			for range turn {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			took[i] = append(took[i], float64(time.Since(begin).Nanoseconds())/float64(turn))
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = took[i][len(took[i])/2]
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median[0], "ours-ns")
	b.ReportMetric(median[1], "pion-ns")
	b.ReportMetric(median[0]/median[1], "ratio")
}
