package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dialtone/internal/fault"
)

// wav makes a WAV file.
func wav(tag, channels uint16, rate uint32, bits uint16, data []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("RIFF"), uint32(36+len(data)))
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, tag), channels)
	b = le.AppendUint32(le.AppendUint32(b, rate), rate*uint32(channels*bits/8))
	b = le.AppendUint16(le.AppendUint16(b, channels*bits/8), bits)
	b = le.AppendUint32(append(b, "data"...), uint32(len(data)))
	return append(b, data...)
}

func pcm(samples []int16, channels int) []byte {
	var b []byte
	for _, s := range samples {
		for range channels {
			b = binary.LittleEndian.AppendUint16(b, uint16(s))
		}
	}
	return b
}

func sine(hz float64, rate int, d time.Duration) []int16 {
	out := make([]int16, int(d*time.Duration(rate)/time.Second))
	for i := range out {
		out[i] = int16(10000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

func TestReadWAV(t *testing.T) {
	narrow := sine(440, 8000, time.Second)
	mu, a := make([]byte, len(narrow)), make([]byte, len(narrow))
	muLaw.compress(mu, narrow)
	aLaw.compress(a, narrow)
	files := map[string][]byte{
		"mu-law": wav(7, 1, 8000, 8, mu),
		"A-law":  wav(6, 1, 8000, 8, a),
		"PCM":    wav(1, 1, 8000, 16, pcm(narrow, 1)),
		"stereo": wav(1, 2, 8000, 16, pcm(narrow, 2)),
	}
	for _, rate := range []int{6000, 11025, 16000, 22050, 44100, 48000, 96000} {
		files["PCM at "+time.Duration(rate).String()] = wav(1, 1, uint32(rate), 16, pcm(sine(440, rate, time.Second), 1))
	}
	extensible := wav(0xfffe, 1, 8000, 16, pcm(narrow, 1))
	head := append(bytes.Clone(extensible[:36]), 22, 0, 16, 0, 4, 0, 0, 0, 1, 0)
	head = append(head, make([]byte, 14)...)
	binary.LittleEndian.PutUint32(head[16:], 40)
	files["extensible"] = append(head, extensible[36:]...)
	listed := bytes.Clone(files["PCM"][:12])
	listed = append(append(listed, "LIST\x03\x00\x00\x00abc\x00"...), files["PCM"][12:]...)
	files["with another chunk"] = listed
	endless := bytes.Clone(files["PCM"])
	binary.LittleEndian.PutUint32(endless[40:], math.MaxUint32)
	files["of unknown length"] = endless
	for name, b := range files {
		t.Run(name, func(t *testing.T) {
			c, err := ReadWAV(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(c.Samples); n < 7990 || n > 8000 {
				t.Errorf("%d samples", n)
			}
			if hz := dominant(c.Samples); math.Abs(hz-440) > 1 {
				t.Errorf("%v Hz", hz)
			}
			if p := power(c.Samples[1000:7000], 440); math.Abs(20*math.Log10(p*32768/10000)) > 0.3 {
				t.Errorf("level %v of %v", p*32768, 10000)
			}
		})
	}
	// What 8 kHz cannot carry must not fold back.
	c, err := ReadWAV(bytes.NewReader(wav(1, 1, 48000, 16, pcm(sine(5000, 48000, time.Second), 1))))
	if err != nil {
		t.Fatal(err)
	}
	if p := power(c.Samples, 3000); p*32768 > 30 {
		t.Errorf("5 kHz came out as 3 kHz with %v", p*32768)
	}
}

func TestReadBadWAV(t *testing.T) {
	good := wav(1, 1, 8000, 16, make([]byte, 100))
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"empty":          {nil, "not a WAV"},
		"MP3":            {[]byte("ID3\x04 and so on and on"), "not a WAV"},
		"cut format":     {append(bytes.Clone(good[:16]), 4, 0, 0, 0, 1, 0, 1, 0), "cut short"},
		"no data":        {good[:36], "no data"},
		"24 bit":         {wav(1, 1, 8000, 24, make([]byte, 99)), "24 bits"},
		"float":          {wav(3, 1, 8000, 32, make([]byte, 100)), "encoding 3"},
		"no channel":     {wav(1, 0, 8000, 16, nil), "0 channels"},
		"many channels":  {wav(1, 100, 8000, 16, nil), "100 channels"},
		"no rate":        {wav(1, 1, 0, 16, nil), "0 samples a second"},
		"absurd rate":    {wav(1, 1, 4000000000, 16, nil), "samples a second"},
		"data at first":  {append(bytes.Clone(good[:12]), good[36:]...), "before its format"},
		"larger than it": {append(bytes.Clone(good), make([]byte, MaxWAV)...), "larger than 64 MB"},
	} {
		if _, err := ReadWAV(bytes.NewReader(c.b)); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	broken := errors.New("broken pipe")
	if _, err := ReadWAV(brokenReader{broken}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// A recording can be read back whole, and also when its process died: all but
// the last second.
func TestWAVRecorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWAVRecorder(f)
	if err != nil {
		t.Fatal(err)
	}
	samples := sine(440, 8000, 3700*time.Millisecond)
	for len(samples) > 0 {
		n := min(len(samples), 333)
		if err := w.WriteSamples(samples[:n]); err != nil {
			t.Fatal(err)
		}
		samples = samples[n:]
	}
	read := func() *Clip {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if int(binary.LittleEndian.Uint32(b[40:])) != len(b)-44 || int(binary.LittleEndian.Uint32(b[4:])) != len(b)-8 {
			t.Error("the header does not tell the file's length")
		}
		c, err := ReadWAV(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if d := read().Duration(); d != 3*time.Second {
		t.Errorf("%v before Close", d)
	}
	if w.Samples() != 29600 {
		t.Errorf("%d samples", w.Samples())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := read()
	if c.Duration() != 3700*time.Millisecond || dominant(c.Samples) != 440 {
		t.Errorf("%v of %v Hz", c.Duration(), dominant(c.Samples))
	}
	if w.WriteSamples([]int16{1}) == nil {
		t.Error("a closed recorder took samples")
	}
}

func TestWAVRecorderOnAFullDisk(t *testing.T) {
	full := &fullDisk{room: 44 + 16000}
	w, err := NewWAVRecorder(full)
	if err != nil {
		t.Fatal(err)
	}
	second := make([]int16, 8000)
	if err := w.WriteSamples(second); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSamples(second); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	if _, err := NewWAVRecorder(&fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("no space left")

type fullDisk struct{ room int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.room -= len(b); d.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func (d *fullDisk) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

func FuzzReadWAV(f *testing.F) {
	f.Add(wav(1, 1, 8000, 16, pcm(sine(440, 8000, 10*time.Millisecond), 1)))
	f.Add(wav(7, 2, 44100, 8, make([]byte, 50)))
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadWAV(bytes.NewReader(b))
		switch {
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Errorf("%v", err)
		case err == nil && len(c.Samples) > 2*len(b):
			t.Errorf("%d samples of %d bytes", len(c.Samples), len(b))
		}
	})
}
