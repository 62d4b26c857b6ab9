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
// An own issuer's token is an access token, too: its "iss" is an https URL, and the
// key is one of those that an account trusts that issuer for.
//
// A Verifier, a Minter, a Key and a JWK are safe for concurrent use. The package never
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
	TicketSize  = 64               // hexadecimal digits of a ticket, in small letters
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
	KeyID    string // of the key: SK… or an issuer's kid for access tokens, AT… for capability tokens; of a ticket, the SK… of who asked for it or ""
	Issuer   string // the "iss" of an account's own issuer; "" for all other tokens
	ID       string // jti, or a ticket's id; "" for capability tokens and when absent. Never use the token's text as an identity
	Identity string // the device's name; "" for a capability token without an incoming or outgoing clientName

	Issued, NotBefore, Expires time.Time // zero when absent, except Expires
	Redeemed                   time.Time // of a ticket; zero: not yet

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
	KeyPart   Part = "key"
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
// every token and must answer from memory, without waiting.
type Keys interface {
	// APIKey returns the API key of the id (SK…), or why there is none to check
	// with: ReasonUnknownKey, ReasonKeyDisabled, ReasonKeyRetired, ReasonRevoked.
	APIKey(id string) (*Key, Reason)
	// AuthTokens returns what an account's (AC…) capability tokens may be signed
	// with: one key, or two while one replaces the other. The slice is shared.
	AuthTokens(account string) ([]*Key, Reason)
	// IssuerKey returns the key kid of an issuer that an account trusts (the "iss"
	// of its tokens, an https URL) and the "aud" that they must name. Reasons:
	// ReasonUnknownIssuer, ReasonUnknownKey, ReasonKeyDisabled.
	IssuerKey(issuer, kid string) (key *Key, audience string, why Reason)
	// Closed reports whether the account does not let devices in by this way.
	Closed(account string, way Kind, now time.Time) bool
	// Revoked reports whether the claims' key, token id or identity was revoked. c
	// is lent for the call; the strings in it may be kept.
	Revoked(c *Claims) bool
}

// Tickets is where a Verifier finds opaque tickets. A reason is the ticket's
// fault (ReasonTicketUnknown, ReasonTicketUsed, ReasonTicketExpired), an error is
// ours: the ticket could not be judged.
type Tickets interface {
	// Redeem uses a ticket up: of any number of calls, one succeeds.
	Redeem(ctx context.Context, ticket string, now time.Time) (Claims, Reason, error)
	// Look returns what a ticket says without using it up. One that was redeemed
	// still counts until the session that it began is over; Claims.Redeemed says so.
	Look(ctx context.Context, ticket string, now time.Time) (Claims, Reason, error)
}
