// Package token lets devices in: it mints and verifies access tokens and
// capability tokens of the Voice SDK through one strict gate, and checks bare
// JSON Web Signatures for operators.
//
// The gate accepts a text exactly if it is what a correct encoder would have
// written: three segments in the base64url alphabet without padding, line
// breaks or stray bits, so that decoding and encoding give the same bytes; JSON
// objects of valid UTF-8 without duplicate or merely case-different names; an
// algorithm that is the key's and not the token's choice. What libraries wave
// through here is listed with a Reason each in Reasons.
//
// A Verifier, a Minter and a JWK are safe for concurrent use. The package never
// logs a token and never returns a part of one in an error; what may be known of
// a token is in its Features. Inspect alone shows a token's content, to the
// person who holds it.
package token

import (
	"context"
	"net/url"
	"time"

	"dialtone/internal/event"
)

// Limits of the tokens that devices bring.
const (
	MaxSize     = 8 << 10          // bytes of the text
	MaxIdentity = 121              // characters (code points) of an identity
	Leeway      = 30 * time.Second // that "nbf" and "iat" may be ahead of our clock; "exp" has none
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
	ID       string // jti; "" for capability tokens and when absent. Never use the token's text as an identity
	Identity string // the device's name; "" for a capability token without an incoming or outgoing clientName

	Issued, NotBefore, Expires time.Time // zero when absent, except Expires

	Incoming       bool       // may be called
	Outgoing       bool       // may call
	OutgoingApp    string     // AP…
	OutgoingParams url.Values // parameters the token fixes; they win over the device's own
	PushCredential string     // CR…; "" when absent

	Features event.TokenFeatures
}

// Part is a place in a token where a refusal's reason was found.
type Part string

// The parts.
const (
	Whole     Part = ""
	Header    Part = "header"
	Payload   Part = "payload"
	Signature Part = "signature"
	Key       Part = "key"
)

// Refusal is the error of a refused token.
type Refusal struct {
	Reason   Reason
	Part     Part                // where; Whole when it concerns no single part
	Features event.TokenFeatures // what could be seen of the token without trusting it
	Account  string              // as the unverified token claims; "" when unreadable
	Identity string              // as the unverified token claims; "" when unreadable or not a valid identity
}

// Error returns the reason, never anything of the token.
func (r *Refusal) Error() string {
	if r.Part == Whole {
		return "token refused: " + string(r.Reason)
	}
	return "token refused: " + string(r.Reason) + " (" + string(r.Part) + ")"
}

// Keys is where a Verifier finds what tokens are checked with. It is called for
// every token and must answer from memory. A Keys that is also a KeyPolicy is
// asked for that, too.
type Keys interface {
	// APIKey returns the account and the secret of an API key (SK…).
	APIKey(ctx context.Context, id string) (account string, secret []byte, ok bool)
	// AuthToken returns the secret of an account (AC…) that signs capability tokens.
	AuthToken(ctx context.Context, account string) (secret []byte, ok bool)
	// Revoked reports whether the key, token id or identity was revoked.
	Revoked(ctx context.Context, c Claims) bool
}

// KeyPolicy is what a Keys may know about its keys beyond their secrets.
type KeyPolicy interface {
	// Algorithm returns the one algorithm that an API key (SK…) signs with:
	// HS256, HS384 or HS512; "" means HS256.
	Algorithm(ctx context.Context, id string) string
	// Disabled reports that an API key (SK…), or an account's (AC…) auth token,
	// may not be used although it is known.
	Disabled(ctx context.Context, id string) bool
}
