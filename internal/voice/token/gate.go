package token

import (
	"encoding/base64"
	"slices"
	"strings"
)

// lax is for looking at what the gate refused, never for accepting.
var lax = base64.RawURLEncoding

// sextets holds the six bits that each byte stands for in base64url (RFC 4648
// section 5), and illegal for all others.
var sextets = func() [256]byte {
	var t [256]byte
	for i := range t {
		t[i] = illegal
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		t[c] = byte(i)
	}
	return t
}()

const illegal = 0x80

// verdict is a reason and where it was found; the zero verdict is none.
type verdict struct {
	reason Reason
	part   Part
}

func (v verdict) ok() bool { return v.reason == "" }

// compact is a JWS in compact serialization (RFC 7515 section 7.1), decoded.
type compact struct {
	header, payload string
	signature       []byte // in the buffer of open
	signed          []byte // the first two segments and their dot, as received; in the buffer of open
}

// open splits and decodes text if and only if encoding the result gives text
// again. The payload and the signature may be empty. It uses *buf for what it need
// not keep.
func open(text string, limit int, buf *[]byte) (compact, verdict) {
	switch {
	case text == "":
		return compact{}, verdict{ReasonEmpty, Whole}
	case len(text) > limit:
		return compact{}, verdict{ReasonTooLarge, Whole}
	}
	first := strings.IndexByte(text, '.')
	last := strings.LastIndexByte(text, '.')
	if first == last || strings.IndexByte(text[first+1:last], '.') >= 0 {
		return compact{}, verdict{ReasonSegments, Whole}
	}
	if first == 0 {
		return compact{}, verdict{ReasonSegmentEmpty, Header}
	}
	b := slices.Grow((*buf)[:0], 2*len(text))
	var bad verdict
	var ends [3]int
	for i, segment := range [3]string{text[:first], text[first+1 : last], text[last+1:]} {
		var r Reason
		if b, r = decode(b, segment); r != "" && bad.ok() {
			bad = verdict{r, [3]Part{Header, Payload, Signature}[i]}
		}
		ends[i] = len(b)
	}
	*buf = b
	if !bad.ok() {
		return compact{}, bad
	}
	b = append(b, text[:last]...)
	kept := string(b[:ends[1]])
	return compact{
		header: kept[:ends[0]], payload: kept[ends[0]:],
		signature: b[ends[1]:ends[2]:ends[2]], signed: b[ends[2]:],
	}, verdict{}
}

// decode appends what a segment stands for, or says what keeps it from being the
// one encoding of anything. Each character adds its own six bits and there are no
// bits without a byte, so that no other text decodes to the same bytes.
func decode(dst []byte, segment string) ([]byte, Reason) {
	n := len(dst)
	dst = slices.Grow(dst, len(segment)*3/4)[:n+len(segment)*3/4]
	s := segment
	out := dst[n:]
	var bad byte
	for len(s) >= 4 && len(out) >= 3 {
		a, b, c, d := sextets[s[0]], sextets[s[1]], sextets[s[2]], sextets[s[3]]
		bad |= a | b | c | d
		out[0], out[1], out[2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		s, out = s[4:], out[3:]
	}
	var stray byte
	switch len(s) {
	case 1:
		bad = illegal // no bytes are encoded like this
	case 2:
		a, b := sextets[s[0]], sextets[s[1]]
		bad |= a | b
		out[0], stray = a<<2|b>>4, b&0xf
	case 3:
		a, b, c := sextets[s[0]], sextets[s[1]], sextets[s[2]]
		bad |= a | b | c
		out[0], out[1], stray = a<<2|b>>4, b<<4|c>>2, c&3
	}
	switch {
	case bad&illegal != 0:
		return dst, outside(segment)
	case stray != 0:
		return dst, ReasonTrailingBits
	default:
		return dst, ""
	}
}

// outside says what keeps a segment from being base64url text, short of its
// trailing bits.
func outside(segment string) Reason {
	for i := 0; i < len(segment); i++ {
		switch c := segment[i]; {
		case sextets[c] != illegal:
		case c == '=':
			return ReasonPadding
		case c == '+', c == '/':
			return ReasonStandardAlphabet
		case c == '\r', c == '\n':
			return ReasonLineBreak
		default:
			return ReasonIllegalCharacter
		}
	}
	return ReasonSegmentLength
}

// decodeText decodes one canonical base64url text.
func decodeText(text string) ([]byte, Reason) {
	data, r := decode(nil, text)
	if r != "" {
		return nil, r
	}
	return data, ""
}
