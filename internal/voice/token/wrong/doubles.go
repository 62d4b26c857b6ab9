package wrong

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"unicode"

	"dialtone/internal/voice/token"
)

// Doubles returns every broken verifier there is.
func Doubles() []Double {
	return append(append(strict(), lenient()...), misreading()...)
}

var (
	errAlphabet = errors.New("a character of another alphabet")
	errPadding  = errors.New("the padding is wrong")
)

// standard decodes the standard alphabet without padding.
func standard(segment string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(segment) }

// after makes a decoder that decodes the standard alphabet after some
// characters were replaced.
func after(replace func(segment string) string) func(string) ([]byte, error) {
	return func(segment string) ([]byte, error) {
		if data, err := standard(replace(segment)); err == nil {
			return data, nil
		}
		return nil, errAlphabet
	}
}

// right decodes base64url as it should be.
func right(segment string) ([]byte, error) {
	if strings.ContainsAny(segment, "\r\n") {
		return nil, errAlphabet
	}
	return base64.RawURLEncoding.Strict().DecodeString(segment)
}

func then(change func(data []byte) []byte) func(string) ([]byte, error) {
	return func(segment string) ([]byte, error) {
		data, err := right(segment)
		return change(data), err
	}
}

// padded adds padding, but none or another for the lengths that leave residue
// when divided by three.
func padded(residue int) func(string) ([]byte, error) {
	return func(segment string) ([]byte, error) {
		data, err := right(segment)
		if err == nil && len(data)%3 == residue {
			return nil, errPadding
		}
		return data, err
	}
}

// strict are verifiers that refuse what is valid.
func strict() []Double {
	decoding := func(name, what string, decode func(string) ([]byte, error)) Double {
		return double(name, what, fault{refuse: func(text string) (token.Reason, token.Part) { return decodes(text, decode) }})
	}
	refusing := func(name, what string, reason token.Reason, when func(text string) bool) Double {
		return double(name, what, fault{refuse: func(text string) (token.Reason, token.Part) {
			if when(text) {
				return reason, token.Whole
			}
			return "", token.Whole
		}})
	}
	all := strings.NewReplacer("-", "+", "_", "/")
	return []Double{
		decoding("standard alphabet", "decodes Base64 instead of base64url", after(func(s string) string { return s })),
		decoding("first '-'", "replaces only the first '-' of a part", after(func(s string) string {
			return strings.ReplaceAll(strings.Replace(s, "-", "+", 1), "_", "/")
		})),
		decoding("first '_'", "replaces only the first '_' of a part", after(func(s string) string {
			return strings.ReplaceAll(strings.Replace(s, "_", "/", 1), "-", "+")
		})),
		decoding("first of each", "replaces only the first '-' and the first '_' of a part", after(func(s string) string {
			return strings.Replace(strings.Replace(s, "_", "/", 1), "-", "+", 1)
		})),
		decoding("'_' forgotten", "replaces '-' and forgets '_'", after(func(s string) string { return strings.ReplaceAll(s, "-", "+") })),
		decoding("'-' forgotten", "replaces '_' and forgets '-'", after(func(s string) string { return strings.ReplaceAll(s, "_", "/") })),
		decoding("exchanged", "takes '-' for '_' and '_' for '-'", after(strings.NewReplacer("-", "/", "_", "+").Replace)),
		decoding("case folded", "folds the case of the text before it decodes", after(func(s string) string { return strings.ToLower(all.Replace(s)) })),
		decoding("trailing zeros", "trims zero bytes from the end of what it decoded", then(func(b []byte) []byte { return bytes.TrimRight(b, "\x00") })),
		decoding("leading zeros", "takes the signature for a number and loses zero bytes at its beginning", then(func(b []byte) []byte { return bytes.TrimLeft(b, "\x00") })),
		decoding("zero ends", "reads what it decoded up to the first zero byte", then(func(b []byte) []byte {
			b, _, _ = bytes.Cut(b, []byte{0})
			return b
		})),
		decoding("blanks trimmed", "trims blanks and line breaks from both ends of what it decoded", then(bytes.TrimSpace)),
		decoding("padding at 0", "adds padding where none is due, when a length leaves 0", padded(0)),
		decoding("padding at 1", "adds one '=' instead of two, when a length leaves 1", padded(1)),
		decoding("padding at 2", "adds no '=', when a length leaves 2", padded(2)),
		decoding("last group", "drops an incomplete group of characters at the end", then(func(b []byte) []byte { return b[:len(b)/3*3] })),
		refusing("comment filter", "is behind a filter that takes '--' for an attack", token.ReasonIllegalCharacter, func(t string) bool { return strings.Contains(t, "--") }),
		refusing("word boundary", "finds the token by a pattern that ends at a word boundary", token.ReasonSignatureMismatch, func(t string) bool { return strings.HasSuffix(t, "-") }),
		refusing("4 KiB", "has a buffer of 4 KiB", token.ReasonTooLarge, func(t string) bool { return len(t) > 4095 }),
	}
}

