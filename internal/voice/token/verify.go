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
	compact
	jose   joseHeader
	body   body
	macs   macs
	buf    []byte
	one    [1]*Key
	claims Claims // as Keys.Revoked is asked about them
}

// clear lets go of the token.
func (t *bench) clear() {
	t.of("")
	t.compact, t.jose, t.body, t.one, t.claims = compact{}, joseHeader{}, body{}, [1]*Key{}, Claims{}
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
	}
	claims := t.claims
	t.clear()
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
	if bad := t.read(text); !bad.ok() {
		return bad
	}
	b := &t.body
	keys, audience, r := v.key(t)
	if r != "" {
		return verdict{r, Whole}
	}
	var signer *Key
	for _, k := range keys {
		if k.algorithm == t.jose.alg && k.signed(&t.macs, t.signed, t.signature) {
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
	describe(&t.claims.Features, &t.jose, b)
	t.claims.Features.KeyID = signer.id
	return v.holds(t, now)
}

// read does what can be done without a key, up to where one is needed.
func (t *bench) read(text string) verdict {
	var bad verdict
	if t.compact, bad = open(text, MaxSize, &t.buf); !bad.ok() {
		return bad
	}
	var r Reason
	if t.jose, r = readHeader(&t.object, t.header); r == "" {
		r = t.jose.device()
	}
	switch {
	case r != "":
		return verdict{r, Header}
	case len(t.payload) == 0:
		return verdict{ReasonSegmentEmpty, Payload}
	case len(t.signature) == 0:
		return verdict{ReasonSignatureMissing, Signature}
	}
	kind := t.jose.kind()
	if kind == Capability && issuerAhead(&t.object, t.payload) {
		kind = Access
	}
	if r = readBody(&t.object, &t.body, t.payload, kind); r == "" {
		r = t.body.keyed()
	}
	if r != "" {
		return verdict{r, Payload}
	}
	if r = t.jose.of(&t.body); r != "" {
		return verdict{r, Header}
	}
	return verdict{}
}

// key finds what the token must be signed with, any of the keys, and the
// audience that an own issuer's token must name.
func (v *Verifier) key(t *bench) (keys []*Key, audience string, r Reason) {
	var one *Key
	switch {
	case t.body.ownIssuer():
		one, audience, r = v.keys.IssuerKey(t.body.issuer, t.jose.kid)
	case t.body.kind == Access:
		one, r = v.keys.APIKey(t.body.issuer)
	default:
		keys, r = v.keys.AuthTokens(t.body.issuer)
	}
	if one != nil {
		t.one[0] = one
		keys = t.one[:]
	}
	if r == "" && !slices.ContainsFunc(keys, func(k *Key) bool { return k.algorithm == t.jose.alg }) {
		r = ReasonAlgorithmMismatch
	}
	return keys, audience, r
}
