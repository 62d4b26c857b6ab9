package hear

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func tone(hz float64, amplitude, noise float64, n, rate int) []int16 {
	r := rand.New(rand.NewPCG(1, uint64(hz)))
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(amplitude*math.Sin(2*math.Pi*hz*float64(i)/float64(rate)) + noise*r.NormFloat64())
	}
	return s
}

func TestFrequency(t *testing.T) {
	for _, c := range []struct {
		name  string
		hz    float64
		noise float64
		ms    int
		rate  int
		off   float64 // allowed, relative
	}{
		{"second", 1000, 0, 1000, 8000, 0.0005},
		{"between bins", 440.37, 0, 1000, 8000, 0.0005},
		{"low", 60, 0, 1000, 8000, 0.001},
		{"high", 3400, 0, 1000, 8000, 0.0005},
		{"noisy", 1004, 3000, 1000, 8000, 0.001},
		{"half a second, noisy", 425, 3000, 500, 8000, 0.001},
		{"one frame", 1000, 0, 20, 8000, 0.01},
		{"one low frame", 350, 0, 20, 8000, 0.01},
		{"wideband", 6000, 100, 300, 48000, 0.001},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Frequency(tone(c.hz, 8000, c.noise, c.ms*c.rate/1000, c.rate), c.rate)
			if math.Abs(got-c.hz) > c.off*c.hz {
				t.Errorf("heard %.3f Hz, want %.3f within %.2f %%", got, c.hz, 100*c.off)
			}
		})
	}
	if got := Frequency(make([]int16, 8000), 8000); got != 0 {
		t.Errorf("silence has frequency %v", got)
	}
	constant := make([]int16, 8000)
	for i := range constant {
		constant[i] = 5000 + int16(i%2)
	}
	_ = Frequency(constant, 8000) // a constant has no peak: it must not run out of its bins
}

func TestLevelAndShare(t *testing.T) {
	s := tone(1000, 10000, 0, 8000, 8000)
	if got := Level(s); math.Abs(got-7071) > 5 {
		t.Errorf("level %v, want 7071", got)
	}
	if got := Share(s, 8000, 1000); got < 0.99 {
		t.Errorf("a pure tone has a share of %v", got)
	}
	if got := Share(s, 8000, 1300); got > 0.01 {
		t.Errorf("another frequency has a share of %v", got)
	}
	if Level(nil) != 0 || Share(nil, 8000, 1000) != 0 {
		t.Error("nothing is not silent")
	}
}

func TestLongestQuiet(t *testing.T) {
	s := append(make([]int16, 4000), tone(500, 8000, 0, 4000, 8000)...)
	s = append(s, make([]int16, 640)...) // a hole of 80 ms
	s = append(s, tone(500, 8000, 0, 4000, 8000)...)
	s = append(s, make([]int16, 4000)...)
	if got := LongestQuiet(s, 8000); got < 75*time.Millisecond || got > 85*time.Millisecond {
		t.Errorf("the hole is %v, want 80 ms", got)
	}
	if got := LongestQuiet(make([]int16, 8000), 8000); got != 0 {
		t.Errorf("silence has a hole of %v", got)
	}
}

func TestEar(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	sound, silent := tone(1000, 8000, 0, 160, 8000), make([]int16, 160)

	e := NewEar(8000)
	if h := e.Heard(at(0)); h != (Heard{}) {
		t.Errorf("heard %+v before anything was said", h)
	}
	e.Frame(silent, at(0))
	for i := 1; i <= 100; i++ {
		e.Frame(sound, at(i*20))
	}
	e.Frame(silent, at(2020))
	e.Frame(silent, at(2040))
	e.Frame(sound, at(2110)) // 70 ms after the one before

	h := e.Heard(at(2120))
	if h.Frames != 104 || h.LongestGap != 70*time.Millisecond || h.LongestQuiet != 40*time.Millisecond {
		t.Errorf("frames %d, gap %v, quiet %v", h.Frames, h.LongestGap, h.LongestQuiet)
	}
	if !h.FirstFrame.Equal(at(0)) || !h.FirstSound.Equal(at(20)) {
		t.Errorf("first frame %v, first sound %v", h.FirstFrame, h.FirstSound)
	}
	if math.Abs(h.Frequency-1000) > 5 || h.Level < 5000 || h.Loudest < 5600 {
		t.Errorf("frequency %v, level %v, loudest %v", h.Frequency, h.Level, h.Loudest)
	}
	if got := e.Heard(at(2210)).LongestGap; got != 100*time.Millisecond {
		t.Errorf("a stream that stopped shows a gap of %v, want 100 ms", got)
	}

	e.Pause()
	if got := e.Heard(at(9000)).LongestGap; got != 70*time.Millisecond {
		t.Errorf("a paused stream shows a gap of %v", got)
	}
	e.Frame(sound, at(9000))
	e.End(at(9200))
	e.Frame(sound, at(9900))
	if h := e.Heard(at(20000)); h.LongestGap != 200*time.Millisecond || h.Frames != 105 {
		t.Errorf("after the end: gap %v, frames %d", h.LongestGap, h.Frames)
	}
}
