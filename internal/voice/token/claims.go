package token

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// body is what of a payload has a meaning here, as far as it was read.
type body struct {
	kind                       Kind
	issuer, subject, id        string
	issued, notBefore, expires time.Time
	audience                   bool     // present, whatever its value
	audiences                  []string // the strings in it
	audienceFault              bool     // neither a string nor an array of strings
	identity                   string
	voice                      bool // the voice grant, or a scope of a client, is present
	incoming, outgoing         bool
	app, push                  string
	params                     url.Values
	scope                      string
	scopeFault                 Reason
}

func bodyNames(k Kind) []string {
	if k == Access {
		return []string{"jti", "iss", "sub", "aud", "exp", "nbf", "iat", "grants"}
	}
	return []string{"jti", "iss", "sub", "aud", "exp", "nbf", "iat", "scope"}
}

// readBody reads a payload with o into *b. A lenient o keeps what it could read. What the
// scopes of a capability token have wrong is kept for semantics, so that it is
// not held against a text nobody signed.
func readBody(o *object, b *body, data string, k Kind) Reason {
	*b = body{kind: k}
	o.of(data)
	r := o.all(bodyNames(k), func(name string) Reason {
		switch name {
		case "jti":
			return o.text(&b.id)
		case "iss":
			return o.text(&b.issuer)
		case "sub":
			return o.text(&b.subject)
		case "exp":
			return o.date(&b.expires)
		case "nbf":
			return o.date(&b.notBefore)
		case "iat":
			return o.date(&b.issued)
		case "grants":
			return o.grants(b)
		case "scope":
			return o.text(&b.scope)
		default: // aud
			b.audience = true
			return o.audience(b)
		}
	})
	if r == "" && b.audienceFault && b.ownIssuer() {
		r = ReasonValueType
	}
	if k != Access && b.scope != "" {
		var s scopes
		s, b.scopeFault = readScopes(b.scope)
		b.identity, b.voice = s.identity, s.client
		b.incoming, b.outgoing, b.app, b.params = s.incoming, s.outgoing, s.app, s.params
	}
	return r
}

// issuerAhead reports whether the payload's "iss" is an own issuer's.
func issuerAhead(o *object, data string) bool {
	var issuer string
	o.of(data)
	o.all([]string{"iss"}, func(string) Reason {
		if r := o.text(&issuer); r != "" {
			return r
		}
		return ReasonIssuer // seen: the rest is read later
	})
	return issuerURL(issuer)
}

// audience reads "aud": a string, or an array of strings (RFC 7519 section
// 4.1.3). That it is something else is a fault only where one is expected.
func (o *object) audience(b *body) Reason {
	one := func() Reason {
		if o.ahead() != '"' {
			b.audienceFault = true
			return o.skip()
		}
		var s string
		r := o.text(&s)
		b.audiences = append(b.audiences, s)
		return r
	}
	if o.ahead() == '[' {
		return o.elements(one)
	}
	return one()
}

// grants reads {"identity", "voice": {"incoming", "outgoing", "push_credential_sid"}};
// other products' grants are skipped.
func (o *object) grants(b *body) Reason {
	return o.members([]string{"identity", "voice"}, func(name string) Reason {
		if name == "identity" {
			return o.text(&b.identity)
		}
		b.voice = true
		return o.members([]string{"incoming", "outgoing", "push_credential_sid", "endpoint_id"}, func(name string) Reason {
			switch name {
			case "incoming":
				return o.members([]string{"allow"}, func(string) Reason { return o.truth(&b.incoming) })
			case "outgoing":
				return o.members([]string{"application_sid", "params"}, func(name string) Reason {
					if name == "params" {
						return o.values(&b.params)
					}
					r := o.text(&b.app)
					b.outgoing = b.app != ""
					return r
				})
			case "push_credential_sid":
				return o.text(&b.push)
			default: // endpoint_id: we address devices by identity
				var ignored string
				return o.text(&ignored)
			}
		})
	})
}

// keyed says what keeps a payload from naming the key it was signed with.
func (b *body) keyed() Reason {
	if b.ownIssuer() || b.kind == Access && sid("SK", b.issuer) || b.kind != Access && sid("AC", b.issuer) {
		return ""
	}
	return ReasonIssuer
}

// ownIssuer reports whether an account's own issuer made the token, as it says.
func (b *body) ownIssuer() bool { return b.kind == Access && issuerURL(b.issuer) }

// issuerURL reports whether an "iss" has the shape of an own issuer's: an https
// URL of at most 512 characters. Whether it is trusted is the keys' matter.
func issuerURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok || rest == "" || len(s) > 512 {
		return false
	}
	return strings.IndexFunc(rest, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

// semantics says what is wrong with what a payload says, apart from the time and
// from whom an own issuer's token is meant for.
func (b *body) semantics() Reason {
	switch {
	case b.ownIssuer():
		if !b.audience {
			return ReasonAudience
		}
	case b.kind == Access && !sid("AC", b.subject):
		return ReasonSubject
	case b.audience:
		return ReasonAudience
	}
	switch {
	case b.expires.IsZero():
		return ReasonExpiryMissing
	case b.scopeFault != "":
		return b.scopeFault
	case b.kind == Access && b.identity == "":
		return ReasonIdentityMissing
	}
	if b.identity != "" {
		if r := identityFault(b.identity); r != "" {
			return r
		}
	}
	if !b.voice {
		return ReasonVoiceNotGranted
	}
	return ""
}

// timely says whether now is a time at which the token holds.
func (b *body) timely(now time.Time) Reason {
	switch {
	case !now.Before(b.expires):
		return ReasonExpired
	case b.notBefore.After(now.Add(Leeway)):
		return ReasonNotYetValid
	case b.issued.After(now.Add(Leeway)):
		return ReasonIssuedInFuture
	default:
		return ""
	}
}

// account returns the account that the payload names; "" for an own issuer's.
func (b *body) account() string {
	switch {
	case b.ownIssuer():
		return ""
	case b.kind == Access:
		return b.subject
	default:
		return b.issuer
	}
}

// claims returns what the payload says, without features.
func (b *body) claims() Claims {
	c := Claims{
		Kind: b.kind, Account: b.account(), KeyID: b.issuer, ID: b.id, Identity: b.identity,
		Issued: b.issued, NotBefore: b.notBefore, Expires: b.expires,
		Incoming: b.incoming, Outgoing: b.outgoing, OutgoingApp: b.app, OutgoingParams: b.params, PushCredential: b.push,
	}
	switch {
	case b.ownIssuer():
		c.KeyID, c.Issuer = "", b.issuer // its "kid" picks a key, but is a stranger's word until one is found
	case b.kind != Access:
		c.ID = ""
	}
	return c
}

// sid reports whether id has the shape of an identifier of that prefix: the
// prefix and up to 62 letters or digits. Whether it exists is the keys' matter.
func sid(prefix, id string) bool {
	if len(id) <= len(prefix) || len(id) > 64 || id[:len(prefix)] != prefix {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

// identityFault says what keeps a text from being an identity: 1 to MaxIdentity
// characters of valid UTF-8, none of them a control character (Unicode Cc).
func identityFault(s string) Reason {
	if s == "" {
		return ReasonIdentityMissing
	}
	n := 0
	for i, c := range s {
		n++
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return ReasonInvalidUTF8
			}
		}
		if unicode.IsControl(c) {
			return ReasonIdentityCharacters
		}
	}
	if n > MaxIdentity {
		return ReasonIdentityLength
	}
	return ""
}
