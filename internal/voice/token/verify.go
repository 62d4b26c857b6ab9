package token

import (
	"context"
	"sync"
	"time"
)

// Verifier says whether a token is valid now.
type Verifier struct {
	keys   Keys
	policy KeyPolicy
	now    func() time.Time

	// readers keeps *object between tokens: their decoders hold most of what a
	// verification would allocate.
	readers sync.Pool
}

// NewVerifier returns a verifier that asks keys and reads the time from now.
func NewVerifier(keys Keys, now func() time.Time) *Verifier {
	policy, ok := keys.(KeyPolicy)
	if !ok {
		policy = noPolicy{}
	}
	return &Verifier{
		keys: keys, policy: policy, now: now,
		readers: sync.Pool{New: func() any { return newObject(false) }},
	}
}

type noPolicy struct{}

func (noPolicy) Algorithm(context.Context, string) string { return "" }
func (noPolicy) Disabled(context.Context, string) bool    { return false }

// Verify returns what a valid token says, or a *Refusal. Claims.Features and
// Refusal.Features are filled either way, as far as the text shows them.
//
// It judges in this order: the text, the header, the payload's JSON, the key,
// the signature, what the claims say, the time, revocation. So a reason that
// concerns claims, time or revocation is about a token that the key really
// signed.
func (v *Verifier) Verify(ctx context.Context, text string) (Claims, error) {
	claims, bad := v.judge(ctx, text)
	if !bad.ok() {
		return Claims{}, refusal(text, bad)
	}
	return claims, nil
}

func (v *Verifier) judge(ctx context.Context, text string) (Claims, verdict) {
	o := v.readers.Get().(*object)
	c, h, b, bad := read(o, text)
	o.of(nil)
	v.readers.Put(o)
	if !bad.ok() {
		return Claims{}, bad
	}
	owner, secret, r := v.key(ctx, h, &b)
	if r != "" {
		return Claims{}, verdict{r, Whole}
	}
	if !signedBy(h.alg, secret, c.signed, c.signature) {
		return Claims{}, verdict{ReasonSignatureMismatch, Signature}
	}
	if r := b.semantics(); r != "" {
		return Claims{}, verdict{r, Payload}
	}
	if b.kind == Access && owner != b.subject {
		return Claims{}, verdict{ReasonAccountMismatch, Payload}
	}
	if r := b.timely(v.now()); r != "" {
		return Claims{}, verdict{r, Payload}
	}
	claims := b.claims()
	claims.Features = textFeatures(text)
	describe(&claims.Features, h, &b)
	if v.keys.Revoked(ctx, claims) {
		return Claims{}, verdict{ReasonRevoked, Whole}
	}
	return claims, verdict{}
}

// read does with o what can be done without a key, up to where one is needed.
func read(o *object, text string) (compact, joseHeader, body, verdict) {
	c, bad := open(text, MaxSize)
	if !bad.ok() {
		return compact{}, joseHeader{}, body{}, bad
	}
	h, r := readHeader(o, c.header)
	if r == "" {
		r = h.device()
	}
	if r != "" {
		return compact{}, joseHeader{}, body{}, verdict{r, Header}
	}
	if len(c.payload) == 0 {
		return compact{}, joseHeader{}, body{}, verdict{ReasonSegmentEmpty, Payload}
	}
	if len(c.signature) == 0 {
		return compact{}, joseHeader{}, body{}, verdict{ReasonSignatureMissing, Signature}
	}
	b, r := readBody(o, c.payload, h.kind())
	if r == "" {
		r = b.keyed()
	}
	if r != "" {
		return compact{}, joseHeader{}, body{}, verdict{r, Payload}
	}
	return c, h, b, verdict{}
}

// key finds the secret that the token must be signed with and whose it is.
func (v *Verifier) key(ctx context.Context, h joseHeader, b *body) (owner string, secret []byte, r Reason) {
	pinned, unknown := HS256, ReasonUnknownAccount
	var ok bool
	if b.kind == Access {
		unknown = ReasonUnknownKey
		owner, secret, ok = v.keys.APIKey(ctx, b.issuer)
		if alg := v.policy.Algorithm(ctx, b.issuer); alg != "" {
			pinned = alg
		}
	} else {
		owner = b.issuer
		secret, ok = v.keys.AuthToken(ctx, b.issuer)
	}
	switch {
	case v.policy.Disabled(ctx, b.issuer):
		return "", nil, ReasonKeyDisabled
	case !ok || len(secret) == 0:
		return "", nil, unknown
	case h.alg != pinned:
		return "", nil, ReasonAlgorithmMismatch
	default:
		return owner, secret, ""
	}
}
