package media

import "math"

// HoldMusic returns the music that a held party hears: a slow, soft piece of
// our own, 24 s long, that loops without a seam. Making it takes some
// tens of milliseconds; keep it.
func HoldMusic() *Clip {
	const (
		beat = sampleRate * 3 / 4 // 80 a minute
		bar  = 4 * beat
		bars = 8
	)
	// Dmaj9 – Bm7 – Gmaj7 – A, then with a lifted ending. MIDI note numbers.
	chords := [bars][]int{
		{50, 57, 61, 66, 69},
		{47, 54, 57, 62, 66},
		{43, 55, 59, 62, 66},
		{45, 52, 57, 61, 64},
		{50, 57, 61, 66, 69},
		{42, 54, 57, 61, 66},
		{43, 50, 59, 62, 67},
		{45, 52, 57, 59, 64},
	}
	// Steps of the arpeggio in eighths, as indices into the chord's upper notes.
	pattern := [8]int{0, 2, 1, 3, 2, 1, 3, 2}
	melody := map[int]int{0: 78, 6: 76, 10: 74, 16: 74, 22: 73, 26: 71, 32: 69, 38: 76, 42: 78, 48: 76, 54: 74, 58: 71}

	mix := make([]float64, bars*bar)
	for b, chord := range chords {
		for _, note := range chord[1:] {
			pad(mix, b*bar, bar, pitch(note), 0.05)
		}
		pluck(mix, b*bar, 3*beat, pitch(chord[0]+12), 0.22)
		for i, step := range pattern {
			pluck(mix, b*bar+i*beat/2, 3*beat/2, pitch(chord[1+step%(len(chord)-1)]+12), 0.13)
		}
	}
	for eighth, note := range melody {
		pluck(mix, eighth*beat/2, 3*beat, pitch(note), 0.2)
	}
	return &Clip{Name: "hold music", Samples: level(mix, -20)}
}

func pitch(note int) float64 { return 440 * math.Pow(2, float64(note-69)/12) }

// highest partial that a telephone carries.
const highest = 3300

// oscillator makes a sine with no more than a multiplication a sample.
type oscillator struct{ now, before, turn float64 }

// newOscillator returns sin(2π·hz·t) for samples from the given one on.
func newOscillator(hz float64, from int) oscillator {
	w := 2 * math.Pi * hz / sampleRate
	return oscillator{now: math.Sin(w * float64(from)), before: math.Sin(w * float64(from-1)), turn: 2 * math.Cos(w)}
}

func (s *oscillator) next() float64 {
	v := s.now
	s.now, s.before = s.turn*s.now-s.before, s.now
	return v
}

// pluck adds a decaying note with a few overtones, round the end of the loop.
func pluck(mix []float64, at, length int, hz, gain float64) {
	const attack, release = 12 * sampleRate / 1000, sampleRate / 20
	for partial, share := range [...]float64{1, 0.35, 0.15, 0.06} {
		f := hz * float64(partial+1)
		if f > highest {
			break
		}
		tone := newOscillator(f, 0)
		env, decay := gain*share, math.Exp(-(2.2+1.5*float64(partial))/sampleRate)
		for i, j := 0, at; i < length; i, j = i+1, j+1 {
			if j == len(mix) {
				j = 0
			}
			mix[j] += env * min(1, float64(i)/attack, float64(length-i)/release) * tone.next()
			env *= decay
		}
	}
}

// pad adds a soft held note that swells in and out across its neighbours.
func pad(mix []float64, at, length int, hz, gain float64) {
	overlap := length / 8
	a, b := newOscillator(hz, -overlap), newOscillator(hz*1.003, -overlap) // a slow beat
	swell := func(i int) float64 {                                         // of the edge that ends at i == 2*overlap
		if i >= 2*overlap {
			return 1
		}
		return math.Sin(math.Pi / 2 * float64(i) / float64(2*overlap))
	}
	for i := -overlap; i < length+overlap; i++ {
		env := gain * swell(i+overlap) * swell(length+overlap-i)
		mix[(at+i+len(mix))%len(mix)] += env * (a.next() + b.next())
	}
}

// level scales a mix to the wanted loudness (RMS, dB below full scale) and
// rounds it to samples.
func level(mix []float64, dbfs float64) []int16 {
	var sum float64
	for _, v := range mix {
		sum += v * v
	}
	scale := 32768 * math.Pow(10, dbfs/20) / math.Sqrt(sum/float64(len(mix)))
	out := make([]int16, len(mix))
	for i, v := range mix {
		out[i] = int16(max(-32768, min(32767, math.Round(v*scale))))
	}
	return out
}
