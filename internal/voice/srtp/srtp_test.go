package srtp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func packet(ssrc uint32, seq uint16, payload string) []byte {
	b := make([]byte, 12, 12+len(payload)+MaxOverhead)
	b[0], b[1] = 0x80, 0
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

func report(ssrc uint32) []byte {
	b := make([]byte, 8, 8+MaxOverhead)
	copy(b, []byte{0x80, 201, 0, 1})
	binary.BigEndian.PutUint32(b[4:], ssrc)
	return b
}

func mustProtect(t testing.TB, s *Sender, b []byte) []byte {
	t.Helper()
	out, err := s.Protect(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(out)
}

// Late packets count within the window, once each, across the wrap too.
func TestWindow(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, r := newPair(t, k)
		var sent [][]byte
		for i := range 400 {
			sent = append(sent, mustProtect(t, s, packet(1, uint16(65300+i), "x")))
		}
		take := func(i int, want error) {
			t.Helper()
			if _, err := r.Unprotect(bytes.Clone(sent[i])); !errors.Is(err, want) {
				t.Fatalf("packet %d: %v, want %v", i, err, want)
			}
		}
		take(10, nil)
		take(300, nil) // after the wrap
		take(300, ErrReplayed)
		take(300-Width, ErrReplayed) // too late to tell
		take(300-Width+1, nil)
		take(300-Width+1, ErrReplayed)
		for i := 300 - Width + 2; i < 300; i++ {
			take(i, nil)
		}
		for i := range 301 {
			take(i, ErrReplayed)
		}
		for _, step := range []int{1, 63, 35} { // moves of every kind
			next := int(uint16(r.sources.list[0].packets.newest-65300)) + step
			take(next, nil)
			take(next-step, ErrReplayed)
			if step > 1 {
				take(next-1, nil)
				take(next-step+1, nil)
			}
		}
	})
}

func TestWindowAgainstASet(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var w window
	seen := map[uint64]bool{}
	newest := uint64(0)
	for range 200_000 {
		i := newest + uint64(r.IntN(8))
		switch r.IntN(8) {
		case 0:
			i = newest + uint64(r.IntN(300))
		case 1, 2, 3:
			i = newest - min(newest, uint64(r.IntN(200)))
		}
		want := !seen[i] && (len(seen) == 0 || i+Width > newest)
		if got := w.fresh(i); got != want {
			t.Fatalf("%d with %d the newest: fresh %v", i, newest, got)
		}
		if want {
			w.note(i)
			seen[i], newest = true, max(newest, i)
		}
	}
}

// What does not prove the key changes nothing, and does no harm.
func TestForgedAndTruncated(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, r := newPair(t, k)
		random := rand.New(rand.NewPCG(5, 5))
		good := mustProtect(t, s, packet(1, 65535, "first"))
		if _, err := r.Unprotect(bytes.Clone(good)); err != nil {
			t.Fatal(err)
		}
		next := mustProtect(t, s, packet(1, 0, "second"))
		rep, err := s.ProtectReport(report(1))
		if err != nil {
			t.Fatal(err)
		}
		rep = bytes.Clone(rep)
		before := r.State()
		check := func(b []byte) {
			t.Helper()
			if out, err := r.Unprotect(bytes.Clone(b)); err == nil {
				t.Fatalf("taken for true: %x", out)
			}
			if out, err := r.UnprotectReport(bytes.Clone(b)); err == nil {
				t.Fatalf("taken for a true report: %x", out)
			}
		}
		for _, b := range [][]byte{good, next, rep} {
			for n := range b {
				check(b[:n])
			}
			for bit := range 8 * len(b) {
				c := bytes.Clone(b)
				c[bit/8] ^= 1 << (bit % 8)
				if r.Profile() == AES128CMSHA1Tag32 && bytes.Equal(c[:len(c)-4], b[:len(b)-4]) {
					continue // RTCP's tag reaches further
				}
				check(c)
			}
			check(append(bytes.Clone(b), 0))
		}
		for range 2000 {
			b := randomBytes(random, random.IntN(200))
			if len(b) > 0 && random.IntN(2) == 0 {
				b[0] = b[0]&0x3f | 0x80
			}
			check(b)
		}
		if after := r.State(); !reflect.DeepEqual(before, after) {
			t.Errorf("before %+v, after %+v", before.Sources, after.Sources)
		}
		if got, err := r.Unprotect(next); err != nil || string(got[12:]) != "second" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := r.UnprotectReport(rep); err != nil {
			t.Error(err)
		}
	})
}

