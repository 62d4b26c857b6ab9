package token

import (
	"encoding/base64"
	"strings"
)

// strict refuses padding and non-zero trailing bits. It still skips CR and LF,
// which is why legal looks at every byte first.
var strict = base64.RawURLEncoding.Strict()

// lax is for looking at what the gate refused, never for accepting.
var lax = base64.RawURLEncoding

// verdict is a reason and where it was found; the zero verdict is none.
type verdict struct {
	reason Reason
	part   Part
}

func (v verdict) ok() bool { return v.reason == "" }

// compact is a JWS in compact serialization (RFC 7515 section 7.1), decoded.
// Its slices share one allocation that nothing else holds.
type compact struct {
	header, payload, signature []byte
	signed                     []byte // the first two segments and their dot, as received
}

// open splits and decodes text if and only if encoding the result gives text
// again. The payload and the signature may be empty.
func open(text string, limit int) (compact, verdict) {
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
	segments := [3]string{text[:first], text[first+1 : last], text[last+1:]}
	parts := [3]Part{Header, Payload, Signature}
	if segments[0] == "" {
		return compact{}, verdict{ReasonSegmentEmpty, Header}
	}
	size := last
	for i, s := range segments {
		if r := legal(s); r != "" {
			return compact{}, verdict{r, parts[i]}
		}
		size += strict.DecodedLen(len(s))
	}

	buf := make([]byte, 0, size)
	buf = append(buf, text[:last]...)
	var decoded [3][]byte
	for i, s := range segments {
		start := len(buf)
		var err error
		buf, err = strict.AppendDecode(buf, []byte(s))
		decoded[i] = buf[start:len(buf):len(buf)]
		if err != nil || !encodes(decoded[i], s) {
			return compact{}, verdict{ReasonTrailingBits, parts[i]}
		}
	}
	return compact{header: decoded[0], payload: decoded[1], signature: decoded[2], signed: buf[:last:last]}, verdict{}
}

// legal says what keeps a segment from being base64url text, short of its
// trailing bits.
func legal(segment string) Reason {
	for i := 0; i < len(segment); i++ {
		switch c := segment[i]; {
		case inAlphabet(c):
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
	if len(segment)%4 == 1 {
		return ReasonSegmentLength
	}
	return ""
}

// inAlphabet reports whether c is a character of base64url (RFC 4648 section 5).
func inAlphabet(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// encodes reports whether segment is the one encoding of data.
func encodes(data []byte, segment string) bool {
	var chunk [256]byte
	if strict.EncodedLen(len(data)) != len(segment) {
		return false
	}
	for len(data) > 0 {
		n := min(len(data), 3*len(chunk)/4)
		m := strict.EncodedLen(n)
		strict.Encode(chunk[:m], data[:n])
		if string(chunk[:m]) != segment[:m] {
			return false
		}
		data, segment = data[n:], segment[m:]
	}
	return segment == ""
}

// decodeText decodes one canonical base64url text.
func decodeText(text string) ([]byte, Reason) {
	if r := legal(text); r != "" {
		return nil, r
	}
	data, err := strict.DecodeString(text)
	if err != nil || !encodes(data, text) {
		return nil, ReasonTrailingBits
	}
	return data, ""
}
