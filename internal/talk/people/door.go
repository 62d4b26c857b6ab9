package people

import (
	"context"
	"time"
)

// Door lets people in: sign-in, sessions, sign-out.
type Door struct {
	store Store
	o     DoorOptions
}

// DoorOptions is how a Door behaves.
type DoorOptions struct {
	Hashing Params        // zero: DefaultParams
	Session time.Duration // a session ends so long after its last use; 0: 12 h
}

// Params is the cost of a password's hash (argon2id, RFC 9106).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// Client is where a sign-in comes from.
type Client struct {
	Remote  string // address without port
	Browser string // user agent
}

// NewDoor returns a door to the users of the store.
func NewDoor(store Store, o DoorOptions) *Door { return &Door{store: store, o: o} }

// SignIn checks a name (or e-mail address) and password and begins a session.
// The cookie is the session's secret, shown only here. Errors:
// fault.Unauthenticated, the same whether name or password is wrong, and
// fault.TooMany with a *Backoff in its chain.
func (d *Door) SignIn(ctx context.Context, login, password string, c Client) (u User, s Session, cookie string, err error) {
	return User{}, Session{}, "", nil
}

// Resume returns the session of a cookie and moves its end; fault.Unauthenticated when there is none.
func (d *Door) Resume(ctx context.Context, cookie string) (User, Session, error) {
	return User{}, Session{}, nil
}

// SignOut ends the session of a cookie; without one it does nothing.
func (d *Door) SignOut(ctx context.Context, cookie string) error { return nil }

// Backoff says how long to wait before the next attempt.
type Backoff struct{ RetryAfter time.Duration }

// Error implements error.
func (b *Backoff) Error() string { return "too many attempts, wait " + b.RetryAfter.String() }
