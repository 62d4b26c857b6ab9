package token

import (
	"slices"
	"strings"
)

// contentType marks an access token; capability tokens have no "cty".
const contentType = "twilio-fpa;v=1"

// joseHeader is what of a header has a meaning here. The key is never taken from
// it: "jwk", "jku" and "x5u" are not looked at, and "kid" only picks one of the
// keys of an issuer that the account named.
type joseHeader struct {
	alg, typ, cty  string
	kid            string
	hasCTY, hasTyp bool
	crit, b64      bool // present, whatever their value
}

func headerNames() []string { return []string{"alg", "typ", "cty", "kid", "crit", "b64"} }

// readHeader reads a header with o. A lenient o keeps what it could read.
func readHeader(o *object, data string) (joseHeader, Reason) {
	var h joseHeader
	o.of(data)
	r := o.all(headerNames(), func(name string) Reason {
		switch name {
		case "alg":
			return o.text(&h.alg)
		case "kid":
			return o.text(&h.kid)
		case "typ":
			h.hasTyp = true
			return o.text(&h.typ)
		case "cty":
			h.hasCTY = true
			return o.text(&h.cty)
		case "crit":
			h.crit = true
		case "b64":
			h.b64 = true
		}
		return o.skip()
	})
	return h, r
}

// plain says what keeps a header from being one whose every word we know.
func (h *joseHeader) plain() Reason {
	switch {
	case h.crit:
		return ReasonCriticalHeader
	case h.b64:
		return ReasonUnencodedPayload
	case strings.EqualFold(h.alg, "none"):
		return ReasonAlgorithmNone
	default:
		return ""
	}
}

// accessType is the "typ" of access tokens of OAuth 2.0 (RFC 9068 section 2.1).
const accessType = "at+jwt"

// kind tells the ways in apart by the header; "" when it is neither's. An
// account's own issuer may leave "cty" out, so that its tokens look like
// capability tokens until "iss" is read.
func (h *joseHeader) kind() Kind {
	switch {
	case !h.hasCTY:
		return Capability
	case h.cty == contentType:
		return Access
	default:
		return ""
	}
}

// device says what keeps a header from being any device token's.
func (h *joseHeader) device() Reason {
	if r := h.plain(); r != "" {
		return r
	}
	switch {
	case h.typ != "JWT" && h.typ != accessType:
		return ReasonWrongType
	case h.kind() == "":
		return ReasonContentType
	case hmacHash(h.alg) == nil && !slices.Contains(PublicAlgorithms(), h.alg):
		return ReasonAlgorithmUnknown
	default:
		return ""
	}
}

// of says what keeps a header from being that of a token with the payload b.
func (h *joseHeader) of(b *body) Reason {
	switch {
	case b.ownIssuer():
		if h.kid == "" {
			return ReasonKeyIDMissing
		}
	case h.typ != "JWT":
		return ReasonWrongType
	case b.kind == Capability && h.alg != HS256:
		return ReasonAlgorithmMismatch
	}
	return ""
}
