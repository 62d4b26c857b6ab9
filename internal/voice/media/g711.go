package media

import (
	"math/bits"

	"dialtone/internal/voice/call"
)

// law is one of the two G.711 companding laws with its tables. The tables are
// built once and never changed.
type law struct {
	decode [256]int16
	power  [256]uint32 // square of decode, to measure loudness without decoding
	other  [256]byte   // the same sound in the other law
	encode func(int16) byte
	quiet  byte
}

// Both laws. Values follow ITU-T G.711 (and G.191's reference decoder), scaled
// from 14 and 13 bits to 16.
var muLaw, aLaw = newLaws()

func newLaws() (mu, a *law) {
	mu = &law{encode: encodeMu, quiet: 0xff}
	a = &law{encode: encodeA, quiet: 0xd5}
	for i := range 256 {
		mu.decode[i], a.decode[i] = decodeMu(byte(i)), decodeA(byte(i))
	}
	for i := range 256 {
		m, n := int64(mu.decode[i]), int64(a.decode[i])
		mu.power[i], a.power[i] = uint32(m*m), uint32(n*n)
		mu.other[i], a.other[i] = encodeA(mu.decode[i]), encodeMu(a.decode[i])
	}
	return mu, a
}

// lawOf returns the law of a codec, nil for a codec that is not G.711.
func lawOf(c call.Codec) *law {
	switch c {
	case call.PCMU:
		return muLaw
	case call.PCMA:
		return aLaw
	case call.Opus:
	}
	return nil
}

const (
	muBias = 0x84  // 33 in G.711's 14 bits
	muClip = 32635 // the largest magnitude that the bias does not overflow
)

// encodeMu compresses one sample by mu-law: sign, three bits of segment, four
// of step, all inverted.
func encodeMu(s int16) byte {
	v, sign := int32(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, muClip) + muBias
	segment := bits.Len32(uint32(v)) - 8
	return ^(sign | byte(segment)<<4 | byte(v>>(segment+3))&0x0f)
}

func decodeMu(b byte) int16 {
	b = ^b
	v := (int32(b&0x0f)<<3+muBias)<<(b>>4&7) - muBias
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// encodeA compresses one sample by A-law: as mu-law without bias, the first two
// segments alike, even bits inverted.
func encodeA(s int16) byte {
	v, sign := int32(s)>>3, byte(0x80) // 13 bits
	if v < 0 {
		v, sign = ^v, 0
	}
	if v < 32 {
		return (sign | byte(v>>1)) ^ 0x55
	}
	segment := bits.Len32(uint32(v)) - 5
	return (sign | byte(segment)<<4 | byte(v>>segment)&0x0f) ^ 0x55
}

func decodeA(b byte) int16 {
	b ^= 0x55
	v := int32(b&0x0f)<<4 + 8
	if segment := b >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

// compress fills dst with the first samples, of which there must be enough.
func (l *law) compress(dst []byte, samples []int16) {
	for i := range dst {
		dst[i] = l.encode(samples[i])
	}
}

// expand appends the samples of a payload to dst.
func (l *law) expand(dst []int16, payload []byte) []int16 {
	for _, b := range payload {
		dst = append(dst, l.decode[b])
	}
	return dst
}

// loud reports whether the payload's level is above about -45 dBFS: a voice,
// not a line's hiss or comfort noise.
func (l *law) loud(payload []byte) bool {
	var sum uint64
	for _, b := range payload {
		sum += uint64(l.power[b])
	}
	return sum > loudPower*uint64(len(payload))
}

// loudPower is the square of -45 dBFS.
const loudPower = 184 * 184
