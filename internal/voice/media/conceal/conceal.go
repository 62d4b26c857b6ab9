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
	alike float64 // how like each other two periods are, up to 1: so loud is what is made up
	pos   int     // in past, of the next made-up sample
	jump  float64 // from the last sample that was heard to where the first period begins
}

// Good takes what arrived, in order; after a loss its beginning is faded in over
// what was made up.
func (c *Concealer) Good(frame []int16) {
	if c.lost > 0 {
		n := min(c.pitch/4+32*max(c.lost/step-1, 0), step, len(frame))
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

// Between makes up what did not arrive where the packet after it is there: what
// was before fades into what comes. That packet's Good is to follow.
func (c *Concealer) Between(dst, next []int16) {
	lag, r := 0, 0.0
	for try := minPitch; try <= min(maxPitch, len(next)/2); try++ {
		if a := alike(next[:len(next)-try], next[try:], 1); a > r {
			lag, r = try, a
		}
	}
	c.Lost(dst)
	if lag == 0 {
		return
	}
	quarter := lag / 4
	jump := float64(next[0]) - float64(next[lag])
	for i := range dst {
		back := len(dst) - 1 - i // samples before the one before next
		v := float64(next[lag-1-back%lag])
		if back < quarter {
			v += jump * (1 - float64(back)/float64(quarter))
		}
		part := float64(i+1) / float64(len(dst)+1)
		v = (1-part)*float64(dst[i]) + part*v*(r+(1-r)*part*part)
		dst[i] = int16(math.Round(max(-32768, min(32767, v))))
	}
	c.remember(dst)
	c.lost = 0
}

// alike returns the correlation of two signals, 0 to 1, from every so manieth sample.
func alike(a, b []int16, every int) float64 {
	var ab, aa, bb float64
	for i := 0; i < len(a); i += every {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return max(0, ab/math.Sqrt(aa*bb+1e8))
}

// next makes up one sample.
func (c *Concealer) next() float64 {
	if c.have < history || c.lost >= fadedAfter {
		c.lost++
		c.pitch = max(c.pitch, minPitch)
		return 0
	}
	if c.lost == 0 {
		c.pitch, c.alike = pitch(c.past[history-maxPitch-window:])
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
	v *= c.alike + (1-c.alike)*max(0, 1-float64(c.lost)/float64(quarter))
	if c.lost > step {
		v *= 1 - 0.2*float64(c.lost-step)/step
	}
	c.pos++
	c.lost++
	return v
}

// pitch returns the period at which the end of the samples is most like what was
// before it, and how much. There must be maxPitch+window of them.
func pitch(s []int16) (lag int, like float64) {
	end := s[maxPitch:]
	at := func(lag, every int) float64 { return alike(end[:window], s[maxPitch-lag:][:window], every) }
	lag, like = minPitch, 0
	for try := minPitch; try <= maxPitch; try += 2 {
		if r := at(try, 2); r > like {
			lag, like = try, r
		}
	}
	rough := lag
	like = 0
	for try := max(minPitch, rough-1); try <= min(maxPitch, rough+1); try++ {
		if r := at(try, 1); r > like {
			lag, like = try, r
		}
	}
	return lag, like
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
