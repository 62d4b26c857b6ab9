package token

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Verifier says whether a token is valid now.
type Verifier struct {
	keys    Keys
	tickets Tickets
	now     func() time.Time

	// benches keeps *bench between tokens.
	benches sync.Pool
}

// bench is what one token is taken apart on. Nothing of it is returned.
type bench struct {
	object
	macs   macs
	buf    []byte
	one    [1]*Key
	claims Claims // as Keys.Revoked is asked about them
}

// NewVerifier returns a verifier that asks keys and tickets and reads the time
// from now. Without tickets (nil) every ticket is unknown.
func NewVerifier(keys Keys, tickets Tickets, now func() time.Time) *Verifier {
	if tickets == nil {
		tickets = noTickets{}
	}
	return &Verifier{keys: keys, tickets: tickets, now: now, benches: sync.Pool{New: func() any { return new(bench) }}}
}

type noTickets struct{}

func (noTickets) Redeem(context.Context, string, time.Time) (Claims, Reason, error) {
	return Claims{}, ReasonTicketUnknown, nil
}

func (noTickets) Look(context.Context, string, time.Time) (Claims, Reason, error) {
	return Claims{}, ReasonTicketUnknown, nil
}

// Verify returns what a valid token says, or a *Refusal; it uses a ticket up.
// Any other error means that the token could not be judged. Claims.Features and
// Refusal.Features are filled either way, as far as the text shows them.
//
// It judges in this order: the text, the header, the payload's JSON, the key,
// the signature, what the claims say, the time, the account's ways in,
// revocation. So a reason that concerns claims, time or revocation is about a
// token that the key really signed.
func (v *Verifier) Verify(ctx context.Context, text string) (Claims, error) {
	return v.let(ctx, text, true)
}

// Examine is Verify that does not use a ticket up; see Tickets.Look.
func (v *Verifier) Examine(ctx context.Context, text string) (Claims, error) {
	return v.let(ctx, text, false)
}

// Revoked reports whether accepted claims would be refused now because their
// key, token id or identity was revoked since.
func (v *Verifier) Revoked(c Claims) bool { return v.keys.Revoked(&c) }

func (v *Verifier) let(ctx context.Context, text string, use bool) (Claims, error) {
	t := v.benches.Get().(*bench)
	defer v.benches.Put(t)
	var bad verdict
	if ticketLike(text) {
		var err error
		if bad, err = v.judgeTicket(ctx, t, text, use); err != nil {
			return Claims{}, err
		}
	} else {
		bad = v.judge(t, text)
		t.of("")
	}
	claims := t.claims
	t.claims, t.one[0] = Claims{}, nil
	if !bad.ok() {
		return Claims{}, v.refusal(text, bad)
	}
	return claims, nil
}

func (v *Verifier) judgeTicket(ctx context.Context, t *bench, text string, use bool) (verdict, error) {
	if len(text) != TicketSize {
		return verdict{ReasonTicketUnknown, Whole}, nil
	}
	now := v.now()
	let := v.tickets.Look
	if use {
		let = v.tickets.Redeem
	}
	claims, r, err := let(ctx, text, now)
	if err != nil || r != "" {
		return verdict{r, Whole}, err
	}
	claims.Kind, claims.Features = Ticket, textFeatures(text)
	claims.Features.IdentityMod3 = len(claims.Identity) % 3
	claims.Features.IdentityNonASCII = !ascii(claims.Identity)
	t.claims = claims
	return v.holds(t, now), nil
}

// holds says whether the account still lets in what t.claims say.
func (v *Verifier) holds(t *bench, now time.Time) verdict {
	switch {
	case v.keys.Closed(t.claims.Account, t.claims.Kind, now):
		return verdict{ReasonWayClosed, Whole}
	case v.keys.Revoked(&t.claims):
		return verdict{ReasonRevoked, Whole}
	default:
		return verdict{}
	}
}

func (v *Verifier) judge(t *bench, text string) verdict {
	c, h, b, bad := read(&t.object, &t.buf, text)
	if !bad.ok() {
		return bad
	}
	keys, audience, r := v.key(t, h, &b)
	if r != "" {
		return verdict{r, Whole}
	}
	var signer *Key
	for _, k := range keys {
		if k.algorithm == h.alg && k.signed(&t.macs, c.signed, c.signature) {
			signer = k
			break
		}
	}
	if signer == nil {
		return verdict{ReasonSignatureMismatch, Signature}
	}
	r = b.semantics()
	switch {
	case r != "":
	case b.ownIssuer():
		if !slices.Contains(b.audiences, audience) {
			r = ReasonAudience
		}
	case signer.account != b.account():
		r = ReasonAccountMismatch
	}
	now := v.now()
	if r == "" {
		r = b.timely(now)
	}
	if r != "" {
		return verdict{r, Payload}
	}
	t.claims = b.claims()
	t.claims.Account, t.claims.KeyID = signer.account, signer.id
	t.claims.Features = textFeatures(text)
	describe(&t.claims.Features, h, &b)
	t.claims.Features.KeyID = signer.id
	return v.holds(t, now)
}

// read does with o what can be done without a key, up to where one is needed.
func read(o *object, buf *[]byte, text string) (compact, joseHeader, body, verdict) {
	c, bad := open(text, MaxSize, buf)
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
	kind := h.kind()
	if kind == Capability && issuerAhead(o, c.payload) {
		kind = Access
	}
	b, r := readBody(o, c.payload, kind)
	if r == "" {
		r = b.keyed()
	}
	if r != "" {
		return compact{}, joseHeader{}, body{}, verdict{r, Payload}
	}
	if r := h.of(&b); r != "" {
		return compact{}, joseHeader{}, body{}, verdict{r, Header}
	}
	return c, h, b, verdict{}
}

// key finds what the token must be signed with, any of the keys, and the
// audience that an own issuer's token must name.
func (v *Verifier) key(t *bench, h joseHeader, b *body) (keys []*Key, audience string, r Reason) {
	var one *Key
	switch {
	case b.ownIssuer():
		one, audience, r = v.keys.IssuerKey(b.issuer, h.kid)
	case b.kind == Access:
		one, r = v.keys.APIKey(b.issuer)
	default:
		keys, r = v.keys.AuthTokens(b.issuer)
	}
	if one != nil {
		t.one[0] = one
		keys = t.one[:]
	}
	if r == "" && !slices.ContainsFunc(keys, func(k *Key) bool { return k.algorithm == h.alg }) {
		r = ReasonAlgorithmMismatch
	}
	return keys, audience, r
}
