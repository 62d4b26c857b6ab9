package token

import (
	"slices"
	"strings"
	"unicode/utf8"

	"dialtone/internal/event"
)

// textFeatures describes what the text alone shows.
func textFeatures(text string) event.TokenFeatures {
	f := event.TokenFeatures{Kind: "unknown", Size: len(text)}
	if len(text) > MaxSize {
		return f
	}
	header, rest, ok := strings.Cut(text, ".")
	if !ok {
		if ticketLike(text) {
			f.Kind = string(Ticket)
		}
		return f
	}
	payload, signature, _ := strings.Cut(rest, ".")
	f.HeaderMod3 = decodedLen(header) % 3
	f.PayloadMod3 = decodedLen(payload) % 3
	f.SignatureMod3 = decodedLen(signature) % 3
	f.HeaderURLSafe = has(header, '-') || has(header, '_')
	f.PayloadDash, f.PayloadUnderscore = has(payload, '-'), has(payload, '_')
	f.PayloadURLSafe = f.PayloadDash || f.PayloadUnderscore
	f.SignatureDash, f.SignatureUnderscore = has(signature, '-'), has(signature, '_')
	f.SignatureURLSafe = f.SignatureDash || f.SignatureUnderscore
	return f
}

func has(segment string, c byte) bool { return strings.IndexByte(segment, c) >= 0 }

// decodedLen is the number of bytes that a segment stands for.
func decodedLen(segment string) int {
	return len(strings.TrimRight(segment, "=")) * 6 / 8
}

// ticketLike reports whether text looks like an opaque ticket: hexadecimal
// digits, at least 32 of them.
func ticketLike(text string) bool {
	if len(text) < 32 || len(text) > MaxSize {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// describe adds what the content shows.
func describe(f *event.TokenFeatures, h *joseHeader, b *body) {
	if b.kind != "" {
		f.Kind = string(b.kind)
	}
	if b.keyed() == "" && !b.ownIssuer() {
		f.KeyID = b.issuer
	}
	f.Algorithm = algorithmLabel(h.alg)
	f.IdentityMod3 = len(b.identity) % 3
	f.IdentityNonASCII = !ascii(b.identity)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// algorithmLabel bounds what a stranger's header can put into a metric.
func algorithmLabel(alg string) string {
	switch {
	case alg == "":
		return ""
	case alg == HS256, alg == HS384, alg == HS512:
		return alg
	case strings.EqualFold(alg, "none"):
		return "none"
	case slices.Contains(signatureAlgorithms(), alg):
		return alg
	default:
		return "other"
	}
}

// glance is what can be seen of a text without trusting any of it.
type glance struct {
	features        event.TokenFeatures
	header, payload string // decoded as far as possible
	jose            joseHeader
	body            body
}

// look reads whatever is readable of a text that may be broken in any way.
func look(text string) glance {
	g := glance{features: textFeatures(text)}
	if len(text) > MaxSize {
		return g
	}
	header, rest, _ := strings.Cut(text, ".")
	payload, _, _ := strings.Cut(rest, ".")
	g.header, g.payload = salvage(header), salvage(payload)
	o := newObject(true)
	if len(g.header) > 0 {
		g.jose, _ = readHeader(o, g.header)
	}
	if g.jose.hasTyp || g.jose.hasCTY || g.jose.alg != "" {
		kind := g.jose.kind()
		if kind == Capability && issuerAhead(o, g.payload) {
			kind = Access
		}
		readBody(o, &g.body, g.payload, kind)
		describe(&g.features, &g.jose, &g.body)
	}
	return g
}

// salvage decodes Base64 of either alphabet up to the first byte that is in
// neither, without minding padding, line breaks and stray bits.
func salvage(segment string) string {
	normal := strings.Map(func(c rune) rune {
		switch c {
		case '+':
			return '-'
		case '/':
			return '_'
		case '\r', '\n', '=':
			return -1
		default:
			return c
		}
	}, segment)
	if end := strings.IndexFunc(normal, func(c rune) bool { return c > 127 || sextets[byte(c)] == illegal }); end >= 0 {
		normal = normal[:end]
	}
	if len(normal)%4 == 1 {
		normal = normal[:len(normal)-1]
	}
	data, _ := lax.DecodeString(normal)
	return string(data)
}

// refusal makes the error of a refused text. Nothing in it is trusted, and an
// identity is named only if it is fit to be shown. Which key and account a text
// concerns is what the keys make of its claims, where it does not say so itself.
func (v *Verifier) refusal(text string, bad verdict) *Refusal {
	g := look(text)
	r := &Refusal{Reason: bad.reason, Part: bad.part, Features: g.features}
	if a := g.body.account(); sid("AC", a) {
		r.Account = a
	}
	switch {
	case g.body.ownIssuer():
		if k, _, why := v.keys.IssuerKey(g.body.issuer, g.jose.kid); why == "" {
			r.Account, r.Features.KeyID = k.account, k.id
		}
	case g.body.kind == Capability && r.Account != "":
		if keys, why := v.keys.AuthTokens(r.Account); why == "" && len(keys) == 1 {
			r.Features.KeyID = keys[0].id
		}
	}
	if identityFault(g.body.identity) == "" {
		r.Identity = g.body.identity
	}
	return r
}
