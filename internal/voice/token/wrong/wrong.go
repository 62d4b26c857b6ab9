// Package wrong holds verifiers of device tokens that are broken on purpose, each
// in one way in which real ones have been: test doubles for whatever must notice
// a broken verifier, such as the check of tokens and the console's falling back.
// Nothing that is shipped imports it.
//
// A double wraps a real verifier and has no keys of its own. One that is too
// strict decodes with the wrong decoder and refuses what that reads differently;
// one that is too lenient repairs the text and asks the real one again; one that
// misreads changes what the real one says. Doubles are as safe for concurrent
// use as what they wrap.
package wrong

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"dialtone/internal/voice/token"
)

// Judge is what a double wraps. Its methods Examine (like Verify) and Revoked
// (of token.Claims) are used, too, if it has them.
type Judge interface {
	Verify(ctx context.Context, text string) (token.Claims, error)
}

// Verifier is a broken verifier.
type Verifier struct {
	inner Judge
	fault fault
}

// fault is what is wrong with a verifier; each part may be nil.
type fault struct {
	refuse  func(text string) (token.Reason, token.Part) // "": asks the real one
	repair  func(text string, why token.Reason) []string // what is tried when the real one refuses the text
	misread func(text string, c *token.Claims)
}

// Double is one broken verifier.
type Double struct {
	Name string
	What string // completes "a verifier that …"
	Wrap func(v Judge) *Verifier
}

func double(name, what string, f fault) Double {
	return Double{Name: name, What: what, Wrap: func(v Judge) *Verifier { return &Verifier{v, f} }}
}

// Verify judges wrongly.
func (v *Verifier) Verify(ctx context.Context, text string) (token.Claims, error) {
	return v.judge(ctx, text, v.inner.Verify)
}

// Examine is Verify that does not use a ticket up, if the wrapped verifier can.
func (v *Verifier) Examine(ctx context.Context, text string) (token.Claims, error) {
	inner, ok := v.inner.(interface {
		Examine(ctx context.Context, text string) (token.Claims, error)
	})
	if !ok {
		return token.Claims{}, errors.New("the wrapped verifier cannot examine")
	}
	return v.judge(ctx, text, inner.Examine)
}

// Revoked asks the wrapped verifier, if it can say.
func (v *Verifier) Revoked(c token.Claims) bool {
	inner, ok := v.inner.(interface{ Revoked(c token.Claims) bool })
	return ok && inner.Revoked(c)
}

func (v *Verifier) judge(ctx context.Context, text string, ask func(context.Context, string) (token.Claims, error)) (token.Claims, error) {
	if v.fault.refuse != nil {
		if reason, part := v.fault.refuse(text); reason != "" {
			i := token.Inspect(text)
			return token.Claims{}, &token.Refusal{Reason: reason, Part: part, Features: i.Features}
		}
	}
	claims, err := ask(ctx, text)
	var refused *token.Refusal
	if v.fault.repair != nil && errors.As(err, &refused) {
		for _, better := range v.fault.repair(text, refused.Reason) {
			if again, bad := ask(ctx, better); bad == nil {
				return again, nil
			}
		}
	}
	if err == nil && v.fault.misread != nil {
		v.fault.misread(text, &claims)
	}
	return claims, err
}

// Tickets refuses every ticket and lets the other ways in work.
func Tickets(v Judge) *Verifier { return refusing(v, token.Ticket, token.ReasonTicketUnknown) }

// Access refuses every access token.
func Access(v Judge) *Verifier { return refusing(v, token.Access, token.ReasonSignatureMismatch) }

// Capability refuses every capability token.
func Capability(v Judge) *Verifier {
	return refusing(v, token.Capability, token.ReasonSignatureMismatch)
}

func refusing(v Judge, kind token.Kind, reason token.Reason) *Verifier {
	return &Verifier{v, fault{refuse: func(text string) (token.Reason, token.Part) {
		if kindOf(text) == kind {
			return reason, token.Whole
		}
		return "", token.Whole
	}}}
}

// kindOf tells the ways in apart as apps do, by the header.
func kindOf(text string) token.Kind {
	header, _, signed := strings.Cut(text, ".")
	if !signed {
		return token.Ticket
	}
	var h struct {
		ContentType *string `json:"cty"`
	}
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err == nil && json.Unmarshal(data, &h) == nil && h.ContentType != nil {
		return token.Access
	}
	return token.Capability
}
