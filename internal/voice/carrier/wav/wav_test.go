package wav

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/voice/carrier/g711"
	"dialtone/internal/voice/carrier/hear"
)

func tone(hz float64, rate, n int) Sound {
	s := Sound{Rate: rate, Samples: make([]int16, n)}
	for i := range s.Samples {
		s.Samples[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return s
}

// file builds a WAV file from chunks.
func file(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	return slices.Concat([]byte("RIFF"), u32(4+len(body)), []byte("WAVE"), body)
}

func chunk(name string, body ...[]byte) []byte {
	b := slices.Concat(body...)
	c := slices.Concat([]byte(name), u32(len(b)), b)
	if len(b)%2 == 1 {
		c = append(c, 0)
	}
	return c
}

func fmtChunk(code, channels, rate, width int) []byte {
	return chunk("fmt ", u16(code), u16(channels), u32(rate), u32(rate*channels*width/8), u16(channels*width/8), u16(width))
}

func u16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	want := tone(700, 8000, 1000)
	if err := WriteFile(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil || got.Rate != 8000 || !slices.Equal(got.Samples, want.Samples) {
		t.Errorf("read %d samples at %d, %v", len(got.Samples), got.Rate, err)
	}
}

func TestFormats(t *testing.T) {
	s := tone(500, 8000, 400)
	var mu, a, stereo []byte
	for _, v := range s.Samples {
		mu = append(mu, g711.EncodeMu(v))
		a = append(a, g711.EncodeA(v))
		stereo = append(stereo, slices.Concat(u16(int(v)), u16(0))...)
	}
	extensible := chunk("fmt ", u16(0xFFFE), u16(1), u32(8000), u32(8000), u16(1), u16(8), u16(22), u16(8), u32(4), u16(7), make([]byte, 14))
	for _, c := range []struct {
		name string
		file []byte
		gain float64
	}{
		{"mu-law", file(fmtChunk(7, 1, 8000, 8), chunk("data", mu)), 1},
		{"a-law", file(fmtChunk(6, 1, 8000, 8), chunk("data", a)), 1},
		{"extensible", file(extensible, chunk("data", mu)), 1},
		{"odd chunks around", file(chunk("LIST", []byte("abc")), fmtChunk(7, 1, 8000, 8), chunk("fact", u32(400)), chunk("data", mu)), 1},
		{"stereo", file(fmtChunk(1, 2, 8000, 16), chunk("data", stereo)), 0.5},
		{"length never filled in", file(fmtChunk(7, 1, 8000, 8), []byte("data"), u32(0), mu), 1},
		{"length unknown", file(fmtChunk(7, 1, 8000, 8), []byte("data"), u32(-1), mu), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decode(bytes.NewReader(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Samples) != 400 || got.Rate != 8000 {
				t.Fatalf("%d samples at %d", len(got.Samples), got.Rate)
			}
			if want := c.gain * hear.Level(s.Samples); math.Abs(hear.Level(got.Samples)-want) > 0.02*want {
				t.Errorf("level %v, want %v", hear.Level(got.Samples), want)
			}
		})
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		file []byte
		want string
	}{
		{nil, "not a WAV file"},
		{[]byte("ID3 a song in another format"), "not a WAV file"},
		{file(), "no format chunk"},
		{file(fmtChunk(1, 1, 8000, 16)), "no data chunk"},
		{file(chunk("data", u16(1))), "before the format chunk"},
		{file(chunk("fmt ", u16(1))), "16 are the least"},
		{file([]byte("fmt "), u32(400), u16(1)), "claims 400 bytes"},
		{file(fmtChunk(0xFFFE, 1, 8000, 16)), "26 are the least"},
		{file(fmtChunk(1, 1, 8000, 24)), "PCM of 24 bits"},
		{file(fmtChunk(7, 1, 8000, 16)), "companded samples of 16 bits"},
		{file(fmtChunk(0x55, 1, 8000, 16)), "format 0x0055"},
		{file(fmtChunk(1, 0, 8000, 16)), "0 channels"},
		{file(fmtChunk(1, 1, 3, 16)), "3 samples per second"},
	} {
		if _, err := Decode(bytes.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none.wav")); err == nil {
		t.Error("a missing file is read")
	}
}

func TestResample(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000} {
		got := tone(1000, rate, rate).At(8000)
		if n := len(got.Samples); n < 7999 || n > 8000 || got.Rate != 8000 {
			t.Errorf("%d Hz: %d samples", rate, n)
		}
		middle := got.Samples[400:7600]
		if f := hear.Frequency(middle, 8000); math.Abs(f-1000) > 1 {
			t.Errorf("%d Hz: a tone of 1000 Hz became %v", rate, f)
		}
		if l := hear.Level(middle); math.Abs(l-5657) > 60 {
			t.Errorf("%d Hz: level %v, want 5657", rate, l)
		}
	}
	// What 8 kHz cannot carry is gone instead of folded down.
	if l := hear.Level(tone(6000, 48000, 48000).At(8000).Samples[400:7600]); l > 60 {
		t.Errorf("6 kHz leaves a level of %v", l)
	}
	if up := tone(1000, 8000, 8000).At(48000); math.Abs(hear.Frequency(up.Samples, 48000)-1000) > 1 {
		t.Error("upwards the tone is lost")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(file(fmtChunk(1, 1, 8000, 16), chunk("data", u16(1), u16(2))))
	f.Add(file(fmtChunk(7, 2, 44100, 8), chunk("LIST", []byte("abc")), chunk("data", []byte{1, 2, 3})))
	f.Add(file(fmtChunk(0xFFFE, 1, 8000, 16)))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		if s.Rate < 4000 || s.Rate > 192000 || len(s.Samples) > len(b) {
			t.Fatalf("%d samples at %d from %d bytes", len(s.Samples), s.Rate, len(b))
		}
		var out bytes.Buffer
		if err := Encode(&out, s); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(&out)
		if err != nil || again.Rate != s.Rate || !slices.Equal(again.Samples, s.Samples) {
			t.Fatalf("what was read does not survive writing: %v", err)
		}
	})
}
