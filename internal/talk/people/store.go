package people

import (
	"context"
	"time"
)

// Store keeps users and sessions; see talk.Store for the errors.
type Store interface {
	// Users returns the users of all accounts in the order they were added.
	Users(ctx context.Context) ([]User, error)
	User(ctx context.Context, id string) (User, error)
	// UsersByLogin returns the users whose name or e-mail address is login, whatever the case.
	UsersByLogin(ctx context.Context, login string) ([]User, error)
	// PutUser adds the user or replaces what is kept of them.
	PutUser(ctx context.Context, u User) error
	// ListUsers returns the account's users in the order they were added.
	ListUsers(ctx context.Context, account string) ([]Listing, error)
	// ChangeUser lets change work on what is kept of the user and keeps the outcome,
	// in one step that no other change comes between. otherAdmins is how many
	// enabled admins their account has besides them. An error of change leaves all
	// as it was and is returned.
	ChangeUser(ctx context.Context, id string, change func(u *User, otherAdmins int) error) (before, after User, err error)

	PutSession(ctx context.Context, s Session) error
	// SessionByHash returns the session and its user; fault.NotFound when it
	// has expired or its user is disabled.
	SessionByHash(ctx context.Context, hash string, now time.Time) (Session, User, error)
	// TouchSession moves the session's last use and expiry.
	TouchSession(ctx context.Context, hash string, seen, expires time.Time) error
	DeleteSession(ctx context.Context, hash string) error
	DeleteSessionsOf(ctx context.Context, user string) error
	// DeleteSessionsBut ends the user's sessions, except the one with the hash.
	DeleteSessionsBut(ctx context.Context, user, hash string) error
	// SessionsOf returns the user's sessions that have not expired, the last used first.
	SessionsOf(ctx context.Context, user string, now time.Time) ([]Session, error)
	// SweepSessions deletes what expired before now and returns how many.
	SweepSessions(ctx context.Context, now time.Time) (int, error)

	// AddPasskey adds a passkey; fault.Conflict when its credential is known.
	AddPasskey(ctx context.Context, k Passkey) error
	// Passkeys returns the user's passkeys, oldest first.
	Passkeys(ctx context.Context, user string) ([]Passkey, error)
	// PasskeyByCredential returns the passkey of a credential id, and whose it is.
	PasskeyByCredential(ctx context.Context, credential []byte) (Passkey, User, error)
	// UsePasskey keeps that the passkey was used, if its counter is still at before;
	// used is false when it is not.
	UsePasskey(ctx context.Context, id string, before, after uint32, flags byte, now time.Time) (used bool, err error)
	DeletePasskey(ctx context.Context, user, id string) error

	// SubjectUser returns whom a company's sign-in belongs to.
	SubjectUser(ctx context.Context, issuer, subject string) (User, error)
	// AddSubject binds a company's sign-in to a user; fault.Conflict when either has
	// another already.
	AddSubject(ctx context.Context, s Subject) error

	AuditStore
}

// Listing is a user and what is kept about how they sign in.
type Listing struct {
	User
	Passkeys int
	SSO      bool      // a company's sign-in is bound to them
	Seen     time.Time // last use of a session, to some minutes; zero: never
}

// Subject is somebody as a company's identity provider knows them. A user has at
// most one at each issuer.
type Subject struct {
	Issuer  string // https URL
	Subject string // the provider's own id of them
	User    string
	Created time.Time
}

// Session is a signed-in browser. Hash is what its cookie is checked with.
type Session struct {
	Hash    string // SHA-256 of the cookie's value, hex
	User    string
	Created time.Time
	Seen    time.Time
	Expires time.Time
	Remote  string // address it began from
	Browser string // user agent, at most 300 bytes

	CSRF string // derived from the cookie's value, never stored
}

// ID names the session to its owner; the hash is nobody's business.
func (s Session) ID() string { return "SE" + s.Hash[:min(32, len(s.Hash))] }
