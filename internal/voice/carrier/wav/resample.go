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
	ratio := float64(rate) / float64(s.Rate)
	cutoff := 0.95 * min(1, ratio) // relative to the input's half rate
	half := reach / cutoff
	out := make([]int16, int(float64(len(s.Samples))*ratio))
	for i := range out {
		center := float64(i) / ratio
		var sum, weight float64
		for j := max(0, int(math.Ceil(center-half))); j <= min(len(s.Samples)-1, int(center+half)); j++ {
			x := float64(j) - center
			w := sinc(x*cutoff) * (0.5 + 0.5*math.Cos(math.Pi*x/half))
			sum += w * float64(s.Samples[j])
			weight += w
		}
		if weight != 0 {
			sum /= weight
		}
		out[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(sum))))
	}
	return Sound{Rate: rate, Samples: out}
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