// decodes says what such a fault would refuse the text for; "" when the wrong
// decoder reads the same as the right one, or nobody can read it.
func decodes(text string, decode func(string) ([]byte, error)) (token.Reason, token.Part) {
	segments := strings.Split(text, ".")
	if len(segments) != 3 {
		return "", token.Whole
	}
	for i, part := range []token.Part{token.Header, token.Payload, token.Signature} {
		want, err := right(segments[i])
		if err != nil {
			return "", token.Whole
		}
		got, err := decode(segments[i])
		switch {
		case errors.Is(err, errPadding):
			return token.ReasonPadding, part
		case err != nil:
			return token.ReasonIllegalCharacter, part
		case bytes.Equal(got, want):
		case part == token.Signature || json.Valid(got):
			return token.ReasonSignatureMismatch, token.Signature
		default:
			return token.ReasonNotJSON, part
		}
	}
	return "", token.Whole
}

// lenient are verifiers that accept what they must not.
func lenient() []Double {
	repairing := func(name, what string, repair func(text string) string) Double {
		return double(name, what, fault{repair: func(text string, _ token.Reason) []string {
			if better := repair(text); better != text {
				return []string{better}
			}
			return nil
		}})
	}
	return []Double{
		repairing("line breaks skipped", "skips line breaks, as Go's encoding/base64 does", strings.NewReplacer("\r", "", "\n", "").Replace),
		repairing("lines of 76", "takes lines of 76 characters, as of mail", func(t string) string {
			segments := strings.Split(t, ".")
			for i, s := range segments {
				segments[i] = unwrapped(s)
			}
			return strings.Join(segments, ".")
		}),
		repairing("URL-decoded", "decodes the text as a form's field first", func(t string) string {
			if u, err := url.QueryUnescape(t); err == nil {
				return u
			}
			return t
		}),
		repairing("padding accepted", "takes the signature with padding, too", func(t string) string { return strings.TrimRight(t, "=") }),
		repairing("both alphabets", "takes either alphabet", strings.NewReplacer("+", "-", "/", "_").Replace),
		repairing("trailing bits", "does not look at stray bits of the signature", canonical),
		repairing("fourth part", "looks at the first three parts only", func(t string) string {
			if parts := strings.Split(t, "."); len(parts) > 3 {
				return strings.Join(parts[:3], ".")
			}
			return t
		}),
		repairing("blanks around", "trims blanks and line breaks around the text", strings.TrimSpace),
		double("zeros behind the signature", "does not look at zero bytes behind the signature", fault{repair: withoutZeros}),
		double("case of the signature", "compares the signature's text without minding case", fault{repair: otherCases}),
	}
}

// withoutZeros is the text with one and more zero bytes fewer behind the
// signature: which of them are its own cannot be seen.
func withoutZeros(text string, _ token.Reason) []string {
	i := strings.LastIndexByte(text, '.')
	data, err := right(text[i+1:])
	if i < 0 || err != nil {
		return nil
	}
	var all []string
	for len(data) > 0 && data[len(data)-1] == 0 {
		data = data[:len(data)-1]
		all = append(all, text[:i+1]+base64.RawURLEncoding.EncodeToString(data))
	}
	return all
}

func unwrapped(s string) string {
	var b strings.Builder
	for len(s) > 78 && s[76:78] == "\r\n" {
		b.WriteString(s[:76])
		s = s[78:]
	}
	return b.String() + s
}

// canonical is the text with what its signature decodes to encoded again.
func canonical(text string) string {
	i := strings.LastIndexByte(text, '.')
	if i < 0 || strings.ContainsAny(text[i:], "\r\n") {
		return text
	}
	data, err := base64.RawURLEncoding.DecodeString(text[i+1:])
	if err != nil {
		return text
	}
	return text[:i+1] + base64.RawURLEncoding.EncodeToString(data)
}

// otherCases returns the text with each letter of its signature in the other
// case. A double has no key to compute the right signature with, so it finds the
// ones that differ in one letter.
func otherCases(text string, why token.Reason) []string {
	i := strings.LastIndexByte(text, '.')
	if i < 0 || why != token.ReasonSignatureMismatch {
		return nil
	}
	var all []string
	for ; i < len(text); i++ {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			all = append(all, text[:i]+string(c^0x20)+text[i+1:])
		}
	}
	return all
}

// misreading are verifiers that let the right tokens in as somebody else.
func misreading() []Double {
	return []Double{
		double("Latin-1", "reads the payload as Latin-1", fault{misread: func(text string, c *token.Claims) {
			parts := strings.Split(text, ".")
			if len(parts) != 3 {
				return
			}
			payload, err := right(parts[1])
			if err != nil || !bytes.ContainsFunc(payload, func(r rune) bool { return r >= 0x80 }) {
				return
			}
			var b strings.Builder
			for i := 0; i < len(c.Identity); i++ {
				b.WriteRune(rune(c.Identity[i]))
			}
			c.Identity = b.String()
		}}),
		double("names in small letters", "writes names in small letters", fault{misread: func(_ string, c *token.Claims) {
			c.Identity = strings.Map(unicode.ToLower, c.Identity)
		}}),
		double("names unescaped again", "unescapes names once too often", fault{misread: func(_ string, c *token.Claims) {
			if u, err := url.QueryUnescape(c.Identity); err == nil {
				c.Identity = u
			}
		}}),
	}
}
