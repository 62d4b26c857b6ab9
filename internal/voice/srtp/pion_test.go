package srtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/pion/rtp"
	peer "github.com/pion/srtp/v3"
)

var profiles = []Profile{AES128CMSHA1Tag80, AES128CMSHA1Tag32, AEADAES128GCM}

// each runs a test for every profile.
func each(t *testing.T, f func(t *testing.T, k Keys)) {
	for i, p := range profiles {
		t.Run(p.String(), func(t *testing.T) { f(t, testKeys(p, byte(i))) })
	}
}

func testKeys(p Profile, seed byte) Keys {
	r := rand.New(rand.NewChaCha8([32]byte{seed}))
	k := Keys{Profile: p, Key: make([]byte, p.KeyLen()), Salt: make([]byte, p.SaltLen())}
	for _, b := range [][]byte{k.Key, k.Salt} {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	return k
}

func newPeer(t testing.TB, k Keys, o ...peer.ContextOption) *peer.Context {
	t.Helper()
	c, err := peer.CreateContext(k.Key, k.Salt, peer.ProtectionProfile(k.Profile), o...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newPair(t testing.TB, k Keys) (*Sender, *Receiver) {
	t.Helper()
	s, err := NewSender(k)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReceiver(k)
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// randomPacket has CSRCs, extensions and padding as chance will have it.
func randomPacket(t testing.TB, r *rand.Rand, ssrc uint32, seq uint16) []byte {
	t.Helper()
	p := rtp.Packet{Header: rtp.Header{
		Version: 2, Marker: r.IntN(2) == 0, PayloadType: uint8(r.IntN(128)), SSRC: ssrc, SequenceNumber: seq, Timestamp: r.Uint32(),
	}, Payload: randomBytes(r, r.IntN(400))}
	for range r.IntN(3) * r.IntN(6) {
		p.CSRC = append(p.CSRC, r.Uint32())
	}
	switch r.IntN(4) {
	case 0:
		if err := p.SetExtension(1, randomBytes(r, 1+r.IntN(16))); err != nil {
			t.Fatal(err)
		}
	case 1:
		p.Extension, p.ExtensionProfile = true, 0x4444
		if err := p.SetExtension(0, randomBytes(r, 4*r.IntN(20))); err != nil {
			t.Fatal(err)
		}
	}
	if r.IntN(4) == 0 {
		p.Padding, p.PaddingSize = true, byte(1+r.IntN(20))
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// room returns a copy with place for the tag, and something behind it that must
// stay as it is.
func room(b []byte) []byte {
	c := make([]byte, len(b), len(b)+MaxOverhead)
	copy(c, b)
	return c
}

// order is a run of sequence numbers over several rounds, shuffled a little,
// across the wrap too.
func order(r *rand.Rand, first uint16, n int) []uint16 {
	seqs := make([]uint16, n)
	step := uint16(1)
	for i := range seqs {
		seqs[i] = first
		if r.IntN(8) == 0 {
			step = uint16(1 + r.IntN(2000))
		}
		first += step
		step = 1
	}
	for i := range n - 20 {
		if r.IntN(4) == 0 {
			j := i + r.IntN(5)
			seqs[i], seqs[j] = seqs[j], seqs[i]
		}
	}
	return seqs
}

func TestPionHearsUs(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, _ := newPair(t, k)
		far := newPeer(t, k)
		r := rand.New(rand.NewPCG(1, 1))
		var seqs []uint16
		sent, refused := 0, 0
		for _, seq := range order(r, 65000, 3000) {
			seqs = append(seqs, seq)
			plain := randomPacket(t, r, 7, seq)
			b, err := s.Protect(room(plain))
			if err != nil {
				refused++ // too late after a leap
				continue
			}
			sent++
			got, err := far.DecryptRTP(nil, b, &rtp.Header{})
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("packet %d (%d after %v): %v", sent, seq, seqs[max(0, len(seqs)-9):], err)
			}
		}
		if roc := s.State().Sources[0].RollOver; roc < 3 || refused > sent/5 {
			t.Errorf("%d rounds, %d sent, %d refused: not what this test is for", roc, sent, refused)
		}
		for range 100 {
			plain := randomReport(r, 7)
			b, err := s.ProtectReport(room(plain))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := far.DecryptRTCP(nil, b, nil); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("report: %v\n%x\n%x", err, got, plain)
			}
		}
	})
}

func TestWeHearPion(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		_, ours := newPair(t, k)
		far := newPeer(t, k)
		r := rand.New(rand.NewPCG(2, 2))
		window := newPeer(t, k, peer.SRTPReplayProtection(Width), peer.SRTCPReplayProtection(Width))
		heard := 0
		for _, seq := range order(r, 65000, 3000) {
			plain := randomPacket(t, r, 7, seq)
			b, err := far.EncryptRTP(nil, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second is a replay
				_, theirs := window.DecryptRTP(nil, b, &rtp.Header{})
				got, err := ours.Unprotect(bytes.Clone(b))
				if (err == nil) != (theirs == nil) {
					t.Fatalf("%d: we say %v, they %v", seq, err, theirs)
				}
				if err == nil {
					heard++
					if !bytes.Equal(got, plain) {
						t.Fatalf("%d: another packet", seq)
					}
				}
			}
		}
		if heard < 2500 || heard > 3000 {
			t.Errorf("%d heard", heard)
		}
		for range 300 {
			plain := randomReport(r, 7)
			b, err := far.EncryptRTCP(nil, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.IntN(3) == 0 {
				continue // lost
			}
			got, err := ours.UnprotectReport(bytes.Clone(b))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("report: %v", err)
			}
			if _, err = ours.UnprotectReport(bytes.Clone(b)); !errors.Is(err, ErrReplayed) {
				t.Fatalf("report again: %v", err)
			}
		}
	})
}

// What both make of the same packets must be the same bytes.
func TestSameBytesAsPion(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, _ := newPair(t, k)
		far := newPeer(t, k)
		if _, err := s.ProtectReport(report(9)); err != nil { // its first index is one, ours zero
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(3, 3))
		for seq := range uint16(300) {
			plain := randomPacket(t, r, 9, 65400+seq)
			want, err := far.EncryptRTP(nil, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Protect(room(plain)); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%v\n%x\n%x", err, got, want)
			}
			plain = randomReport(r, 9)
			if want, err = far.EncryptRTCP(nil, plain, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := s.ProtectReport(room(plain)); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%v\n%x\n%x", err, got, want)
			}
		}
	})
}

// randomReport is a receiver report with as many blocks as chance will have it,
// and something behind it.
func randomReport(r *rand.Rand, ssrc uint32) []byte {
	n := r.IntN(5)
	b := append([]byte{0x80 | byte(n), 201, 0, byte(1 + 6*n)}, randomBytes(r, 4+24*n)...)
	binary.BigEndian.PutUint32(b[4:], ssrc)
	return append(b, 0x81, 202, 0, 1, 0, 0, 0, 0)
}
