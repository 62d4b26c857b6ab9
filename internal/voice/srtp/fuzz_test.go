package srtp

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// Whatever is protected comes back as it was; what is no packet is refused.
func FuzzIdentity(f *testing.F) {
	f.Add(byte(0), packet(1, 65535, "hello"))
	f.Add(byte(1), []byte("\x90\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07\xbe\xde\x00\x01\x10\x01\x00\x00x"))
	f.Add(byte(2), []byte("\x81\xc9\x00\x07\x00\x00\x00\x07"))
	f.Add(byte(2), []byte("\x8f\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		s, r := newPair(t, testKeys(profiles[int(which)%len(profiles)], which))
		out, err := s.Protect(room(b))
		if err == nil {
			if len(out) != len(b)+s.Profile().Overhead() {
				t.Fatalf("%d bytes became %d", len(b), len(out))
			}
			if got, err := r.Unprotect(bytes.Clone(out)); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%x became %x, %v", b, got, err)
			}
			if _, err := r.Unprotect(out); !errors.Is(err, ErrReplayed) {
				t.Fatalf("again: %v", err)
			}
		} else if headerLen(b) != 0 {
			t.Fatalf("%x: %v", b, err)
		}
		if out, err = s.ProtectReport(room(b)); err == nil {
			if got, err := r.UnprotectReport(out); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%x became %x, %v", b, got, err)
			}
		} else if isReport(b) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// Whatever comes, nothing breaks, and what is refused changes nothing.
func FuzzUnprotect(f *testing.F) {
	for i, p := range profiles {
		s, _ := newPair(f, testKeys(p, byte(i)))
		b, err := s.Protect(packet(1, 1, "hello"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), bytes.Clone(b))
		if b, err = s.ProtectReport(report(1)); err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Add(byte(0), []byte{0x9f, 0, 0, 0})
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		k := testKeys(profiles[int(which)%len(profiles)], which%byte(len(profiles)))
		s, r := newPair(t, k)
		if _, err := r.Unprotect(mustProtect(t, s, packet(1, 65500, "x"))); err != nil {
			t.Fatal(err)
		}
		before := r.State()
		if _, err := r.Unprotect(bytes.Clone(b)); err != nil && !reflect.DeepEqual(before, r.State()) {
			t.Fatal("a refused packet changed the state")
		}
		before = r.State()
		if _, err := r.UnprotectReport(bytes.Clone(b)); err != nil && !reflect.DeepEqual(before, r.State()) {
			t.Fatal("a refused report changed the state")
		}
	})
}
