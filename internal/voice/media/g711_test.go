package media

import (
	"math"
	"testing"
)

// Points of the tables of ITU-T G.711 (tables 1a to 2b), scaled to 16 bits.
func TestG711ReferenceValues(t *testing.T) {
	for b, want := range map[byte]int16{
		0x00: -32124, 0x80: 32124, 0x0f: -16764, 0x8f: 16764, 0x10: -15996, 0x1f: -8316, 0x3f: -1980, 0x7e: -8, 0xfe: 8, 0x7f: 0, 0xff: 0,
	} {
		if got := decodeMu(b); got != want {
			t.Errorf("mu-law %#02x: %d, want %d", b, got, want)
		}
	}
	for b, want := range map[byte]int16{
		0x2a: -32256, 0xaa: 32256, 0x25: -16896, 0xa5: 16896, 0x3a: -16128, 0x55: -8, 0xd5: 8, 0x54: -24, 0xd4: 24, 0x00: -5504, 0x80: 5504,
	} {
		if got := decodeA(b); got != want {
			t.Errorf("A-law %#02x: %d, want %d", b, got, want)
		}
	}
}

// The whole tables, by the laws' own definition: segments of sixteen equal
// steps, each segment's step twice the one before.
func TestG711DecodesByDefinition(t *testing.T) {
	for i := range 256 {
		b := byte(i)
		segment, step := float64(^b>>4&7), float64(^b&15)
		want := 4 * ((2*step+33)*math.Pow(2, segment) - 33) // 14-bit table 2a, times 4
		if b&0x80 == 0 {
			want = -want
		}
		if got := float64(muLaw.decode[b]); got != want && !(got == 0 && want == 0) {
			t.Errorf("mu-law %#02x: %v, want %v", b, got, want)
		}
		b ^= 0x55
		segment, step = float64(b>>4&7), float64(b&15)
		if segment == 0 {
			want = 8 * (2*step + 1) // 13-bit table 1a, times 8
		} else {
			want = 8 * (2*step + 33) * math.Pow(2, segment-1)
		}
		if b&0x80 == 0 {
			want = -want
		}
		if got := float64(aLaw.decode[i]); got != want {
			t.Errorf("A-law %#02x: %v, want %v", i, got, want)
		}
	}
}

func TestG711Encodes(t *testing.T) {
	for name, l := range map[string]*law{"mu": muLaw, "A": aLaw} {
		for i := range 256 {
			b := byte(i)
			got := l.encode(l.decode[b])
			if got != b && l.decode[got] != l.decode[b] { // mu-law has two zeros
				t.Errorf("%s-law %#02x decodes and encodes to %#02x", name, b, got)
			}
		}
		// Every sample falls into the interval whose middle is decoded: at most half
		// a step away, and 8 for the bits that the law cuts off first.
		for s := math.MinInt16; s <= math.MaxInt16; s++ {
			b := l.encode(int16(s))
			half := 4 << (^b >> 4 & 7)
			if l == aLaw {
				half = 8 << max(int((b^0x55)>>4&7)-1, 0)
			}
			if got := abs(int(l.decode[b]) - s); got > half+8 && abs(s) < 32000 {
				t.Fatalf("%s-law %d encodes %d away, half a step is %d", name, s, got, half)
			}
			if s > math.MinInt16 && l.decode[b] < l.decode[l.encode(int16(s-1))] {
				t.Fatalf("%s-law is not monotonic at %d", name, s)
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }

// A sine must come through a law, and from one into the other, with the quality
// that G.711 asks for (G.712: better than 33 dB at -10 dBm0; two codings lose
// some 3 dB).
func TestTranscodingNoise(t *testing.T) {
	samples := Tone(1004, 1e9).Samples
	snr := func(through func(int16) int16) float64 {
		var signal, noise float64
		for _, s := range samples {
			d := float64(through(s)) - float64(s)
			signal += float64(s) * float64(s)
			noise += d * d
		}
		return 10 * math.Log10(signal/noise)
	}
	for name, c := range map[string]struct {
		through func(int16) int16
		want    float64
	}{
		"mu":             {func(s int16) int16 { return muLaw.decode[encodeMu(s)] }, 36},
		"A":              {func(s int16) int16 { return aLaw.decode[encodeA(s)] }, 36},
		"mu to A":        {func(s int16) int16 { return aLaw.decode[muLaw.other[encodeMu(s)]] }, 33},
		"A to mu":        {func(s int16) int16 { return muLaw.decode[aLaw.other[encodeA(s)]] }, 33},
		"mu to A and mu": {func(s int16) int16 { return muLaw.decode[aLaw.other[muLaw.other[encodeMu(s)]]] }, 33},
	} {
		if got := snr(c.through); got < c.want {
			t.Errorf("%s: %.1f dB, want %.1f", name, got, c.want)
		}
	}
}

func TestLoudness(t *testing.T) {
	quiet := make([]byte, 160)
	voice := make([]byte, 160)
	for name, l := range map[string]*law{"mu": muLaw, "A": aLaw} {
		for i := range quiet {
			quiet[i] = l.encode(int16(60 * (i%3 - 1))) // hiss at -57 dBFS
		}
		l.compress(voice, Tone(300, 1e9).Samples[400:])
		if l.loud(quiet) || !l.loud(voice) {
			t.Errorf("%s-law: hiss is loud: %v, voice is loud: %v", name, l.loud(quiet), l.loud(voice))
		}
	}
}
