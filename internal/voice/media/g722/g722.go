// Package g722 is the wideband codec of ITU-T G.722 at 64 kbit/s: two bands of
// 8 kHz, each an adaptive differential coder, eight bits for two samples of 16 kHz.
//
// An Encoder or a Decoder is one stream's state and not for concurrent use. They
// allocate nothing but what they append, and take any input: every byte is a
// code word. RTP counts this codec in 8 kHz ticks (RFC 3551, 4.5.2).
//
// Names in capitals in comments are those of the blocks in G.722, clauses 6.2.
package g722

// Rate is the number of samples a second.
const Rate = 16000

// Encoder makes code words of samples.
type Encoder struct {
	low, high band
	mirror    mirror
	odd       int16
	half      bool // odd waits for its neighbour
}

// NewEncoder returns an encoder at rest.
func NewEncoder() *Encoder {
	return &Encoder{low: band{det: 32}, high: band{det: 8}}
}

// Encode appends the code words of the samples, one for two, to dst. An odd
// sample waits for the next call.
func (e *Encoder) Encode(dst []byte, samples []int16) []byte {
	for _, s := range samples {
		if e.half = !e.half; e.half {
			e.odd = s
			continue
		}
		low, high := e.mirror.split(e.odd, s)
		dst = append(dst, e.high.quantizeHigh(high)<<6|e.low.quantizeLow(low))
	}
	return dst
}

// Decoder makes samples of code words.
type Decoder struct {
	low, high band
	mirror    mirror
}

// NewDecoder returns a decoder at rest.
func NewDecoder() *Decoder {
	return &Decoder{low: band{det: 32}, high: band{det: 8}}
}

// Decode appends two samples for each code word to dst.
func (d *Decoder) Decode(dst []int16, words []byte) []int16 {
	for _, w := range words {
		code := int32(w & 0x3f)
		low := limit(d.low.s+d.low.det*inverse6[code]>>15, 14)
		d.low.adaptLow(code)
		high := int32(w >> 6)
		d.high.adaptHigh(high)
		a, b := d.mirror.join(low, limit(d.high.r[0], 14))
		dst = append(dst, a, b)
	}
	return dst
}

// limit saturates x to a sign and so many bits.
func limit(x int32, bits uint) int32 {
	return max(-1<<bits, min(1<<bits-1, x))
}

// mirror is the pair of quadrature mirror filters: the last 24 samples (or sums
// and differences), newest last.
type mirror struct{ x [24]int32 }

// shift makes room for two.
func (m *mirror) shift(a, b int32) {
	copy(m.x[:], m.x[2:])
	m.x[22], m.x[23] = a, b
}

func (m *mirror) sums() (even, odd int32) {
	for i, c := range taps {
		even += m.x[2*i] * c
		odd += m.x[2*i+1] * taps[len(taps)-1-i]
	}
	return even, odd
}

// split is the transmit filter (TX QMF): two samples of 16 kHz become one of each band.
func (m *mirror) split(a, b int16) (low, high int32) {
	m.shift(int32(a), int32(b))
	even, odd := m.sums()
	return (odd + even) >> 14, (odd - even) >> 14
}

// join is the receive filter (RX QMF).
func (m *mirror) join(low, high int32) (a, b int16) {
	m.shift(low+high, low-high)
	even, odd := m.sums()
	return int16(limit(odd>>11, 15)), int16(limit(even>>11, 15))
}
