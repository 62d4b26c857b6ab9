package people

import (
	"context"
	"time"
)

// Store keeps users, sessions and keys; see talk.Store for the errors.
type Store interface {
	// Users returns the users of all accounts in the order they were added.
	Users(ctx context.Context) ([]User, error)
	User(ctx context.Context, id string) (User, error)
	// UsersByLogin returns the users whose name or e-mail address is login, whatever the case.
	UsersByLogin(ctx context.Context, login string) ([]User, error)
	// PutUser adds the user or replaces what is kept of them.
	PutUser(ctx context.Context, u User) error

	PutSession(ctx context.Context, s Session) error
	// SessionByHash returns the session and its user; fault.NotFound when it
	// has expired or its user is disabled.
	SessionByHash(ctx context.Context, hash string, now time.Time) (Session, User, error)
	// TouchSession moves the session's last use and expiry.
	TouchSession(ctx context.Context, hash string, seen, expires time.Time) error
	DeleteSession(ctx context.Context, hash string) error
	DeleteSessionsOf(ctx context.Context, user string) error
	// SweepSessions deletes what expired before now and returns how many.
	SweepSessions(ctx context.Context, now time.Time) (int, error)

	// APIKeys returns the keys of all accounts, revoked ones included.
	APIKeys(ctx context.Context) ([]APIKey, error)
	// PutAPIKey adds the key or replaces what is kept of it.
	PutAPIKey(ctx context.Context, k APIKey) error
	// AuthTokens returns the secret of each account that has one.
	AuthTokens(ctx context.Context) (map[string][]byte, error)
	PutAuthToken(ctx context.Context, account string, secret []byte) error
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
