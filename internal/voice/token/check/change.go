package check

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"dialtone/internal/voice/token"
)

// change makes a token into one that must be refused.
type change struct {
	name  string
	words string     // completes "tokens …"
	where token.Part // Whole: the text
	late  bool       // made after signing; else the key signed what was changed
	made  string     // of what, when it is of something that other faults are of, too; see the families below
	ends  bool       // at the beginning or the end of the text

	able    func(k *Key) bool                                                     // nil: every signed token
	plan    func(m *maker, s *spec)                                               // before anything is written
	json    func(m *maker, header, payload []byte) (newHeader, newPayload []byte) // before it is encoded
	segment func(m *maker, segment string) string                                 // of the part where, before it is signed
	after   func(m *maker, d *draft) string                                       // the text instead; "" or the same: this token cannot be changed so
	ticket  func(r *rand.Rand, text string) string                                // of a ticket

	number, nameNumber int // of label and name among the answers
}

// Families of faults: readers stumble over all of one for the same reason.
const (
	ofBreaks  = "line breaks"
	ofBlanks  = "blanks"
	ofPadding = "padding"
	ofPercent = "percent-encoding"
	ofZeros   = "zero bytes"
)

func families() []string { return []string{noValue, ofBreaks, ofBlanks, ofPadding, ofPercent, ofZeros} }

func (c *change) label() string {
	label := c.name
	if c.where != token.Whole {
		label += " in " + string(c.where)
	}
	if c.late && (c.where == token.Header || c.where == token.Payload) {
		label += ", after signing"
	}
	return label
}

// fits reports whether tokens of the key can be made wrong so.
func (c *change) fits(k keyAt) bool {
	if k.key.Kind == token.Ticket {
		_, can := k.source.Tickets.(lapsing)
		return c.ticket != nil && (can || c.name != expiredTicket)
	}
	return c.ticket == nil && (c.able == nil || c.able(k.key))
}

// changes returns every way in which a token is made wrong.
func changes() []change {
	var all []change
	all = append(all, encodings()...)
	all = append(all, surroundings()...)
	all = append(all, signatures()...)
	all = append(all, headers()...)
	all = append(all, payloads()...)
	return append(all, tickets()...)
}

// encodings are the ways to write bytes that are not base64url as RFC 7515
// section 2 wants it.
func encodings() []change {
	var all []change
	for _, e := range []struct {
		name, words, made string
		do                func(r *rand.Rand, segment string) string
	}{
		{"padding", "with padding ('=')", ofPadding, func(_ *rand.Rand, s string) string {
			if n := len(s) % 4; n != 0 {
				return s + "===="[n:]
			}
			return s
		}},
		{"padding too much", "with padding ('=') where none is due", ofPadding, func(_ *rand.Rand, s string) string {
			if len(s)%4 == 0 {
				return s + "===="
			}
			return s
		}},
		{alphabetFault, "in the standard alphabet ('+' and '/')", "", func(_ *rand.Rand, s string) string {
			return strings.NewReplacer("-", "+", "_", "/").Replace(s)
		}},
		{"line feed", "with a line feed", ofBreaks, inserted("\n")},
		{"carriage return", "with a carriage return", ofBreaks, inserted("\r")},
		{"CR LF", "with a line break (CR LF)", ofBreaks, inserted("\r\n")},
		{"lines of 76", "wrapped into lines of 76 characters", ofBreaks, func(_ *rand.Rand, s string) string {
			var b strings.Builder
			for len(s) > 76 {
				b.WriteString(s[:76] + "\r\n")
				s = s[76:]
			}
			return b.String() + s
		}},
		{"trailing bits", "with stray bits in the last character", "", strayBits},
		{"percent", "with a character in percent-encoding", ofPercent, func(r *rand.Rand, s string) string {
			i := r.IntN(len(s))
			return fmt.Sprintf("%s%%%02X%s", s[:i], s[i], s[i+1:])
		}},
		{"space", "with a space", ofBlanks, inserted(" ")},
		{"tab", "with a tab", ofBlanks, inserted("\t")},
		{"NUL", "with a NUL character", "", inserted("\x00")},
		{"foreign character", "with a character of no alphabet", "", inserted("*")},
		{"non-ASCII", "with a character beyond ASCII", "", inserted("é")},
		{"lone character", "with one character too many", "", func(_ *rand.Rand, s string) string {
			return s + "AAAA"[:(5-len(s)%4)%4]
		}},
	} {
		for _, part := range []token.Part{token.Header, token.Payload} {
			var plan func(*maker, *spec)
			if e.name == alphabetFault && part == token.Header {
				// Else hardly any header holds '-' or '_'.
				plan = func(_ *maker, s *spec) {
					if s.key.Issuer == "" {
						s.kid = "a~?b>~?~"
					}
				}
			}
			all = append(all,
				change{name: e.name, made: e.made, words: e.words + " in the " + string(part), where: part, plan: plan, segment: func(m *maker, s string) string { return e.do(m.rand, s) }, after: changedSegment(part)},
				change{name: e.name, made: e.made, words: e.words + " put into the " + string(part) + " after signing", where: part, late: true, plan: plan, after: func(m *maker, d *draft) string {
					if part == token.Header {
						return e.do(m.rand, d.h) + "." + d.p + "." + d.s
					}
					return d.h + "." + e.do(m.rand, d.p) + "." + d.s
				}})
		}
		all = append(all, change{name: e.name, made: e.made, words: e.words + " in the signature", where: token.Signature, late: true, after: func(m *maker, d *draft) string {
			return d.h + "." + d.p + "." + e.do(m.rand, d.s)
		}})
	}
	return all
}