// Two packets under one index would give the key stream away.
func TestNoIndexTwice(t *testing.T) {
	s, _ := newPair(t, testKeys(AEADAES128GCM, 1))
	mustProtect(t, s, packet(1, 65530, "a"))
	mustProtect(t, s, packet(1, 4, "b")) // round 1
	mustProtect(t, s, packet(1, 65533, "late"))
	for seq, want := range map[uint16]error{65530: ErrReused, 4: ErrReused, 65533: ErrReused, 65300: ErrReused, 65534: nil} {
		b := packet(1, seq, "c")
		if _, err := s.Protect(b); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", seq, err, want)
		} else if err != nil && !bytes.Equal(b, packet(1, seq, "c")) {
			t.Errorf("%d was changed", seq)
		}
	}
	st := s.State()
	st.Sources[0].RollOver, st.Sources[0].Sequence = 1<<32-1, 65535
	st.Sources[0].Reported, st.Sources[0].ReportLast = true, maxReportIndex
	s, err := ResumeSender(st)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Protect(packet(1, 0, "d")); !errors.Is(err, ErrExhausted) {
		t.Errorf("the round after the last: %v", err)
	}
	if _, err := s.ProtectReport(report(1)); !errors.Is(err, ErrExhausted) {
		t.Errorf("the report after the last: %v", err)
	}
	if _, err := s.Protect(packet(2, 0, "another source")); err != nil {
		t.Error(err)
	}
}

func TestRefusedBySender(t *testing.T) {
	s, _ := newPair(t, testKeys(AES128CMSHA1Tag80, 1))
	for _, b := range [][]byte{nil, {0x80}, make([]byte, 40), append([]byte{0x8f}, make([]byte, 40)...), append([]byte{0x90}, make([]byte, 11)...)} {
		if _, err := s.Protect(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	}
	if _, err := s.ProtectReport(make([]byte, 20)); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := s.Protect(packet(1, 1, "x")[:13:22]); !errors.Is(err, ErrRoom) {
		t.Error(err)
	}
	if _, err := s.ProtectReport(report(1)[:8:20]); !errors.Is(err, ErrRoom) {
		t.Error(err)
	}
	for _, k := range []Keys{{}, {Profile: 5}, {Profile: AEADAES128GCM, Key: make([]byte, 16), Salt: make([]byte, 14)}, {Profile: AES128CMSHA1Tag80, Key: make([]byte, 32), Salt: make([]byte, 14)}} {
		if _, err := NewSender(k); err == nil {
			t.Errorf("%#v was taken", k)
		}
		if _, err := NewReceiver(k); err == nil {
			t.Errorf("%#v was taken", k)
		}
	}
}

// A sender forgets no SSRC, a receiver the one that was silent for longest.
func TestManySources(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, r := newPair(t, k)
		other, _ := newPair(t, k)
		var first []byte
		for ssrc := range uint32(MaxSources) {
			b := mustProtect(t, s, packet(ssrc, 1, "x"))
			if ssrc == 0 {
				first = bytes.Clone(b)
			}
			if _, err := r.Unprotect(b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Protect(packet(1000, 1, "x")); !errors.Is(err, ErrSources) {
			t.Errorf("one more: %v", err)
		}
		if _, err := s.ProtectReport(report(1000)); !errors.Is(err, ErrSources) {
			t.Errorf("one more: %v", err)
		}
		if _, err := r.Unprotect(bytes.Clone(first)); !errors.Is(err, ErrReplayed) {
			t.Errorf("a replay: %v", err)
		}
		// The first speaks again, so that the second is the oldest.
		if _, err := r.Unprotect(mustProtect(t, s, packet(0, 2, "x"))); err != nil {
			t.Error(err)
		}
		if _, err := r.Unprotect(mustProtect(t, other, packet(1000, 1, "x"))); err != nil {
			t.Error(err)
		}
		if r.sources.find(0) == nil || r.sources.find(1) != nil || r.sources.find(1000) == nil || len(r.sources.list) != MaxSources {
			t.Error("not the oldest was forgotten")
		}
	})
}

// A call goes on in another process as if nothing had happened.
func TestResume(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, r := newPair(t, k)
		var late []byte
		for seq := uint16(65500); seq != 100; seq++ {
			b := mustProtect(t, s, packet(5, seq, "x"))
			if seq == 90 {
				late = b
				continue
			}
			if _, err := r.Unprotect(b); err != nil {
				t.Fatal(err)
			}
			rep, err := s.ProtectReport(report(5))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = r.UnprotectReport(rep); err != nil {
				t.Fatal(err)
			}
		}
		again := mustProtect(t, s, packet(5, 100, "x"))
		if _, err := r.Unprotect(bytes.Clone(again)); err != nil {
			t.Fatal(err)
		}
		// By way of a store.
		move := func(st State) (out State) {
			b, err := json.Marshal(st)
			if err != nil {
				t.Fatal(err)
			}
			if err = json.Unmarshal(b, &out); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(st, out) {
				t.Fatalf("%#v became %#v", st.Sources, out.Sources)
			}
			return out
		}
		s2, err := ResumeSender(move(s.State()))
		if err != nil {
			t.Fatal(err)
		}
		r2, err := ResumeReceiver(move(r.State()))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.State(), s2.State()) || !reflect.DeepEqual(r.State(), r2.State()) {
			t.Error("the state is another one after it was taken up")
		}
		if _, err := r2.Unprotect(again); !errors.Is(err, ErrReplayed) {
			t.Errorf("replayed to the second process: %v", err)
		}
		if _, err := r2.Unprotect(late); err != nil {
			t.Errorf("late: %v", err)
		}
		if _, err := s2.Protect(packet(5, 100, "y")); !errors.Is(err, ErrReused) {
			t.Errorf("an index of the first process: %v", err)
		}
		if got, err := r2.Unprotect(mustProtect(t, s2, packet(5, 101, "y"))); err != nil || string(got[12:]) != "y" {
			t.Errorf("%q, %v", got, err)
		}
		rep, err := s2.ProtectReport(report(5))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r2.UnprotectReport(rep); err != nil {
			t.Error(err)
		}

		// A state that is a second old.
		s3, err := ResumeSender(s.State().Ahead(150, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint16{101, 150, 250} {
			if _, err := s3.Protect(packet(5, seq, "z")); !errors.Is(err, ErrReused) {
				t.Errorf("%d may have been used: %v", seq, err)
			}
		}
		if _, err := r2.Unprotect(mustProtect(t, s3, packet(5, 251, "z"))); err != nil {
			t.Error(err)
		}
		if rep, err = s3.ProtectReport(report(5)); err != nil {
			t.Fatal(err)
		}
		if _, err := r2.UnprotectReport(rep); err != nil || r2.State().Sources[0].ReportLast < 1<<20 {
			t.Errorf("%v at %d", err, r2.State().Sources[0].ReportLast)
		}

		st := s.State()
		st.Sources = append(st.Sources, st.Sources[0])
		if _, err := ResumeSender(st); err == nil {
			t.Error("an SSRC twice was taken")
		}
		st.Sources = make([]SourceState, MaxSources+1)
		if _, err := ResumeReceiver(st); !errors.Is(err, ErrSources) {
			t.Error(err)
		}
	})
}

