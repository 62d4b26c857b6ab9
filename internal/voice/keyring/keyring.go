// Package keyring owns what devices are let in by: each account's keys, auth
// tokens, trusted issuers, tickets, which ways in are open, what was revoked, and
// who came by which way.
//
// A Ring answers from memory (it is a token.Keys and a token.Tickets) and changes
// as a whole: a change is written to the store first, then everything is read
// again and replaces what was there, or nothing does. When the store cannot be
// read or a secret in it cannot be opened, the old ring stays and health says so.
// All methods are safe for concurrent use. Secrets are returned only by the call
// that makes them.
package keyring

import (
	"time"

	"dialtone/internal/voice/token"
)

// Key is an API key: it signs access tokens, and lets a program use the API.
type Key struct {
	ID        string    // SK + 32 hex
	Account   string    // AC…
	Name      string    // 1 to 80 characters
	Algorithm string    // HS256, HS384, HS512, ES256, EdDSA, RS256 or PS256
	Role      string    // what its holder may do in the API: "admin", "team_lead", or "" (it only lets devices in)
	Secret    []byte    // of an HMAC key, printable; only within the package and the store
	PublicKey []byte    // JSON Web Key of any other
	Created   time.Time //
	Disabled  bool      // refused until enabled again; devices that it let in stay
	Retires   time.Time // replaced: tokens that it signed are accepted until then; zero: not replaced
	Successor string    // the id of the key that replaces it
	Revoked   time.Time // zero: not revoked
	LastUsed  time.Time // when a device came with a token that it signed, to the minute; zero: never seen
}

// AuthToken signs an account's capability tokens.
type AuthToken struct {
	ID      string // AT + 32 hex
	Account string
	Secret  []byte // printable; only within the package and the store
	Created time.Time
	Retires time.Time // as in Key
	Revoked time.Time
}

// Way is one way in and whether it is open to an account's devices.
type Way struct {
	Kind   token.Kind
	Open   bool
	Closes time.Time // open until then; zero: no date
}

// What a revocation is about.
const (
	OfKey      = "key"      // an API key (SK…) or auth token (AT…)
	OfToken    = "token"    // a token id (jti) or ticket id
	OfIdentity = "identity" // the devices of a name
)

// Revocation refuses tokens that would be accepted otherwise, and ends the
// devices that they let in. Keys are revoked for good; the others can be lifted.
type Revocation struct {
	ID      string // RV + 32 hex
	Account string
	Of      string // OfKey, OfToken, OfIdentity
	Value   string
	At      time.Time
	Forever bool   // of an identity: tokens issued after At are refused, too
	By      string // who did it, as shown to others
	Reason  string // at most 200 characters
}

// Issuer makes access tokens for an account with keys of its own, which we read
// from its JSON Web Key Set.
type Issuer struct {
	ID       string // IS + 32 hex
	Account  string
	Name     string
	URL      string // the "iss" of its tokens, https
	JWKS     string // where its key set is, https
	Audience string // the "aud" of its tokens
	Created  time.Time
	KeySet   []byte    // the JSON Web Key Set as it was last read; only within the package and the store
	Fetched  time.Time // when its keys were last read; zero: never
	Keys     int       // how many keys of it are usable
	Problem  string    // why its keys could not be read the last time; "" when they could
}

// Use is how often an identity came by a way, with one app.
type Use struct {
	Account  string
	Kind     token.Kind
	Identity string
	App      string // AP… of the token's outgoing grant; "" when it has none
	Origin   string // scheme and host of the page; "" when it is no page, OtherOrigins when they are many
	SDK      string // version of the SDK the last time
	KeyID    string // of the key the last time
	First    time.Time
	Last     time.Time
	Count    int64 // registrations and renewals
}

// MaxOrigins is how many origins of an identity's uses of one app are told apart,
// so that a device, which says itself where it is, cannot fill the store.
const MaxOrigins = 50

// OtherOrigins stands for those beyond MaxOrigins.
const OtherOrigins = "…"

// TicketGrant is what a ticket allows, and to whom.
type TicketGrant struct {
	Account     string
	Identity    string        // as in token.AccessGrant
	TTL         time.Duration // to be used within; 0: DefaultTicketTTL, at most MaxTicketTTL
	Session     time.Duration // how long it lets a device in, from its use; 0: token.DefaultTTL
	Incoming    bool
	OutgoingApp string
	KeyID       string // of the API key whose holder asks; its revocation ends the ticket and its device. "": of no key
}

// Lifetimes.
const (
	DefaultTicketTTL = 2 * time.Minute
	MaxTicketTTL     = time.Hour
	DefaultOverlap   = 24 * time.Hour // of a replaced key
	MaxOverlap       = 90 * 24 * time.Hour
)

// Ticket is what is kept of a ticket; the text itself is not.
type Ticket struct {
	Hash        string // SHA-256 of the text, hex
	ID          string // TK + 32 hex, for revocations and logs
	Account     string
	Identity    string
	Incoming    bool
	OutgoingApp string
	KeyID       string // as in TicketGrant
	Issued      time.Time
	Expires     time.Time     // to be used before
	Session     time.Duration // from its use
	Redeemed    time.Time     // zero: not used yet
}