const alphabetFault = "standard alphabet"

// changedSegment lets a token pass as changed only if its segment was.
func changedSegment(part token.Part) func(*maker, *draft) string {
	return func(_ *maker, d *draft) string {
		if part == token.Header && d.h == raw.EncodeToString(d.header) || part == token.Payload && d.p == raw.EncodeToString(d.payload) {
			return ""
		}
		return d.text()
	}
}

// inserted puts something within a segment, though not where lines of 76 break:
// that is a fault of its own.
func inserted(what string) func(*rand.Rand, string) string {
	return func(r *rand.Rand, s string) string {
		i := 1 + r.IntN(len(s)-1)
		if i%76 == 0 {
			i--
		}
		return s[:i] + what + s[i:]
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// strayBits sets a bit of the last character that stands for nothing.
func strayBits(r *rand.Rand, s string) string {
	unused := 0
	switch len(s) % 4 {
	case 2:
		unused = 4
	case 3:
		unused = 2
	default:
		return s
	}
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^(1+r.IntN(1<<unused-1))])
}

// surroundings concern the text as a whole.
func surroundings() []change {
	whole := func(name, words string, do func(m *maker, d *draft) string) change {
		return change{name: name, words: words, late: true, after: do}
	}
	around := func(name, words, made, before, after string) change {
		c := whole(name, words, func(_ *maker, d *draft) string { return before + d.text() + after })
		c.made, c.ends = made, true
		return c
	}
	percent := func(name, words string, do func(m *maker, d *draft) string) change {
		c := whole(name, words, do)
		c.made = ofPercent
		return c
	}
	return []change{
		around("line feed at the end", "with a line feed behind them", ofBreaks, "", "\n"),
		around("CR LF at the end", "with CR LF behind them", ofBreaks, "", "\r\n"),
		around("space at the end", "with a space behind them", ofBlanks, "", " "),
		around("space at the beginning", "with a space before them", ofBlanks, " ", ""),
		around("NUL at the end", "with a NUL character behind them", "", "", "\x00"),
		around("quotes", "in quotation marks", "", `"`, `"`),
		around("Bearer", `with "Bearer " before them`, "", "Bearer ", ""),
		around("fourth segment", "with a fourth segment", "", "", ".e30"),
		around("dot at the end", "with a dot behind them", "", "", "."),
		whole("two segments", "without their signature and its dot", func(_ *maker, d *draft) string { return d.h + "." + d.p }),
		percent("percent dots", "with dots as %2E", func(_ *maker, d *draft) string { return d.h + "%2E" + d.p + "%2E" + d.s }),
		percent("percent signs", "with '-' and '_' in percent-encoding", func(_ *maker, d *draft) string {
			return strings.NewReplacer("-", "%2D", "_", "%5F").Replace(d.text())
		}),
		whole("no header", "without a header", func(_ *maker, d *draft) string { return "." + d.p + "." + d.s }),
		whole("no payload", "without a payload", func(_ *maker, d *draft) string { return d.h + ".." + d.s }),
		{name: "too large", words: "of more than 8 KiB", plan: func(_ *maker, s *spec) { s.size, s.wish = token.MaxSize+100, anyShape }},
	}
}

