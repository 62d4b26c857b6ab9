package g722

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The vectors in testdata were made by libspandsp 0.0.6 (Debian 12,
// g722_encode and g722_decode at 64 kbit/s): speech of espeak-ng, and what
// extremes returns. The digests are of the output (16 bit, little endian) of
// FFmpeg 5.1's decoder: spandsp's lets samples beyond 16 bits wrap around where
// G.722 has them limited, and is the same everywhere else.
const (
	extremeDecoded = "fa532d501f6d504e7ffbb7e6e3ed415825c2edae0778e9d36fe592d5dbf17f6b"
	wordsDecoded   = "3fe5bc76154318a3a075d8e378667cbe08f3520915665f37fac74a92401eff17"
)

// extremes returns a second of noise at every level, of square waves at full
// scale and of silence, and a second of random code words.
func extremes() (samples []int16, words []byte) {
	x := uint32(0x9E3779B9)
	next := func() uint32 {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		return x
	}
	for i := range Rate {
		v, part := int16(next()), i/1000
		square := func(half int) int16 {
			if i/half%2 == 1 {
				return math.MaxInt16
			}
			return math.MinInt16
		}
		switch {
		case part < 11:
			v >>= 11 - part
		case part == 12:
			v = square(8)
		case part == 13:
			v = square(50)
		case part == 14:
			v = square(1)
		case part == 15:
			v = 0
		}
		samples = append(samples, v)
	}
	for range Rate {
		words = append(words, byte(next()>>24))
	}
	return samples, words
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func samples(b []byte) []int16 {
	s := make([]int16, len(b)/2)
	for i := range s {
		s[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return s
}

func pcm(s []int16) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func digest(s []int16) string {
	sum := sha256.Sum256(pcm(s))
	return hex.EncodeToString(sum[:])
}

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: at %d of %d: %v, want %v", what, i, len(got), got[i], want[i])
		}
	}
}

func TestAsVectors(t *testing.T) {
	speech := samples(read(t, "speech.s16le"))
	same(t, "speech encoded", NewEncoder().Encode(nil, speech), read(t, "speech.g722"))
	same(t, "speech decoded", NewDecoder().Decode(nil, read(t, "speech.g722")), samples(read(t, "speech.decoded.s16le")))

	loud, words := extremes()
	code := NewEncoder().Encode(nil, loud)
	same(t, "extremes encoded", code, read(t, "extreme.g722"))
	if got := digest(NewDecoder().Decode(nil, code)); got != extremeDecoded {
		t.Errorf("extremes decoded: %s", got)
	}
	if got := digest(NewDecoder().Decode(nil, words)); got != wordsDecoded {
		t.Errorf("random code words decoded: %s", got)
	}
}

// Another implementation, where it is installed.
func TestAsFFmpeg(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	in := filepath.Join(t.TempDir(), "words.g722")
	_, words := extremes()
	words = append(words, read(t, "speech.g722")...)
	if err := os.WriteFile(in, words, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(ffmpeg, "-v", "error", "-f", "g722", "-i", in, "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "decoded", NewDecoder().Decode(nil, words), samples(out))
}

func TestPiecesMakeTheSame(t *testing.T) {
	speech := samples(read(t, "speech.s16le"))
	e, d := NewEncoder(), NewDecoder()
	var words []byte
	var out []int16
	for i, n := 0, 1; i < len(speech); i, n = i+n, n%37+1 {
		before := len(words)
		words = e.Encode(words, speech[i:min(i+n, len(speech))])
		out = d.Decode(out, words[before:])
	}
	same(t, "encoded", words, read(t, "speech.g722"))
	same(t, "decoded", out, samples(read(t, "speech.decoded.s16le")))
}

func TestSpeechRoundTrip(t *testing.T) {
	speech := samples(read(t, "speech.s16le"))
	out := NewDecoder().Decode(nil, NewEncoder().Encode(nil, speech))
	const delay = 22 // samples, of the two filters
	var ab, aa, bb float64
	for i := delay; i < len(out); i++ {
		a, b := float64(speech[i-delay]), float64(out[i])
		ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
	}
	if r := ab / math.Sqrt(aa*bb); r < 0.99 {
		t.Errorf("correlation %.4f", r)
	}
}

func FuzzG722(f *testing.F) {
	f.Add([]byte{0x7f, 0x80, 0xff, 0x00, 1, 2, 3, 4})
	f.Add(bytes.Repeat([]byte{0xff, 0x7f, 0x00, 0x80}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := samples(b)
		words := NewEncoder().Encode(nil, s)
		if len(words) != len(s)/2 {
			t.Fatalf("%d words of %d samples", len(words), len(s))
		}
		if out := NewDecoder().Decode(nil, b); len(out) != 2*len(b) {
			t.Fatalf("%d samples of %d words", len(out), len(b))
		}
		// What an encoder predicts, a decoder predicts: both bands' states agree.
		e, d := NewEncoder(), NewDecoder()
		d.Decode(nil, e.Encode(nil, s))
		if e.low != d.low || e.high != d.high {
			t.Fatal("the decoder's predictor left the encoder's")
		}
	})
}

func BenchmarkEncode20ms(b *testing.B) {
	frame := samples(read(b, "speech.s16le"))[8000:8320]
	e, words := NewEncoder(), make([]byte, 0, 160)
	b.ReportAllocs()
	for b.Loop() {
		e.Encode(words, frame)
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	words := slices.Clone(read(b, "speech.g722")[4000:4160])
	d, out := NewDecoder(), make([]int16, 0, 320)
	b.ReportAllocs()
	for b.Loop() {
		d.Decode(out, words)
	}
}
