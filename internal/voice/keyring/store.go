package keyring

import (
	"context"
	"time"

	"dialtone/internal/voice/token"
)

// Store keeps what a Ring owns, secrets sealed. What is not found is
// fault.NotFound, what exists already fault.Conflict, what cannot be reached
// fault.Unavailable.
type Store interface {
	// Ring returns everything but tickets and uses, of all accounts, as of one
	// moment, and its revision; an error when any part cannot be read.
	Ring(ctx context.Context) (Contents, error)
	// Revision changes with every change to what Ring returns (but Key.LastUsed),
	// also by another process.
	Revision(ctx context.Context) (int64, error)

	// The Put methods add, or replace what is kept under the same id.
	PutKey(ctx context.Context, k Key) error
	// ChangeKey changes of a key what change names and leaves the rest as it is
	// stored, whatever the caller has read; fault.NotFound for one that was revoked.
	ChangeKey(ctx context.Context, account, id string, change KeyChange) error
	PutAuthToken(ctx context.Context, a AuthToken) error
	PutWay(ctx context.Context, account string, w Way) error
	PutIssuer(ctx context.Context, i Issuer) error
	DeleteIssuer(ctx context.Context, account, id string) error
	// KeepKeySet keeps what was read from an issuer's key set, and when; it does
	// not change the revision.
	KeepKeySet(ctx context.Context, issuer string, set []byte, fetched time.Time) error
	// PutRevocation adds a revocation; one of a key or auth token marks that as
	// revoked in the same transaction.
	PutRevocation(ctx context.Context, r Revocation) error
	DeleteRevocation(ctx context.Context, account, id string) error
	// ReplaceKey adds the new key and stores the old one's end (Retires, Successor)
	// in one transaction; fault.Conflict when the old one has one already.
	ReplaceKey(ctx context.Context, old, replacement Key) error
	ReplaceAuthToken(ctx context.Context, old, replacement AuthToken) error

	PutTicket(ctx context.Context, t Ticket) error
	// RedeemTicket marks the ticket as used at now if nobody has and it has not
	// expired; redeemed is false otherwise, and t.Redeemed says which. fault.NotFound
	// when there is none of this hash.
	RedeemTicket(ctx context.Context, hash string, now time.Time) (t Ticket, redeemed bool, err error)
	TicketByHash(ctx context.Context, hash string) (Ticket, error)
	// SweepTickets deletes tickets that can let nobody in any more.
	SweepTickets(ctx context.Context, now time.Time) (int, error)

	// SweepUses deletes uses whose last is before a time.
	SweepUses(ctx context.Context, before time.Time) (int, error)
	// AddUses adds counts and times to what is kept of the same account, kind,
	// identity, app and origin, and moves Key.LastUsed of the keys that they name.
	// Origins beyond MaxOrigins are kept as OtherOrigins.
	AddUses(ctx context.Context, uses []Use) error
	// Uses returns an account's uses of a way since a time, the last used first, at most limit.
	Uses(ctx context.Context, account string, kind token.Kind, since time.Time, limit int) ([]Use, error)
}

// Contents is what a Ring is made of.
type Contents struct {
	Revision    int64
	Keys        []Key
	AuthTokens  []AuthToken
	Ways        map[string][]Way // by account; a kind that is missing is open
	Issuers     []Issuer         // with the key sets that were kept
	Revocations []Revocation
}