func TestFromDTLS(t *testing.T) {
	for _, p := range profiles {
		m := make([]byte, p.DTLSLen())
		for i := range m {
			m[i] = byte(i)
		}
		client, server, err := FromDTLS(p, m)
		if err != nil {
			t.Fatal(err)
		}
		got := bytes.Join([][]byte{client.Key, server.Key, client.Salt, server.Salt}, nil)
		if !bytes.Equal(got, m) || client.check() != nil || server.check() != nil {
			t.Errorf("%s: %x", p, got)
		}
		if _, _, err = FromDTLS(p, m[1:]); err == nil {
			t.Error("a byte less was taken")
		}
	}
}

// Keys are in no log and no message.
func TestKeysAreNotPrinted(t *testing.T) {
	k := Keys{Profile: AEADAES128GCM, Key: bytes.Repeat([]byte{0xab}, 16), Salt: bytes.Repeat([]byte{0xcd}, 12)}
	s, _ := newPair(t, k)
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "keys", k, "state", s.State())
	text := b.String() + fmt.Sprintf("%v %+v %#v %v %+v %#v", k, k, k, s.State(), s.State(), s.State())
	for _, secret := range []string{"q6ur", "abab", "171", "0xab", "205"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q in %s", secret, text)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	each(t, func(t *testing.T, k Keys) {
		s, r := newPair(t, k)
		b := packet(1, 0, strings.Repeat("x", 160))
		rep := report(1)
		seq := uint16(0)
		n := testing.AllocsPerRun(1000, func() {
			seq++
			binary.BigEndian.PutUint16(b[2:], seq)
			out, err := s.Protect(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = r.Unprotect(out); err != nil {
				t.Fatal(err)
			}
			if out, err = s.ProtectReport(rep); err != nil {
				t.Fatal(err)
			}
			if _, err = r.UnprotectReport(out); err != nil {
				t.Fatal(err)
			}
			out[0] ^= 1
			if _, err = r.Unprotect(out); err == nil {
				t.Fatal("forged")
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
