package media

import (
	"math"
	"strings"
	"time"
)

// tones is one burst of a signal: frequencies sounding together for a while,
// then silence.
type tones struct {
	hz      []float64
	on, off time.Duration
}

// level of one frequency of a call progress tone: about -19 dBFS each.
const toneLevel = 3600

// signal makes a clip of bursts. Edges are ramped over 2 ms so that they do not
// click.
func signal(name string, level float64, bursts ...tones) *Clip {
	const ramp = 2 * sampleRate / 1000
	var samples []int16
	for _, b := range bursts {
		on := int(b.on * sampleRate / time.Second)
		for i := range on {
			var v float64
			for _, hz := range b.hz {
				v += math.Sin(2 * math.Pi * hz * float64(i) / sampleRate)
			}
			v *= min(1, float64(i)/ramp, float64(on-1-i)/ramp)
			samples = append(samples, int16(math.Round(level*v)))
		}
		samples = append(samples, make([]int16, int(b.off*sampleRate/time.Second))...)
	}
	return &Clip{Name: name, Samples: samples}
}

// Ringback returns one cycle of the tone that a caller hears while it rings, in
// the cadence of the country (ISO 3166, two letters); unknown ones get the tone
// that most of Europe uses. It is meant to loop. (ITU-T E.180 supplement 2.)
func Ringback(country string) *Clip {
	const s, ms = time.Second, time.Millisecond
	switch strings.ToUpper(country) {
	case "US", "CA", "PR":
		return signal("ringback", toneLevel, tones{[]float64{440, 480}, 2 * s, 4 * s})
	case "GB", "IE", "AU", "NZ":
		return signal("ringback", toneLevel,
			tones{[]float64{400, 450}, 400 * ms, 200 * ms}, tones{[]float64{400, 450}, 400 * ms, 2 * s})
	case "JP":
		return signal("ringback", toneLevel, tones{[]float64{384, 416}, 1 * s, 2 * s})
	case "FR":
		return signal("ringback", toneLevel, tones{[]float64{440}, 1500 * ms, 3500 * ms})
	}
	return signal("ringback", toneLevel, tones{[]float64{425}, 1 * s, 4 * s})
}

// BusyTone returns one cycle of the country's busy tone, to loop.
func BusyTone(country string) *Clip {
	const ms = time.Millisecond
	switch strings.ToUpper(country) {
	case "US", "CA", "PR":
		return signal("busy", toneLevel, tones{[]float64{480, 620}, 500 * ms, 500 * ms})
	case "GB", "IE", "AU", "NZ":
		return signal("busy", toneLevel, tones{[]float64{400}, 375 * ms, 375 * ms})
	}
	return signal("busy", toneLevel, tones{[]float64{425}, 480 * ms, 480 * ms})
}

// Beep returns the tone after which a voicemail records.
func Beep() *Clip {
	return signal("beep", toneLevel, tones{[]float64{1000}, 400 * time.Millisecond, 100 * time.Millisecond})
}

// Silence returns a clip of nothing.
func Silence(d time.Duration) *Clip {
	return &Clip{Name: "silence", Samples: make([]int16, int(d*sampleRate/time.Second))}
}

// Tone returns a sine of the frequency (Hz) at about -10 dBFS: for tests, probes
// and line checks.
func Tone(hz float64, d time.Duration) *Clip {
	return signal("tone", 14000, tones{[]float64{hz}, d, 0})
}

// KeyTone returns the two frequencies of a key (ITU-T Q.23) for so long; silence
// for what is no key.
func KeyTone(key byte, d time.Duration) *Clip {
	at := strings.IndexByte("123A456B789C*0#D", key)
	if at < 0 {
		return Silence(d)
	}
	low := [4]float64{697, 770, 852, 941}[at/4]
	high := [4]float64{1209, 1336, 1477, 1633}[at%4]
	return signal("key "+string(key), 5000, tones{[]float64{low, high}, d, 0})
}
