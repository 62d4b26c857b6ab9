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
	store      Store
	staff      *Staff
	account    string
	length     time.Duration
	verifier   *verifier
	throttle   *throttle
	ceremonies *ceremonies
	refusals   *refusals
}

// DoorOptions is how a Door behaves.
type DoorOptions struct {
	Hashing Params        // of the decoy for unknown names: what the users' hashes were made with; zero: DefaultParams
	Session time.Duration // a session ends so long after its last use; 0: SessionLength
	Staff   *Staff        // who writes down what happens and ends devices; nil: nobody
	Account string        // that failed sign-ins of nobody are written down for; "": they are not
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
	if o.Staff == nil {
		o.Staff = NewStaff(StaffOptions{Store: store, Hashing: o.Hashing})
	}
	return &Door{
		store: store, staff: o.Staff, account: o.Account, length: o.Session, verifier: newVerifier(o.Hashing), throttle: newThrottle(),
		ceremonies: newCeremonies(), refusals: newRefusals(),
	}
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
	byLogin := "login " + login
	// A name and an address are charged before the password is looked at, so that
	// guesses made at once do not all get through.
	err = d.mayTry(now, c)
	if err == nil {
		err = tooMany(d.throttle.charge(now, byLogin, loginFree))
	}
	if err == nil {
		if err = tooMany(d.throttle.charge(now, remoteKey(c), remoteFree)); err != nil {
			d.throttle.refund(byLogin)
		}
	}
	if err != nil {
		d.refused(ctx, User{}, methodPassword, "too_many", c)
		return User{}, Session{}, "", err
	}
	u, ok, err := d.find(ctx, login, password)
	if err != nil {
		d.throttle.refund(byLogin)
		d.throttle.refund(remoteKey(c))
		return User{}, Session{}, "", err
	}
	if !ok {
		d.refused(ctx, u, methodPassword, "wrong", c)
		return User{}, Session{}, "", fault.New(fault.Unauthenticated, "Name or password is wrong.")
	}
	d.throttle.succeed(byLogin)
	d.throttle.refund(remoteKey(c)) // what others there did wrong stays
	return d.begin(ctx, u, c, map[string]string{"method": methodPassword})
}

// The ways to sign in, as the audit log names them.
const (
	methodPassword = "password"
	methodPasskey  = "passkey"
	methodOIDC     = "oidc"
)

func remoteKey(c Client) string { return "remote " + network(c.Remote) }

// mayTry says whether the client's address has to wait: fault.TooMany, or nil.
func (d *Door) mayTry(now time.Time, c Client) error {
	return tooMany(d.throttle.wait(now, remoteKey(c)))
}

func tooMany(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return fault.Wrap(fault.TooMany, &Backoff{RetryAfter: wait}, "Too many attempts to sign in. Wait a moment, then try again.")
}

// begin begins a session. The detail tells the audit log how the user signed in.
func (d *Door) begin(ctx context.Context, u User, c Client, detail map[string]string) (User, Session, string, error) {
	now := time.Now()
	var secret [cookieSize]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	cookie := hex.EncodeToString(secret[:])
	s := Session{
		Hash: hashOf(cookie), User: u.ID, Created: now, Seen: now, Expires: now.Add(d.length),
		Remote: c.Remote, Browser: c.Browser[:min(len(c.Browser), 300)], CSRF: csrfOf(cookie),
	}
	if err := d.store.PutSession(ctx, s); err != nil {
		return User{}, Session{}, "", err
	}
	detail["session"], detail["browser"] = s.ID(), s.Browser
	d.staff.note(ctx, u.ActorFrom(c), u.Account, SessionBegin, u.Name, detail)
	return u, s, cookie, nil
}

// refused writes down that a sign-in failed; u is whom it was for, zero for
// nobody known.
func (d *Door) refused(ctx context.Context, u User, method, reason string, c Client) {
	one := refusal{account: u.Account, target: u.Name, method: method, reason: reason, remote: network(c.Remote)}
	if one.account == "" {
		one.account = d.account
	}
	if one.account != "" && d.refusals.take(one) {
		d.staff.o.Audit.Record(ctx, one.entry(1))
	}
}

