// Package conceal hides lost packets of telephone speech (8 kHz): the last pitch
// period is repeated and faded out, after ITU-T G.711 Appendix I, without the delay
// of that one; and it takes time out of speech without a click.
//
// It is pure; a Concealer is one stream's and not for concurrent use.
package conceal

import "math"

// In samples of 8 kHz.
const (
	step       = 80  // 10 ms
	minPitch   = 40  // 200 Hz
	maxPitch   = 120 // 66 Hz
	window     = 160 // over which periods are compared
	history    = 3*maxPitch + maxPitch/4
	fadedAfter = 6 * step
)

// Concealer follows one stream.
type Concealer struct {
	past  [history]int16 // what was heard last, the newest at the end
	have  int            // how much of it is real
	lost  int            // samples made up since
	pitch int
	pos   int     // in past, of the next made-up sample
	jump  float64 // from the last sample that was heard to where the first period begins
}

// Good takes what arrived, in order; after a loss its beginning is faded in over
// what was made up.
func (c *Concealer) Good(frame []int16) {
	if c.lost > 0 {
		n := min(c.pitch/4+32*(c.lost/step), step, len(frame))
		for i := range n {
			made := c.next()
			part := float64(i+1) / float64(n+1)
			frame[i] = int16(math.Round((1-part)*made + part*float64(frame[i])))
		}
		c.lost = 0
	}
	c.remember(frame)
}

func (c *Concealer) remember(frame []int16) {
	if len(frame) > history {
		frame = frame[len(frame)-history:]
	}
	copy(c.past[:], c.past[len(frame):])
	copy(c.past[history-len(frame):], frame)
	c.have = min(history, c.have+len(frame))
}

// Lost makes up what did not arrive. After 60 ms it is silence.
func (c *Concealer) Lost(dst []int16) {
	for i := range dst {
		dst[i] = int16(math.Round(max(-32768, min(32767, c.next()))))
	}
}

// next makes up one sample.
func (c *Concealer) next() float64 {
	if c.have < history || c.lost >= fadedAfter {
		c.lost++
		c.pitch = max(c.pitch, minPitch)
		return 0
	}
	if c.lost == 0 {
		c.pitch = pitch(c.past[history-maxPitch-window:])
		c.pos = history - c.pitch
		c.jump = float64(c.past[history-1]) - float64(c.past[history-c.pitch-1])
	}
	// One period in the first 10 ms, then two and three, so that it does not buzz.
	periods := min(1+c.lost/step, 3)
	if c.pos >= history {
		c.pos -= periods * c.pitch
	}
	v := float64(c.past[c.pos])
	// The end of the cycle is faded into what came before its beginning.
	quarter := c.pitch / 4
	if left := history - c.pos; left <= quarter {
		part := 1 - float64(left)/float64(quarter+1)
		v = (1-part)*v + part*float64(c.past[c.pos-periods*c.pitch])
	}
	if c.lost < quarter {
		v += c.jump * (1 - float64(c.lost)/float64(quarter))
	}
	if c.lost > step {
		v *= 1 - 0.2*float64(c.lost-step)/step
	}
	c.pos++
	c.lost++
	return v
}

// pitch returns the period at which the end of the samples is most like what was
// before it. There must be maxPitch+window of them.
func pitch(s []int16) int {
	end := s[maxPitch:]
	alike := func(lag, every int) float64 {
		var ab, bb float64
		for i := 0; i < window; i += every {
			a, b := float64(end[i]), float64(s[maxPitch-lag+i])
			ab, bb = ab+a*b, bb+b*b
		}
		return ab / math.Sqrt(bb+1e4)
	}
	best, at := math.Inf(-1), minPitch
	for lag := minPitch; lag <= maxPitch; lag += 2 {
		if r := alike(lag, 2); r > best {
			best, at = r, lag
		}
	}
	best, rough := math.Inf(-1), at
	for lag := max(minPitch, rough-1); lag <= min(maxPitch, rough+1); lag++ {
		if r := alike(lag, 1); r > best {
			best, at = r, lag
		}
	}
	return at
}

// Shorten takes up to most samples, and not less than 2.5 ms, out of the beginning
// of s where that cannot be heard: one period is faded into the next. It returns
// what is left, in the same memory; s itself when there is no such place.
func Shorten(s []int16, most int) []int16 {
	const least, longest = 20, maxPitch
	most = min(most, longest, len(s)/2)
	if most < least {
		return s
	}
	var power float64
	for _, v := range s[:most] {
		power += float64(v) * float64(v)
	}
	best, at := 0.0, 0
	for lag := least; lag <= most; lag++ {
		var ab, aa, bb float64
		for i := range lag {
			a, b := float64(s[i]), float64(s[lag+i])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		if r := ab / math.Sqrt(aa*bb+1); r > best {
			best, at = r, lag
		}
	}
	const quiet = 100 * 100 // mean power of what nobody listens to
	switch {
	case power < quiet*float64(most):
		at = most
	case best < 0.6:
		return s
	}
	for i := range at {
		part := float64(i+1) / float64(at+1)
		s[at+i] = int16(math.Round((1-part)*float64(s[i]) + part*float64(s[at+i])))
	}
	return s[:copy(s, s[at:])]
}
