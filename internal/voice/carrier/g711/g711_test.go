package g711

import "testing"

// The values are those of ITU-T G.711 (11/88) tables 1 and 2, scaled to 16 bits.
func TestKnownValues(t *testing.T) {
	for _, c := range []struct {
		code  byte
		mu, a int16
	}{
		{0x00, -32124, -5504},
		{0x80, 32124, 5504},
		{0xFF, 0, 848},
		{0x7F, 0, -848},
		{0x55, -716, -8},
		{0xD5, 716, 8},
		{0x2A, -5372, -32256},
		{0xAA, 5372, 32256},
	} {
		if got := DecodeMu(c.code); got != c.mu {
			t.Errorf("µ-law %#02x = %d, want %d", c.code, got, c.mu)
		}
		if got := DecodeA(c.code); got != c.a {
			t.Errorf("A-law %#02x = %d, want %d", c.code, got, c.a)
		}
	}
}

// A code decodes to itself again, and no sample is off by more than half a
// step: a 32nd of its size, but for the quietest and the clipped loudest.
func TestEncodeIsClose(t *testing.T) {
	for _, law := range []struct {
		name   string
		encode func(int16) byte
		decode func(byte) int16
	}{{"mu", EncodeMu, DecodeMu}, {"a", EncodeA, DecodeA}} {
		t.Run(law.name, func(t *testing.T) {
			for b := range 256 {
				if got := law.decode(law.encode(law.decode(byte(b)))); got != law.decode(byte(b)) {
					t.Fatalf("code %#02x does not survive: %d became %d", b, law.decode(byte(b)), got)
				}
			}
			for s := -32768; s <= 32767; s += 7 {
				off := abs(int(law.decode(law.encode(int16(s)))) - s)
				if allowed := max(abs(s)/32+16, abs(s)-32000); off > allowed {
					t.Fatalf("%d is off by %d, %d are allowed", s, off, allowed)
				}
			}
		})
	}
}

func abs(n int) int { return max(n, -n) }
