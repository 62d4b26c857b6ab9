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

	// readers keeps *object between tokens: their decoders hold most of what a
	// verification would allocate.
	readers sync.Pool
}

// NewVerifier returns a verifier that asks keys and tickets and reads the time
// from now. Without tickets (nil) every ticket is unknown.
func NewVerifier(keys Keys, tickets Tickets, now func() time.Time) *Verifier {
	if tickets == nil {
		tickets = noTickets{}
	}
	return &Verifier{
		keys: keys, tickets: tickets, now: now,
		readers: sync.Pool{New: func() any { return newObject(false) }},
	}
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
	return v.let(ctx, text, v.tickets.Redeem)
}

// Examine is Verify that does not use a ticket up; see Tickets.Look.
func (v *Verifier) Examine(ctx context.Context, text string) (Claims, error) {
	return v.let(ctx, text, v.tickets.Look)
}

// Revoked reports whether accepted claims would be refused now because their
// key, token id or identity was revoked since.
func (v *Verifier) Revoked(c Claims) bool { return v.keys.Revoked(&c) }

func (v *Verifier) let(ctx context.Context, text string, ticket func(context.Context, string, time.Time) (Claims, Reason, error)) (Claims, error) {
	var claims Claims
	var bad verdict
	if ticketLike(text) {
		var err error
		if claims, bad, err = v.judgeTicket(ctx, text, ticket); err != nil {
			return Claims{}, err
		}
	} else {
		claims, bad = v.judge(text)
	}
	if !bad.ok() {
		return Claims{}, v.refusal(text, bad)
	}
	return claims, nil
}

func (v *Verifier) judgeTicket(ctx context.Context, text string, ticket func(context.Context, string, time.Time) (Claims, Reason, error)) (Claims, verdict, error) {
	if len(text) != TicketSize {
		return Claims{}, verdict{ReasonTicketUnknown, Whole}, nil
	}
	now := v.now()
	claims, r, err := ticket(ctx, text, now)
	switch {
	case err != nil:
		return Claims{}, verdict{}, err
	case r != "":
		return Claims{}, verdict{r, Whole}, nil
	case v.keys.Closed(claims.Account, Ticket, now):
		return Claims{}, verdict{ReasonWayClosed, Whole}, nil
	case v.keys.Revoked(&claims):
		return Claims{}, verdict{ReasonRevoked, Whole}, nil
	}
	claims.Kind, claims.Features = Ticket, textFeatures(text)
	claims.Features.IdentityMod3 = len(claims.Identity) % 3
	claims.Features.IdentityNonASCII = !ascii(claims.Identity)
	return claims, verdict{}, nil
}

func (v *Verifier) judge(text string) (Claims, verdict) {
	o := v.readers.Get().(*object)
	c, h, b, bad := read(o, text)
	o.of(nil)
	v.readers.Put(o)
	if !bad.ok() {
		return Claims{}, bad
	}
	keys, audience, r := v.key(h, &b)
	if r != "" {
		return Claims{}, verdict{r, Whole}
	}
	var signer *Key
	for _, k := range keys {
		if k.algorithm == h.alg && k.signed(c.signed, c.signature) {
			signer = k
			break
		}
	}
	if signer == nil {
		return Claims{}, verdict{ReasonSignatureMismatch, Signature}
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
	if r != "" {
		return Claims{}, verdict{r, Payload}
	}
	now := v.now()
	if r := b.timely(now); r != "" {
		return Claims{}, verdict{r, Payload}
	}
	claims := b.claims()
	claims.Account, claims.KeyID = signer.account, signer.id
	if v.keys.Closed(claims.Account, claims.Kind, now) {
		return Claims{}, verdict{ReasonWayClosed, Whole}
	}
	claims.Features = textFeatures(text)
	describe(&claims.Features, h, &b)
	claims.Features.KeyID = signer.id
	if v.keys.Revoked(&claims) {
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
func (v *Verifier) key(h joseHeader, b *body) (keys []*Key, audience string, r Reason) {
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
		keys = []*Key{one}
	}
	if r == "" && !slices.ContainsFunc(keys, func(k *Key) bool { return k.algorithm == h.alg }) {
		r = ReasonAlgorithmMismatch
	}
	return keys, audience, r
}
