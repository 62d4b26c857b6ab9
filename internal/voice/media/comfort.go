package media

import "math"

// comfort is the noise that a far end described (RFC 3389): level and spectrum.
type comfort struct {
	level   float64 // amplitude of what drives the filter; 0: silence
	reflect [10]float64
	order   int
	state   [11]float64
	random  uint32
}

// set takes a comfort noise payload: a level in -dBov, and reflection coefficients.
func (c *comfort) set(payload []byte) {
	if len(payload) == 0 {
		return
	}
	power := math.Pow(10, -float64(payload[0]&0x7f)/10)
	c.order = min(len(payload)-1, len(c.reflect))
	for i := range c.order {
		k := 258 * (float64(payload[i+1]) - 127) / 32768 // RFC 3389, 3.2
		k = max(-0.999, min(0.999, k))
		c.reflect[i] = k
		power *= max(1-k*k, 0)
	}
	// 3 makes the mean power of evenly spread numbers that of a full-scale square wave.
	c.level = 32768 * math.Sqrt(3*power)
}

// fill makes the noise.
func (c *comfort) fill(dst []int16) {
	if c.level == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		if c.random == 0 {
			c.random = 0x9E3779B9
		}
		c.random ^= c.random << 13
		c.random ^= c.random >> 17
		c.random ^= c.random << 5
		v := c.level * (float64(c.random)/(1<<31) - 1)
		// The lattice of the all-pole filter.
		for m := c.order - 1; m >= 0; m-- {
			v -= c.reflect[m] * c.state[m]
			c.state[m+1] = c.state[m] + c.reflect[m]*v
		}
		c.state[0] = v
		dst[i] = int16(max(-32768, min(32767, v)))
	}
}
