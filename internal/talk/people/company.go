package people

import (
	"context"
	"errors"
	"strings"
	"time"

	"dialtone/internal/fault"
)

// Assertion is what a company's identity provider vouches for. Whoever makes one
// has checked signature, issuer, audience, nonce and time.
type Assertion struct {
	Account  string // that the provider's people belong to
	Provider string // its id in the configuration, for the audit log
	Issuer   string
	Subject  string
	Email    string // "" when the provider tells none
	Verified bool   // the provider has checked the address
	Name     string // as shown to others
	Role     Role   // "": the provider does not decide it
	Create   bool   // somebody unknown is added, as an agent unless Role says otherwise
}

// Problem is why a sign-in by a company came to nothing; the sign-in page shows
// a sentence for each.
type Problem string

// The problems.
const (
	ProblemUnavailable Problem = "oidc_unavailable" // the provider, or our own store, cannot be reached
	ProblemExpired     Problem = "oidc_expired"     // not begun in this browser, too long ago, or finished before
	ProblemRefused     Problem = "oidc_refused"     // the provider said no, or what it said does not hold
	ProblemUnverified  Problem = "oidc_unverified"  // the provider has not checked the e-mail address
	ProblemUnknown     Problem = "oidc_unknown"     // nobody here has the address, or its domain is not let in
	ProblemConflict    Problem = "oidc_conflict"    // the address is somebody's who is another person at the provider
	ProblemDisabled    Problem = "oidc_disabled"
)

// Refused is the error of a sign-in by a company.
type Refused struct {
	Problem Problem
	Cause   error // for the log; may be nil
}

// Error implements error.
func (r *Refused) Error() string {
	if r.Cause == nil {
		return string(r.Problem)
	}
	return string(r.Problem) + ": " + r.Cause.Error()
}

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Cause }

// ProblemOf returns what to show of an error of a sign-in by a company.
func ProblemOf(err error) Problem {
	var r *Refused
	if errors.As(err, &r) {
		return r.Problem
	}
	return ProblemUnavailable
}

// SignInAs begins a session for whom a company's identity provider vouches. The
// first time they are found by their verified e-mail address, and bound to the
// provider's own id of them from then on. The error is a *Refused, or a fault
// of the store.
func (d *Door) SignInAs(ctx context.Context, a Assertion, c Client) (User, Session, string, error) {
	u, err := d.whoIs(ctx, a)
	if err == nil && u.Disabled {
		err = &Refused{Problem: ProblemDisabled}
	}
	if err == nil {
		u, err = d.align(ctx, u, a)
	}
	if err != nil {
		var r *Refused
		if errors.As(err, &r) {
			d.RefuseCompany(ctx, u, r.Problem, c)
		}
		return User{}, Session{}, "", err
	}
	return d.begin(ctx, u, c, map[string]string{"method": methodOIDC, "provider": a.Provider})
}

// RefuseCompany writes down that a sign-in by a company failed; u is zero when
// it is not known whose.
func (d *Door) RefuseCompany(ctx context.Context, u User, problem Problem, c Client) {
	d.refused(ctx, u, methodOIDC, string(problem), c)
}

// whoIs finds the user, binding or adding them if need be.
func (d *Door) whoIs(ctx context.Context, a Assertion) (User, error) {
	if a.Issuer == "" || a.Subject == "" {
		return User{}, &Refused{Problem: ProblemRefused}
	}
	u, err := d.store.SubjectUser(ctx, a.Issuer, a.Subject)
	switch {
	case err == nil && u.Account != a.Account:
		return User{}, &Refused{Problem: ProblemUnknown}
	case err == nil || fault.KindOf(err) != fault.NotFound:
		return u, err
	case a.Email == "" || !a.Verified:
		return User{}, &Refused{Problem: ProblemUnverified}
	}
	found, err := d.store.UsersByLogin(ctx, a.Email)
	if err != nil {
		return User{}, err
	}
	for _, one := range found {
		if strings.EqualFold(one.Email, a.Email) && one.Account == a.Account {
			return one, d.bind(ctx, one, a)
		}
	}
	if !a.Create {
		return User{}, &Refused{Problem: ProblemUnknown}
	}
	return d.admit(ctx, a)
}

// bind makes the provider's id of the user the one that counts.
func (d *Door) bind(ctx context.Context, u User, a Assertion) error {
	if u.Disabled {
		return nil // not let in, so nothing to bind
	}
	err := d.store.AddSubject(ctx, Subject{Issuer: a.Issuer, Subject: a.Subject, User: u.ID, Created: time.Now().UTC()})
	if err != nil && fault.KindOf(err) == fault.Conflict {
		return &Refused{Problem: ProblemConflict, Cause: err}
	}
	if err == nil {
		d.staff.note(ctx, byProvider(a), u.Account, UserChange, u.Name, map[string]string{"id": u.ID, "sso": a.Provider})
	}
	return err
}

// admit adds somebody whom only the provider knows. They have no password.
func (d *Door) admit(ctx context.Context, a Assertion) (User, error) {
	role := a.Role
	if role == "" {
		role = Agent
	}
	name := strings.TrimSpace(a.Name)
	if name == "" || strings.Contains(name, "@") {
		name = a.Email
	}
	u, err := d.staff.add(ctx, a.Account, NewUser{Name: name, Email: a.Email, Role: role}, "")
	if kind := fault.KindOf(err); err != nil && (kind == fault.Conflict || kind == fault.Invalid) && name != a.Email {
		// Two people may be called Ann Smith; the address is theirs alone.
		u, err = d.staff.add(ctx, a.Account, NewUser{Name: a.Email, Email: a.Email, Role: role}, "")
	}
	if err != nil {
		if kind := fault.KindOf(err); kind == fault.Conflict || kind == fault.Invalid {
			return User{}, &Refused{Problem: ProblemConflict, Cause: err}
		}
		return User{}, err
	}
	d.staff.note(ctx, byProvider(a), u.Account, UserAdd, u.Name,
		map[string]string{"id": u.ID, "role": string(u.Role), "identity": u.Identity, "sso": a.Provider})
	return u, d.bind(ctx, u, a)
}

// align gives the user the role that the provider decides, except that the last
// admin stays one.
func (d *Door) align(ctx context.Context, u User, a Assertion) (User, error) {
	if a.Role == "" || a.Role == u.Role {
		return u, nil
	}
	after, err := d.staff.Change(ctx, byProvider(a), u.Account, u.ID, Change{Role: &a.Role})
	if err != nil && fault.KindOf(err) == fault.Conflict {
		return u, nil
	}
	return after, err
}

func byProvider(a Assertion) Actor { return Actor{Kind: BySystem, Name: "oidc " + a.Provider} }