// signatures are wrong in what is signed, or by whom.
func signatures() []change {
	altered := func(name, words string, able func(*Key) bool, do func(m *maker, d *draft) []byte) change {
		return change{name: name, words: words, where: token.Signature, late: true, able: able, after: func(m *maker, d *draft) string {
			return d.h + "." + d.p + "." + raw.EncodeToString(do(m, d))
		}}
	}
	zeros := func(name, words string, able func(*Key) bool, do func(m *maker, d *draft) []byte) change {
		c := altered(name, words, able, do)
		c.made = ofZeros
		return c
	}
	flipped := func(at func(n int, r *rand.Rand) int) func(*maker, *draft) []byte {
		return func(m *maker, d *draft) []byte {
			s := bytes.Clone(d.signature)
			s[at(len(s), m.rand)] ^= 1 << m.rand.IntN(8)
			return s
		}
	}
	secret := func(k *Key) bool { return k.secret() }
	return []change{
		altered("first byte", "whose signature has another first byte", nil, flipped(func(int, *rand.Rand) int { return 0 })),
		altered("last byte", "whose signature has another last byte", nil, flipped(func(n int, _ *rand.Rand) int { return n - 1 })),
		altered("one bit", "whose signature has one bit changed", nil, flipped(func(n int, r *rand.Rand) int { return r.IntN(n) })),
		altered("half", "whose signature is cut in half", nil, func(_ *maker, d *draft) []byte { return d.signature[:len(d.signature)/2] }),
		altered("one byte short", "whose signature lacks its last byte", nil, func(_ *maker, d *draft) []byte { return d.signature[:len(d.signature)-1] }),
		altered("empty", "with an empty signature", nil, func(*maker, *draft) []byte { return nil }),
		altered("all zero", "whose signature is all zero", nil, func(_ *maker, d *draft) []byte { return make([]byte, len(d.signature)) }),
		zeros("zero behind", "with a zero byte behind the signature", nil, func(_ *maker, d *draft) []byte { return append(bytes.Clone(d.signature), 0) }),
		zeros("two zeros behind", "with two zero bytes behind the signature", nil, func(_ *maker, d *draft) []byte { return append(bytes.Clone(d.signature), 0, 0) }),
		altered("zero before", "with a zero byte before the signature", nil, func(_ *maker, d *draft) []byte { return append([]byte{0}, d.signature...) }),
		altered("of another text", "with the signature of another token", nil, func(m *maker, d *draft) []byte {
			return m.sign.sign(d.spec.key, []byte(d.h+"."+raw.EncodeToString(append(bytes.Clone(d.payload), ' '))))
		}),
		altered("of the payload alone", "whose signature leaves the header out", nil, func(m *maker, d *draft) []byte {
			return m.sign.sign(d.spec.key, []byte(d.p))
		}),
		altered("of another key", "signed with another secret", secret, func(m *maker, d *draft) []byte {
			return m.sign.signAs(d.spec.key, d.spec.key.Algorithm, []byte("some other secret of no account at all"), []byte(d.h+"."+d.p))
		}),
		altered("of no key", "signed with an empty secret", secret, func(m *maker, d *draft) []byte {
			return m.sign.signAs(d.spec.key, d.spec.key.Algorithm, []byte{}, []byte(d.h+"."+d.p))
		}),
		altered("DER", "whose ECDSA signature is written in DER", func(k *Key) bool { return k.Algorithm == token.ES256 }, func(_ *maker, d *draft) []byte {
			return der(d.signature)
		}),
		{name: "letter case", words: "whose signature has a letter in the other case", where: token.Signature, late: true, after: func(m *maker, d *draft) string {
			return d.h + "." + d.p + "." + otherCase(m.rand, d.s)
		}},
		{name: "another payload", words: "whose payload was changed after signing", where: token.Payload, late: true, after: func(_ *maker, d *draft) string {
			return d.h + "." + raw.EncodeToString(bytes.Replace(d.payload, []byte(`"exp":`), []byte(`"exp" :`), 1)) + "." + d.s
		}},
		{name: "HMAC with the public key", words: "signed by HMAC with a public key as the secret", where: token.Header, able: func(k *Key) bool { return !k.secret() }, plan: func(_ *maker, s *spec) { s.alg = token.HS256 }, after: func(m *maker, d *draft) string {
			text := d.h + "." + d.p
			return text + "." + raw.EncodeToString(m.sign.mac(token.HS256, publicBytes(d.spec.key), []byte(text)))
		}},
	}
}

