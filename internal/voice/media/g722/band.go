package g722

// band is one band's adaptive predictor and quantizer. Index 0 is the present
// sample, higher ones those before it; a and b count from 1 as in G.722.
type band struct {
	s, sz int32 // predicted: the whole, and the zeros' part
	r, p  [3]int32
	a     [3]int32
	d, b  [7]int32
	nb    int32 // logarithmic scale factor
	det   int32 // linear scale factor: the quantizer's step
}

// quantizeLow returns the six bits of the lower band's sample (QUANTL).
func (b *band) quantizeLow(x int32) byte {
	e := limit(x-b.s, 15)
	size := e
	if e < 0 {
		size = -(e + 1)
	}
	level := 1
	for level < 30 && size >= levels6[level]*b.det>>12 {
		level++
	}
	code := positive6[level]
	if e < 0 {
		code = negative6[level]
	}
	b.adaptLow(int32(code))
	return code
}

// quantizeHigh returns the two bits of the higher band's sample (QUANTH).
func (b *band) quantizeHigh(x int32) byte {
	e := limit(x-b.s, 15)
	size, code := e, int32(2) // of a positive difference: 3 small, 2 large
	if e < 0 {
		size, code = -(e + 1), 0 // negative: 1 small, 0 large
	}
	if size < 564*b.det>>12 {
		code++
	}
	b.adaptHigh(code)
	return byte(code)
}

// adaptLow follows the lower band's code: INVQAL, LOGSCL, SCALEL, then the predictor.
func (b *band) adaptLow(code int32) {
	code >>= 2 // the two least bits may be data (modes 2 and 3): nothing may depend on them
	d := b.det * inverse4[code] >> 15
	b.scale(weights4[code], 18432, 8)
	b.predict(d)
}

// adaptHigh follows the higher band's code: INVQAH, LOGSCH, SCALEH, then the predictor.
func (b *band) adaptHigh(code int32) {
	d := b.det * inverse2[code] >> 15
	b.scale(weights2[code], 22528, 10)
	b.predict(d)
}

func (b *band) scale(weight, most, shift int32) {
	b.nb = max(0, min(most, b.nb*127>>7+weight))
	step, by := exponents[b.nb>>6&31], shift-b.nb>>11
	if by < 0 {
		step <<= -by
	} else {
		step >>= by
	}
	b.det = step << 2
}

// predict takes the quantized difference and predicts the next sample.
func (b *band) predict(d int32) {
	b.d[0] = d
	b.r[0] = limit(b.s+d, 15)  // RECONS
	b.p[0] = limit(b.sz+d, 15) // PARREC

	same := func(x, y int32) bool { return x>>15 == y>>15 }

	// UPPOL2
	w := limit(b.a[1]<<2, 15)
	if same(b.p[0], b.p[1]) {
		w = min(-w, 32767)
	}
	a2 := w>>7 + b.a[2]*32512>>15
	if same(b.p[0], b.p[2]) {
		a2 += 128
	} else {
		a2 -= 128
	}
	a2 = max(-12288, min(12288, a2))

	// UPPOL1
	a1 := b.a[1] * 32640 >> 15
	if same(b.p[0], b.p[1]) {
		a1 += 192
	} else {
		a1 -= 192
	}
	most := 15360 - a2
	a1 = max(-most, min(most, a1))

	// UPZERO, DELAYA, FILTEZ
	var step int32
	if d != 0 {
		step = 128
	}
	b.sz = 0
	for i := 6; i > 0; i-- {
		w := step
		if !same(b.d[i], d) {
			w = -step
		}
		b.b[i] = limit(w+b.b[i]*32640>>15, 15)
		b.d[i] = b.d[i-1]
		b.sz += b.b[i] * limit(2*b.d[i], 15) >> 15
	}
	b.sz = limit(b.sz, 15)
	b.r[2], b.r[1] = b.r[1], b.r[0]
	b.p[2], b.p[1] = b.p[1], b.p[0]
	b.a[1], b.a[2] = a1, a2

	// FILTEP, PREDIC
	sp := limit(a1*limit(2*b.r[1], 15)>>15+a2*limit(2*b.r[2], 15)>>15, 15)
	b.s = limit(sp+b.sz, 15)
}