// find returns the one user whom both login and password fit; when they do not,
// ok is false and the user the one whose login it is, if that is one. It takes as
// long for an unknown login as for a known one.
func (d *Door) find(ctx context.Context, login, password string) (User, bool, error) {
	users, err := d.store.UsersByLogin(ctx, login)
	if err != nil {
		return User{}, false, err
	}
	var found User
	n, checked := 0, false
	if len(users) == 1 {
		found = users[0] // who is meant, whether it is them or not
	}
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

// SignOut ends the user's session.
func (d *Door) SignOut(ctx context.Context, by Actor, u User, s Session) error {
	if err := d.store.DeleteSession(ctx, s.Hash); err != nil {
		return err
	}
	d.staff.note(ctx, by, u.Account, SessionEnd, u.Name, map[string]string{"session": s.ID()})
	return nil
}

// Sessions returns the user's sessions, the last used first.
func (d *Door) Sessions(ctx context.Context, user string) ([]Session, error) {
	return d.store.SessionsOf(ctx, user, time.Now())
}

// EndSession ends the user's session with the id, and returns it; fault.NotFound
// when there is none.
func (d *Door) EndSession(ctx context.Context, by Actor, u User, id string) (Session, error) {
	all, err := d.Sessions(ctx, u.ID)
	if err != nil {
		return Session{}, err
	}
	for _, s := range all {
		if s.ID() == id {
			return s, d.SignOut(ctx, by, u, s)
		}
	}
	return Session{}, fault.New(fault.NotFound, "There is no such session.")
}

// ChangePassword gives the user a new password. The present one must be shown,
// with the same limits as at sign-in. All other sessions end, and the devices.
func (d *Door) ChangePassword(ctx context.Context, by Actor, u User, s Session, current, password string, c Client) error {
	if u.Password == "" {
		return fault.New(fault.Conflict, "You have no password here: you sign in through your company. An admin can give you one.")
	}
	if err := CheckPassword(password); err != nil {
		return err
	}
	now, key := time.Now(), "user "+u.ID
	err := d.mayTry(now, c)
	if err == nil {
		err = tooMany(d.throttle.charge(now, key, loginFree))
	}
	if err != nil {
		return err
	}
	ok, err := d.verifier.check(ctx, current, u.Password)
	if err != nil {
		d.throttle.refund(key)
		return err
	}
	if !ok {
		d.throttle.charge(now, remoteKey(c), remoteFree)
		d.refused(ctx, u, methodPassword, "wrong_at_change", c)
		return fault.New(fault.Invalid, "The present password is wrong.")
	}
	d.throttle.succeed(key)
	phc, checked := Hash(password, d.staff.o.Hashing), u.Password
	if _, _, err := d.store.ChangeUser(ctx, u.ID, func(now *User, _ int) error {
		if now.Password != checked {
			return fault.New(fault.Conflict, "The password was changed a moment ago, elsewhere.")
		}
		now.Password = phc
		return nil
	}); err != nil {
		return err
	}
	d.staff.note(ctx, by, u.Account, PasswordChange, u.Name, map[string]string{"id": u.ID})
	err = d.store.DeleteSessionsBut(ctx, u.ID, s.Hash)
	if err == nil {
		err = d.staff.revoke(ctx, by, u, "new password")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The password was changed, but other sessions or devices could not all be ended. Change it again.")
	}
	return nil
}

// ActorFrom returns the user as who acts from there.
func (u User) ActorFrom(c Client) Actor {
	return Actor{Kind: ByPerson, ID: u.ID, Name: u.Name, Remote: c.Remote}
}

// Sweep deletes sessions that have ended, every hour, and writes down failed
// sign-ins that were counted, every minute, until ctx is done. Errors go to
// report, if it is not nil.
func (d *Door) Sweep(ctx context.Context, report func(error)) {
	tick := time.NewTicker(refusalWindow)
	defer tick.Stop()
	var swept time.Time
	for {
		if now := time.Now(); now.Sub(swept) >= time.Hour {
			swept = now
			if _, err := d.store.SweepSessions(ctx, now); err != nil && ctx.Err() == nil && report != nil {
				report(err)
			}
		}
		select {
		case <-ctx.Done():
			d.flush(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			d.flush(ctx)
		}
	}
}

func (d *Door) flush(ctx context.Context) {
	for _, line := range d.refusals.flush() {
		d.staff.o.Audit.Record(ctx, line)
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
