package media

import (
	"math"
	"testing"
	"time"
)

func TestCallProgressTones(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		clip *Clip
		hz   []float64
		on   time.Duration // of the first burst
		all  time.Duration // of a cycle
	}{
		"ringback US":      {Ringback("us"), []float64{440, 480}, 2000 * ms, 6000 * ms},
		"ringback DE":      {Ringback("DE"), []float64{425}, 1000 * ms, 5000 * ms},
		"ringback GB":      {Ringback("GB"), []float64{400, 450}, 400 * ms, 3000 * ms},
		"ringback unknown": {Ringback(""), []float64{425}, 1000 * ms, 5000 * ms},
		"busy US":          {BusyTone("US"), []float64{480, 620}, 500 * ms, 1000 * ms},
		"busy DE":          {BusyTone("DE"), []float64{425}, 480 * ms, 960 * ms},
		"beep":             {Beep(), []float64{1000}, 400 * ms, 500 * ms},
		"key 1":            {KeyTone('1', 100*ms), []float64{697, 1209}, 100 * ms, 100 * ms},
		"key #":            {KeyTone('#', 100*ms), []float64{941, 1477}, 100 * ms, 100 * ms},
		"key D":            {KeyTone('D', 100*ms), []float64{941, 1633}, 100 * ms, 100 * ms},
	} {
		on := int(c.on * sampleRate / time.Second)
		if c.clip.Duration() != c.all {
			t.Errorf("%s: a cycle of %v, want %v", name, c.clip.Duration(), c.all)
		}
		var rest float64
		for i, s := range c.clip.Samples {
			if i >= on && i < on+100 && s != 0 {
				t.Errorf("%s: sounds after %v", name, c.on)
				break
			}
			if i < on {
				rest += float64(s) * float64(s)
			}
		}
		// All the burst's power is in its frequencies.
		var found float64
		for _, hz := range c.hz {
			p := power(c.clip.Samples[:on], hz) * 32768
			if p < 3000 {
				t.Errorf("%s: %v Hz has %v", name, hz, p)
			}
			found += p * p / 2
		}
		if share := found / (rest / float64(on)); share < 0.9 {
			t.Errorf("%s: %.2f of the power is in %v", name, share, c.hz)
		}
	}
	if power(KeyTone('x', time.Second).Samples, 697) != 0 {
		t.Error("what is no key sounds")
	}
}

func TestHoldMusic(t *testing.T) {
	c := HoldMusic()
	if d := c.Duration(); d < 20*time.Second || d > 30*time.Second {
		t.Errorf("it lasts %v", d)
	}
	rms := func(s []int16) float64 {
		var sum float64
		for _, v := range s {
			sum += float64(v) * float64(v)
		}
		return 20 * math.Log10(math.Sqrt(sum/float64(len(s)))/32768)
	}
	if l := rms(c.Samples); math.Abs(l+20) > 0.2 {
		t.Errorf("it is at %.1f dBFS", l)
	}
	var peak, step int
	n := len(c.Samples)
	for i, s := range c.Samples {
		peak = max(peak, abs(int(s)))
		if i > 0 {
			step = max(step, abs(int(s)-int(c.Samples[i-1])))
		}
	}
	if peak > 28000 {
		t.Errorf("its peak is %d", peak)
	}
	if seam := abs(int(c.Samples[0]) - int(c.Samples[n-1])); seam > step {
		t.Errorf("the seam jumps by %d, the music by at most %d", seam, step)
	}
	// It is never silent for long and never much louder than elsewhere.
	for i := 0; i+8000 <= n; i += 8000 {
		if l := rms(c.Samples[i : i+8000]); l < -28 || l > -13 {
			t.Errorf("second %d is at %.1f dBFS", i/8000, l)
		}
	}
	// Notes, not noise: a few frequencies carry nearly all of a second's power.
	second := c.Samples[8000:16000]
	var tones, all float64
	for _, s := range second {
		all += float64(s) * float64(s) / 8000
	}
	for hz := 60.0; hz < 4000; hz++ {
		if p := power(second, hz) * 32768; p > 100 {
			tones += p * p / 2
		}
	}
	if tones/all < 0.8 {
		t.Errorf("only %.2f of the power is in tones", tones/all)
	}
	if high := power(second, 3700) * 32768; high > 30 {
		t.Errorf("3.7 kHz has %v", high)
	}
}