// otherCase changes the case of one letter, but not of the last character: its
// stray bits would be another fault.
func otherCase(r *rand.Rand, s string) string {
	b := []byte(s)
	from := r.IntN(len(b))
	for i := range b {
		c := &b[(from+i)%len(b)]
		if (from+i)%len(b) != len(b)-1 && ('a' <= *c && *c <= 'z' || 'A' <= *c && *c <= 'Z') {
			*c ^= 0x20
			break
		}
	}
	return string(b)
}

// headers say something that no device token says.
func headers() []change {
	edit := func(name, words string, able func(*Key) bool, do func(h map[string][]byte)) change {
		return change{name: name, words: words, where: token.Header, able: able, plan: func(_ *maker, s *spec) {
			s.edit = func(h, _ map[string][]byte) { do(h) }
		}}
	}
	front := func(name, words, member string) change {
		return change{name: name, words: words, where: token.Header, json: func(_ *maker, h, p []byte) ([]byte, []byte) {
			return append([]byte("{"+member+","), h[1:]...), p
		}}
	}
	set := func(member, value string) func(map[string][]byte) {
		return func(h map[string][]byte) { h[member] = []byte(value) }
	}
	secret := func(k *Key) bool { return k.secret() }
	return []change{
		edit("alg none", `with "alg" none and a signature`, nil, set("alg", `"none"`)),
		{name: "alg none, unsigned", words: `with "alg" none and no signature`, where: token.Header, plan: func(_ *maker, s *spec) {
			s.edit = func(h, _ map[string][]byte) { h["alg"] = []byte(`"None"`) }
		}, after: func(_ *maker, d *draft) string { return d.h + "." + d.p + "." }},
		edit("no alg", `without "alg"`, nil, func(h map[string][]byte) { delete(h, "alg") }),
		{name: "another HMAC", words: "signed with an algorithm of the family that is not the key's", where: token.Header, able: secret, plan: func(_ *maker, s *spec) {
			s.alg = map[string]string{token.HS256: token.HS512, token.HS384: token.HS256, token.HS512: token.HS384}[s.alg]
		}, after: func(m *maker, d *draft) string {
			text := d.h + "." + d.p
			return text + "." + raw.EncodeToString(m.sign.mac(d.spec.alg, d.spec.key.Secret, []byte(text)))
		}},
		edit("another alg", `whose "alg" is not the key's`, nil, func(h map[string][]byte) {
			if string(h["alg"]) == `"ES256"` {
				h["alg"] = []byte(`"RS256"`)
				return
			}
			h["alg"] = []byte(`"ES256"`)
		}),
		edit("typ", `whose "typ" is not JWT`, nil, set("typ", `"JOSE"`)),
		edit("no typ", `without "typ"`, nil, func(h map[string][]byte) { delete(h, "typ") }),
		edit("cty", `whose "cty" is another`, nil, set("cty", `"JWT"`)),
		front("crit", `with "crit" in the header`, `"crit":["exp"],"exp":1`),
		front("b64", `with "b64" in the header`, `"b64":false`),
		front("duplicate alg", `with "alg" twice`, `"alg":"none"`),
		front("ALG", `with "ALG" beside "alg"`, `"ALG":"none"`),
		{name: "not JSON", words: "whose header is not JSON", where: token.Header, json: func(_ *maker, h, p []byte) ([]byte, []byte) { return h[:len(h)-1], p }},
	}
}

