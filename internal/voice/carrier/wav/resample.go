package wav

import "math"

// reach is how many zero crossings of the filter's sinc lie on each side.
const reach = 16

// At returns the sound at another rate, by a Hann-windowed sinc that keeps what
// lies below 90 % of the lower rate's half and nothing above that half.
func (s Sound) At(rate int) Sound {
	if rate == s.Rate || rate <= 0 || s.Rate <= 0 {
		return s
	}
	// up output samples take as long as down input samples, so that there are
	// up different sets of weights.
	d := gcd(rate, s.Rate)
	up, down := rate/d, s.Rate/d
	cutoff := 0.95 * min(1, float64(up)/float64(down)) // relative to the input's half rate
	phases := make([][]float64, up)

	out := make([]int16, len(s.Samples)*up/down)
	for i := range out {
		first, phase := i*down/up, i*down%up
		w := phases[phase]
		if w == nil {
			w = weights(float64(phase)/float64(up), cutoff)
			phases[phase] = w
		}
		var sum float64
		start := first - len(w)/2
		for j := max(0, -start); j < len(w) && start+j < len(s.Samples); j++ {
			sum += w[j] * float64(s.Samples[start+j])
		}
		out[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(sum))))
	}
	return Sound{Rate: rate, Samples: out}
}

// weights are those of the input samples around one output sample, which lies
// shift input samples after the middle one.
func weights(shift, cutoff float64) []float64 {
	half := reach / cutoff
	n := int(half) + 1
	w := make([]float64, 2*n+1)
	total := 0.0
	for i := range w {
		x := float64(i-n) - shift
		if math.Abs(x) < half {
			w[i] = sinc(x*cutoff) * (0.5 + 0.5*math.Cos(math.Pi*x/half))
		}
		total += w[i]
	}
	for i := range w {
		w[i] /= total
	}
	return w
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
