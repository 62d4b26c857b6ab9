package carrier

import "dialtone/internal/voice/carrier/g711"

// The codecs of the phone network that the carrier speaks.
const (
	PCMU = "PCMU"
	PCMA = "PCMA"
)

// rate is G.711's: samples, and RTP timestamps, per second.
const rate = 8000

// codec is one negotiated G.711 law.
type codec struct {
	name   string
	pt     uint8
	encode func(int16) byte
	decode func(byte) int16
}

func codecNamed(name string) (codec, bool) {
	switch name {
	case PCMU:
		return codec{name: PCMU, pt: 0, encode: g711.EncodeMu, decode: g711.DecodeMu}, true
	case PCMA:
		return codec{name: PCMA, pt: 8, encode: g711.EncodeA, decode: g711.DecodeA}, true
	}
	return codec{}, false
}

func codecsNamed(names []string) []codec {
	var cs []codec
	for _, n := range names {
		if c, ok := codecNamed(n); ok {
			cs = append(cs, c)
		}
	}
	return cs
}

func (c codec) pack(frame []int16) []byte {
	b := make([]byte, len(frame))
	for i, s := range frame {
		b[i] = c.encode(s)
	}
	return b
}

func (c codec) unpack(b []byte) []int16 {
	frame := make([]int16, len(b))
	for i := range b {
		frame[i] = c.decode(b[i])
	}
	return frame
}
