package check

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// style is how a helper library writes JSON and escapes queries. The bytes differ
// though the token says the same, and bytes are what a decoder stumbles over.
type style struct {
	name         string
	comma, colon string
	ascii        bool   // characters beyond ASCII as \uXXXX
	escaped      string // what else is written with a backslash: "/" as \/, others as \u00XX
	spare        string // what the query escaping leaves as it is beside letters and digits
	plus         bool   // a space in a query is "+", not "%20"
	header       []string
	access       []string // order of the members
	capability   []string
}

var styles = []style{
	{
		name: "node", comma: ",", colon: ":", spare: "-_.!~*'()",
		header: []string{"alg", "typ", "cty", "twr", "kid"},
		access: []string{"jti", "grants", "nbf", "iat", "exp", "iss", "sub", "aud"}, capability: []string{"scope", "iss", "exp", "iat"},
	},
	{
		name: "python", comma: ", ", colon: ": ", ascii: true, spare: "_.-~", plus: true,
		header: []string{"typ", "alg", "cty", "kid", "twr"},
		access: []string{"jti", "grants", "iss", "exp", "iat", "nbf", "sub", "aud"}, capability: []string{"iss", "exp", "scope", "iat"},
	},
	{
		name: "php", comma: ",", colon: ":", ascii: true, escaped: "/", spare: "-_.", plus: true,
		header: []string{"typ", "alg", "kid", "cty", "twr"},
		access: []string{"jti", "iss", "sub", "exp", "grants", "iat", "nbf", "aud"}, capability: []string{"scope", "iss", "exp", "iat"},
	},
	{
		name: "ruby", comma: ",", colon: ":", spare: "*-._", plus: true,
		header: []string{"cty", "typ", "twr", "alg", "kid"},
		access: []string{"iss", "nbf", "exp", "jti", "sub", "grants", "iat", "aud"}, capability: []string{"scope", "iss", "exp", "iat"},
	},
	{
		name: "java", comma: ",", colon: ":", spare: "*-._", plus: true,
		header: []string{"twr", "cty", "typ", "kid", "alg"},
		access: []string{"jti", "iss", "sub", "nbf", "exp", "iat", "grants", "aud"}, capability: []string{"iss", "exp", "scope", "iat"},
	},
	{
		name: "go", comma: ",", colon: ":", escaped: "<>&\u2028\u2029", spare: "-_.~", plus: true,
		header: []string{"alg", "cty", "kid", "twr", "typ"},
		access: []string{"aud", "exp", "grants", "iat", "iss", "jti", "nbf", "sub"}, capability: []string{"exp", "iat", "iss", "scope"},
	},
	{
		name: "spaced", comma: ", ", colon: ": ", spare: "-_.!~*'()",
		header: []string{"alg", "typ", "cty", "twr", "kid"},
		access: []string{"grants", "jti", "iss", "sub", "iat", "nbf", "exp", "aud"}, capability: []string{"iat", "exp", "iss", "scope"},
	},
}

// object writes the members that there are in the order given.
func (s *style) object(b []byte, order []string, members map[string][]byte) []byte {
	b = append(b, '{')
	first := true
	for _, name := range order {
		value, ok := members[name]
		if !ok {
			continue
		}
		if !first {
			b = append(b, s.comma...)
		}
		first = false
		b = s.quote(b, name)
		b = append(b, s.colon...)
		b = append(b, value...)
	}
	return append(b, '}')
}

// quote writes a string as the library does.
func (s *style) quote(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	unicode := func(u uint16) {
		b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	b = append(b, '"')
	plain := func(c byte) bool {
		return ' ' <= c && c < utf8.RuneSelf && c != '"' && c != '\\' && (s.escaped == "" || strings.IndexByte(s.escaped, c) < 0)
	}
	from := 0
	for i, c := range text {
		if c < utf8.RuneSelf && plain(byte(c)) {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + utf8.RuneLen(c)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ' || c >= utf8.RuneSelf && s.ascii || c != '/' && s.escaped != "" && strings.ContainsRune(s.escaped, c):
			if c > 0xffff {
				high, low := utf16.EncodeRune(c)
				unicode(uint16(high))
				unicode(uint16(low))
				continue
			}
			unicode(uint16(c))
		case c == '/' && s.escaped == "/":
			b = append(b, '\\', '/')
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	b = append(b, text[from:]...)
	return append(b, '"')
}

func (s *style) text(t string) []byte { return s.quote(nil, t) }

func number(n int64, half bool) []byte {
	b := strconv.AppendInt(nil, n, 10)
	if half {
		b = append(b, ".5"...)
	}
	return b
}

// query escapes a value of a query string as the library does.
func (s *style) query(value string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(s.spare, c) >= 0:
			b.WriteByte(c)
		case c == ' ' && s.plus:
			b.WriteByte('+')
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
