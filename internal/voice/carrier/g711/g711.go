// Package g711 is the simulated carrier's own ITU-T G.711: companding between
// linear 16-bit samples and the 8-bit µ-law and A-law of the phone network.
//
// It owns nothing and is safe for concurrent use. It is deliberately not the
// codec of the node under test: a mistake there must be heard here.
package g711

import "math/bits"

const (
	bias = 132   // µ-law: what is added before the segment is found (33 at 14 bits)
	clip = 32635 // µ-law: the loudest magnitude that the bias leaves room for
)

// EncodeMu compands one sample to µ-law (G.711 table 2, inverted bits).
func EncodeMu(s int16) byte {
	v, sign := int(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, clip) + bias
	segment := bits.Len(uint(v)) - 8
	return ^(sign | byte(segment<<4) | byte(v>>(segment+3)&0x0F))
}

// DecodeMu expands one µ-law byte.
func DecodeMu(b byte) int16 {
	b = ^b
	v := (int(b&0x0F)<<3+bias)<<(b>>4&0x07) - bias
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// EncodeA compands one sample to A-law (G.711 table 1, even bits inverted).
func EncodeA(s int16) byte {
	v, sign := int(s)>>3, byte(0x80) // 13 bits
	if v < 0 {
		v, sign = ^v, 0
	}
	v >>= 1 // 11 bits
	segment := max(0, bits.Len(uint(v))-4)
	mantissa := v & 0x0F
	if segment > 0 {
		mantissa = v >> (segment - 1) & 0x0F
	}
	return (sign | byte(segment<<4) | byte(mantissa)) ^ 0x55
}

// DecodeA expands one A-law byte.
func DecodeA(b byte) int16 {
	b ^= 0x55
	v := int(b&0x0F)<<4 + 8
	if segment := b >> 4 & 0x07; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}
