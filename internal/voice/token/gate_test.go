package token

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// canonical is the gate's promise in other words: three segments, a header, and
// each segment the one encoding of what a decoder that minds nothing makes of it.
func canonical(text string, limit int) bool {
	segments := strings.Split(text, ".")
	if len(text) > limit || len(segments) != 3 || segments[0] == "" {
		return false
	}
	for _, s := range segments {
		data, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || base64.RawURLEncoding.EncodeToString(data) != s {
			return false
		}
	}
	return true
}

func checkGate(t *testing.T, text string) {
	t.Helper()
	c, bad := open(text, MaxSize, new([]byte))
	if bad.ok() != canonical(text, MaxSize) {
		t.Fatalf("open(%q) says %q in %q, canonical says %t", text, bad.reason, bad.part, !bad.ok())
	}
	if !bad.ok() {
		return
	}
	again := base64.RawURLEncoding.EncodeToString([]byte(c.header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(c.payload)) + "." +
		base64.RawURLEncoding.EncodeToString(c.signature)
	if again != text || string(c.signed) != text[:strings.LastIndexByte(text, '.')] {
		t.Fatalf("%q was opened as %q", text, again)
	}
}

func FuzzGate(f *testing.F) {
	for _, s := range []string{
		"", ".", "..", "...", "a..", "aa..", "e30.e30.", "e30.e30.AA", "e30.e30.AB", "e30.e30.AAA=", "e30.e30.+/-_", "e30.e\n30.AA",
		"e30.e3\r0.AA", "e30.e30.A", "e30.e30.é", "e30.e30.A A", "-_-_._-_-.----", "e30.e30.AA.", ".e30.AA",
	} {
		f.Add(s)
	}
	f.Fuzz(checkGate)
}

// TestGateAgainstEveryByte puts each byte at each place of a group, and every
// length of tail behind it.
func TestGateAgainstEveryByte(t *testing.T) {
	for b := range 256 {
		for at := range 4 {
			for length := 1; length <= 8; length++ {
				if at >= length {
					continue
				}
				s := bytes.Repeat([]byte("A"), length)
				s[at] = byte(b)
				for _, text := range []string{
					string(s) + ".e30.AA", "e30." + string(s) + ".AA", "e30.e30." + string(s),
				} {
					checkGate(t, text)
				}
			}
		}
	}
}

// TestGateAgainstChangedTexts changes one to three bytes of good texts of all
// lengths modulo 3.
func TestGateAgainstChangedTexts(t *testing.T) {
	const bytesOfInterest = "=+/-_AQgw\r\n \x00.\xff"
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var segments [3]string
		for i := range segments {
			data := make([]byte, 1+random.IntN(40))
			for j := range data {
				data[j] = byte(random.Uint32())
			}
			segments[i] = base64.RawURLEncoding.EncodeToString(data)
		}
		text := []byte(strings.Join(segments[:], "."))
		checkGate(t, string(text))
		for range 1 + random.IntN(3) {
			c := bytesOfInterest[random.IntN(len(bytesOfInterest))]
			at := random.IntN(len(text) + 1)
			if random.IntN(2) == 0 || at == len(text) {
				text = append(text[:at], append([]byte{c}, text[at:]...)...)
			} else {
				text[at] = c
			}
		}
		checkGate(t, string(text))
	}
}

func TestGateSizes(t *testing.T) {
	text := "e30." + strings.Repeat("A", MaxSize-7) + ".AA"
	for _, s := range []string{text[:4] + text[5:], text, "e30.A" + text[4:]} {
		checkGate(t, s)
		if _, bad := open(s, MaxSize, new([]byte)); (bad.reason == ReasonTooLarge) != (len(s) > MaxSize) {
			t.Errorf("%d bytes: %q", len(s), bad.reason)
		}
	}
}
