// Package token lets devices in: it mints and verifies access tokens and
// capability tokens of the Voice SDK through one strict gate.
//
// A Verifier is safe for concurrent use. The package never logs a token and
// never returns a part of one in an error; what may be known of a token is in
// its Features.
package token

import (
	"context"
	"net/url"
	"time"

	"dialtone/internal/event"
)

// Kind is a way in.
type Kind string

// The ways in.
const (
	Access     Kind = "access"
	Capability Kind = "capability"
	Ticket     Kind = "ticket"
)

// Claims is what a verified token says.
type Claims struct {
	Kind     Kind
	Account  string // AC + 32 hex
	KeyID    string // SK + 32 hex for access tokens; the account for capability tokens
	ID       string // jti; "" for capability tokens. Never use the token's text as an identity
	Identity string // the device's name; "" for a capability token without an incoming or outgoing clientName

	Issued, NotBefore, Expires time.Time // zero when absent, except Expires

	Incoming       bool       // may be called
	Outgoing       bool       // may call
	OutgoingApp    string     // AP…
	OutgoingParams url.Values // parameters the token fixes; they win over the device's own

	Features event.TokenFeatures
}

// Reason says why a token was refused: a closed vocabulary; voice/sdk maps it
// to the SDK's error codes, monitoring counts by it.
type Reason string

// Refusal is the error of a refused token.
type Refusal struct {
	Reason   Reason
	Features event.TokenFeatures // what could be seen of the token without trusting it
	Account  string              // as the unverified token claims; "" when unreadable
	Identity string              // as the unverified token claims; "" when unreadable
}

// Error returns the reason, never anything of the token.
func (r *Refusal) Error() string { return "token refused: " + string(r.Reason) }

// Keys is where a Verifier finds what tokens are checked with. It is called for
// every token and must answer from memory.
type Keys interface {
	// APIKey returns the account and the secret of an API key (SK…).
	APIKey(ctx context.Context, id string) (account string, secret []byte, ok bool)
	// AuthToken returns the secret of an account (AC…) that signs capability tokens.
	AuthToken(ctx context.Context, account string) (secret []byte, ok bool)
	// Revoked reports whether the key, token id or identity was revoked.
	Revoked(ctx context.Context, c Claims) bool
}

// Verifier says whether a token is valid now.
type Verifier struct {
	keys Keys
	now  func() time.Time
}

// NewVerifier returns a verifier that asks keys and reads the time from now.
func NewVerifier(keys Keys, now func() time.Time) *Verifier { return &Verifier{keys: keys, now: now} }

// Verify returns what a valid token says, or a *Refusal.
func (v *Verifier) Verify(ctx context.Context, text string) (Claims, error) {
	return Claims{}, &Refusal{Reason: "malformed"}
}