// payloads say something wrong, and the key signed it.
func payloads() []change {
	edit := func(name, words string, able func(*Key) bool, do func(s *spec, p map[string][]byte)) change {
		return change{name: name, words: words, where: token.Payload, able: able, plan: func(_ *maker, s *spec) {
			s.edit = func(_, p map[string][]byte) { do(s, p) }
		}}
	}
	plan := func(name, words string, able func(*Key) bool, do func(s *spec)) change {
		return change{name: name, words: words, where: token.Payload, able: able, plan: func(_ *maker, s *spec) { do(s) }}
	}
	front := func(name, words, member string, able func(*Key) bool) change {
		return change{name: name, words: words, where: token.Payload, able: able, json: func(_ *maker, h, p []byte) ([]byte, []byte) {
			return h, append([]byte("{"+member+","), p[1:]...)
		}}
	}
	bytewise := func(name, words string, do func(p []byte) []byte) change {
		return change{name: name, words: words, where: token.Payload, json: func(_ *maker, h, p []byte) ([]byte, []byte) { return h, do(p) }}
	}
	access := func(k *Key) bool { return k.Kind == token.Access }
	own := func(k *Key) bool { return access(k) && k.Issuer == "" }
	capability := func(k *Key) bool { return k.Kind == token.Capability }
	hour := int64(3600)
	return []change{
		plan("expired", "that have just expired", nil, func(s *spec) {
			now, ago := s.source.now().Unix(), int64(1)
			if s.source.IdentityOnly { // a live provider's clock is its own, and it may have a leeway
				ago = 300
			}
			s.issued, s.notBefore, s.expires, s.half, s.wish = now-hour, 0, now-ago, false, anyShape
		}),
		plan("expired long ago", "that expired a day ago", nil, func(s *spec) {
			now := s.source.now().Unix()
			s.issued, s.notBefore, s.expires = now-25*hour, 0, now-24*hour
		}),
		edit("nbf ahead", `whose "nbf" is an hour ahead`, access, func(s *spec, p map[string][]byte) { p["nbf"] = number(s.source.now().Unix()+hour, false) }),
		plan("iat ahead", `whose "iat" is an hour ahead`, nil, func(s *spec) { s.issued, s.noIssued, s.expires = s.source.now().Unix()+hour, false, s.expires+hour }),
		edit("no exp", `without "exp"`, nil, func(_ *spec, p map[string][]byte) { delete(p, "exp") }),
		edit("exp as text", `whose "exp" is a string`, nil, func(_ *spec, p map[string][]byte) { p["exp"] = []byte(`"` + string(p["exp"]) + `"`) }),
		edit("exp in milliseconds", `whose "exp" is in milliseconds`, nil, func(s *spec, p map[string][]byte) { p["exp"] = number(s.expires*1000, false) }),
		edit("exp null", `whose "exp" is null`, nil, func(_ *spec, p map[string][]byte) { p["exp"] = []byte("null") }),
		front("aud", `with an "aud" that is not ours`, `"aud":"https://example.com"`, own),
		front("aud", `with an "aud"`, `"aud":"https://example.com"`, capability),
		front("duplicate exp", `with "exp" twice`, `"exp":9999999999`, nil),
		front("duplicate iss", `with "iss" twice`, `"iss":"SKffffffffffffffffffffffffffffffff"`, nil),
		front("EXP", `with "EXP" beside "exp"`, `"EXP":9999999999`, nil),
		bytewise("not UTF-8", "whose payload holds bytes that are not UTF-8", func(p []byte) []byte { return append([]byte("{\"x\":\"\xff\","), p[1:]...) }),
		bytewise("half a surrogate pair", "whose payload holds half of a surrogate pair", func(p []byte) []byte { return append([]byte(`{"x":"\ud800",`), p[1:]...) }),
		bytewise("junk behind", "with junk behind the claims", func(p []byte) []byte { return append(p, "{}"...) }),
		bytewise("zero byte behind", "with a zero byte behind the claims", func(p []byte) []byte { return append(p, 0) }),
		bytewise("cut short", "whose payload is cut short", func(p []byte) []byte { return p[:len(p)-1] }),
		bytewise("array", "whose payload is an array", func(p []byte) []byte { return append(append([]byte("["), p...), ']') }),
		bytewise("byte order mark", "whose payload begins with a byte order mark", func(p []byte) []byte { return append([]byte("\xef\xbb\xbf"), p...) }),
		plan("no name", "without an identity", access, func(s *spec) { s.name = "" }),
		plan("name too long", "whose identity has 122 characters", nil, func(s *spec) { s.name = strings.Repeat("é", token.MaxIdentity+1) }),
		plan("control character", "whose identity holds a control character", nil, func(s *spec) { s.name += "\x01" }),
		edit("no grant of voice", "without a grant of voice", access, func(s *spec, p map[string][]byte) { p["grants"] = []byte(`{"identity":"x"}`) }),
		edit("no scope of a client", "without a scope of a client", capability, func(s *spec, p map[string][]byte) {
			p["scope"] = []byte(`"scope:stream:subscribe?path=%2F"`)
		}),
		edit("two names", "whose scopes name two clients", capability, func(s *spec, p map[string][]byte) {
			p["scope"] = []byte(`"scope:client:outgoing?appSid=` + s.app + `&clientName=a scope:client:incoming?clientName=b"`)
		}),
		edit("no iss", `without "iss"`, nil, func(_ *spec, p map[string][]byte) { delete(p, "iss") }),
		edit("unknown iss", "of a key that there is not", nil, func(s *spec, p map[string][]byte) {
			id := "SK" + strings.Repeat("0", 31) + "f"
			switch {
			case capability(s.key):
				id = "AC" + strings.Repeat("0", 31) + "f"
			case s.key.Issuer != "":
				id = "https://nobody.example"
			}
			p["iss"] = []byte(`"` + id + `"`)
		}),
		edit("another account", "that name another account than the key's", own, func(_ *spec, p map[string][]byte) {
			p["sub"] = []byte(`"AC` + strings.Repeat("0", 31) + `f"`)
		}),
		edit("no account", "that name no account", own, func(_ *spec, p map[string][]byte) { delete(p, "sub") }),
		edit("no aud", `of an issuer without "aud"`, func(k *Key) bool { return k.Issuer != "" }, func(_ *spec, p map[string][]byte) { delete(p, "aud") }),
	}
}

