package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"dialtone/internal/fault"
)

const (
	// SessionLength is how long a session lasts after its last use.
	SessionLength = 12 * time.Hour
	// touchEvery is how much of its length a session may lose before its end is
	// moved: not every request is worth a write.
	touchEvery = 5 * time.Minute
	cookieSize = 32 // bytes
)

// Door lets people in: sign-in, sessions, sign-out.
type Door struct {
	store    Store
	length   time.Duration
	verifier *verifier
	throttle *throttle
}

// DoorOptions is how a Door behaves.
type DoorOptions struct {
	Hashing Params        // of the decoy for unknown names: what the users' hashes were made with; zero: DefaultParams
	Session time.Duration // a session ends so long after its last use; 0: SessionLength
}

// Client is where a sign-in comes from.
type Client struct {
	Remote  string // address without port
	Browser string // user agent
}

// NewDoor returns a door to the users of the store. It takes as long as one hash.
func NewDoor(store Store, o DoorOptions) *Door {
	if o.Hashing == (Params{}) {
		o.Hashing = DefaultParams
	}
	if o.Session <= 0 {
		o.Session = SessionLength
	}
	return &Door{store: store, length: o.Session, verifier: newVerifier(o.Hashing), throttle: newThrottle()}
}

// SignIn checks a name (or e-mail address) and password and begins a session.
// The cookie is the session's secret, shown only here. Errors:
// fault.Unauthenticated, the same whether name or password is wrong, and
// fault.TooMany with a *Backoff in its chain.
func (d *Door) SignIn(ctx context.Context, login, password string, c Client) (u User, s Session, cookie string, err error) {
	now := time.Now()
	login = strings.ToLower(strings.TrimSpace(login))
	if len(login) > 320 { // the longest e-mail address, RFC 3696 erratum 1690
		login = login[:320]
	}
	byLogin, byRemote := "login "+login, "remote "+c.Remote
	// A name is charged before its password is looked at, so that guesses made at
	// once do not all get through.
	wait := d.throttle.wait(now, byRemote)
	if wait <= 0 {
		wait = d.throttle.charge(now, byLogin, loginFree)
	}
	if wait > 0 {
		return User{}, Session{}, "", fault.Wrap(fault.TooMany, &Backoff{RetryAfter: wait},
			"Too many attempts to sign in. Wait a moment, then try again.")
	}
	u, ok, err := d.find(ctx, login, password)
	if err != nil {
		d.throttle.refund(byLogin)
		return User{}, Session{}, "", err
	}
	if !ok {
		d.throttle.charge(now, byRemote, remoteFree)
		return User{}, Session{}, "", fault.New(fault.Unauthenticated, "Name or password is wrong.")
	}
	d.throttle.succeed(byLogin)

	var secret [cookieSize]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	cookie = hex.EncodeToString(secret[:])
	s = Session{
		Hash: hashOf(cookie), User: u.ID, Created: now, Seen: now, Expires: now.Add(d.length),
		Remote: c.Remote, Browser: c.Browser[:min(len(c.Browser), 300)], CSRF: csrfOf(cookie),
	}
	if err := d.store.PutSession(ctx, s); err != nil {
		return User{}, Session{}, "", err
	}
	return u, s, cookie, nil
}

// find returns the one user whom both login and password fit. It takes as long
// for an unknown login as for a known one.
func (d *Door) find(ctx context.Context, login, password string) (User, bool, error) {
	users, err := d.store.UsersByLogin(ctx, login)
	if err != nil {
		return User{}, false, err
	}
	var found User
	n, checked := 0, false
	for _, u := range users {
		if u.Disabled || u.Password == "" {
			continue
		}
		checked = true
		ok, err := d.verifier.check(ctx, password, u.Password)
		if err != nil {
			return User{}, false, err
		}
		if ok {
			found, n = u, n+1
		}
	}
	if !checked {
		_, err = d.verifier.check(ctx, password, "")
	}
	// A name may be used in two accounts; with one password for both, only the
	// address tells them apart.
	return found, n == 1, err
}

// Resume returns the session of a cookie and moves its end;
// fault.Unauthenticated when there is none.
func (d *Door) Resume(ctx context.Context, cookie string) (User, Session, error) {
	signIn := fault.New(fault.Unauthenticated, "Sign in first.")
	if len(cookie) != 2*cookieSize {
		return User{}, Session{}, signIn
	}
	now := time.Now()
	s, u, err := d.store.SessionByHash(ctx, hashOf(cookie), now)
	if fault.KindOf(err) == fault.NotFound && err != nil {
		return User{}, Session{}, signIn
	}
	if err != nil {
		return User{}, Session{}, err
	}
	s.CSRF = csrfOf(cookie)
	if end := now.Add(d.length); end.Sub(s.Expires) >= touchEvery || now.Sub(s.Seen) >= touchEvery {
		if err := d.store.TouchSession(ctx, s.Hash, now, end); err != nil {
			return User{}, Session{}, err
		}
		s.Seen, s.Expires = now, end
	}
	return u, s, nil
}

// SignOut ends the session of a cookie; without one it does nothing.
func (d *Door) SignOut(ctx context.Context, cookie string) error {
	return d.store.DeleteSession(ctx, hashOf(cookie))
}

// SignOutAll ends all sessions of the user.
func (d *Door) SignOutAll(ctx context.Context, user string) error {
	return d.store.DeleteSessionsOf(ctx, user)
}

// Sweep deletes sessions that have ended, every hour until ctx is done. Errors
// go to report, if it is not nil.
func (d *Door) Sweep(ctx context.Context, report func(error)) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if _, err := d.store.SweepSessions(ctx, time.Now()); err != nil && ctx.Err() == nil && report != nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// hashOf is what a session is stored under. The cookie has 256 random bits, so
// a fast hash is enough.
func hashOf(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// csrfOf derives what a session's changing requests must carry. A page that can
// make a browser send the cookie cannot read it, nor this.
func csrfOf(cookie string) string {
	sum := sha256.Sum256([]byte("csrf " + cookie))
	return hex.EncodeToString(sum[:16])
}