// tickets are wrong tickets; a used and an expired one are the issuer's to make.
func tickets() []change {
	wrong := func(name, words string, do func(r *rand.Rand, t string) string) change {
		return change{name: name, words: words, late: true, ticket: do}
	}
	around := func(name, words, made, before, after string) change {
		c := wrong(name, words, func(_ *rand.Rand, t string) string { return before + t + after })
		c.made, c.ends = made, true
		return c
	}
	return []change{
		wrong("another digit", "with another digit", func(r *rand.Rand, t string) string {
			i := r.IntN(len(t))
			return t[:i] + string("123456789abcdef0"[strings.IndexByte("0123456789abcdef", t[i])]) + t[i+1:]
		}),
		wrong("one digit short", "without their last digit", func(_ *rand.Rand, t string) string { return t[:len(t)-1] }),
		wrong("one digit more", "with one digit more", func(_ *rand.Rand, t string) string { return t + "0" }),
		wrong("capital digits", "in capital letters", func(_ *rand.Rand, t string) string { return strings.ToUpper(t) }),
		around("line feed at the end", "with a line feed behind them", ofBreaks, "", "\n"),
		around("space at the beginning", "with a space before them", ofBlanks, " ", ""),
		wrong("unknown", "that nobody issued", func(r *rand.Rand, _ string) string { return digits(r) }),
		wrong(usedTicket, "that were used before", func(_ *rand.Rand, t string) string { return t }),
		wrong(expiredTicket, "that nobody used in time", func(_ *rand.Rand, t string) string { return t }),
	}
}

const (
	usedTicket    = "used"
	expiredTicket = "expired ticket"
)

func digits(r *rand.Rand) string {
	return fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
}
