package people

import (
	"context"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dialtone/internal/fault"
)

// Staff administers the people of accounts. Whether who asks may do so is the
// caller's to decide; that an account keeps an admin, and that nobody shuts
// themselves out, is decided here. Each change leaves a line in the audit log.
type Staff struct{ o StaffOptions }

// StaffOptions is what a Staff works with.
type StaffOptions struct {
	Store   Store
	Audit   Audit  // nil: nothing is written down
	Hashing Params // of new passwords; zero: DefaultParams

	// RevokeIdentity ends the devices of an identity and refuses its present tokens;
	// by is shown to others. nil: nothing.
	RevokeIdentity func(ctx context.Context, account, identity, by, reason string) error
	// Changed is told after who there is has changed. It must not block. nil: nobody.
	Changed func()
}

// NewStaff returns the staff of the store.
func NewStaff(o StaffOptions) *Staff {
	if o.Hashing == (Params{}) {
		o.Hashing = DefaultParams
	}
	if o.Audit == nil {
		o.Audit = nowhere{}
	}
	return &Staff{o: o}
}

// NewUser is somebody to be added.
type NewUser struct {
	Name     string
	Email    string // "" for none
	Role     Role
	Identity string // "": made of the name
	Password string // "": a random one
}

// Change is what is to be changed of somebody; nil stays.
type Change struct {
	Name, Email *string
	Role        *Role
	Disabled    *bool
}

// List returns the account's people in the order they were added.
func (s *Staff) List(ctx context.Context, account string) ([]Listing, error) {
	return s.o.Store.ListUsers(ctx, account)
}

// User returns somebody of the account; fault.NotFound for those of others.
func (s *Staff) User(ctx context.Context, account, id string) (User, error) {
	u, err := s.o.Store.User(ctx, id)
	if err == nil && u.Account != account {
		return User{}, fault.New(fault.NotFound, "There is no such user.")
	}
	return u, err
}

// Add adds somebody, who can sign in with the password from now on. Errors:
// fault.Invalid, and fault.Conflict when somebody has the name, the e-mail
// address or the identity.
func (s *Staff) Add(ctx context.Context, by Actor, account string, n NewUser) (u User, password string, err error) {
	if password = n.Password; password == "" {
		password = RandomPassword()
	} else if err := CheckPassword(password); err != nil {
		return User{}, "", err
	}
	if u, err = s.add(ctx, account, n, Hash(password, s.o.Hashing)); err != nil {
		return User{}, "", err
	}
	s.note(ctx, by, account, UserAdd, u.Name, map[string]string{"id": u.ID, "role": string(u.Role), "identity": u.Identity})
	return u, password, nil
}

func (s *Staff) add(ctx context.Context, account string, n NewUser, phc string) (User, error) {
	if n.Identity == "" {
		n.Identity = identityOf(n.Name)
	}
	u := User{
		ID: newID("US"), Account: account, Name: strings.TrimSpace(n.Name), Email: strings.TrimSpace(n.Email), Role: n.Role,
		Identity: n.Identity, Password: phc, Created: now(),
	}
	if err := check(u); err != nil {
		return User{}, err
	}
	if err := s.o.Store.PutUser(ctx, u); err != nil {
		return User{}, err
	}
	s.changed()
	return u, nil
}

// Change changes somebody. Disabling ends their sessions and devices, also when
// they were disabled before. Errors besides those of Add: fault.NotFound, and
// fault.Conflict when the account would be left without an admin or somebody
// disables themselves.
func (s *Staff) Change(ctx context.Context, by Actor, account, id string, change Change) (User, error) {
	before, after, err := s.o.Store.ChangeUser(ctx, id, func(u *User, otherAdmins int) error {
		if u.Account != account {
			return fault.New(fault.NotFound, "There is no such user.")
		}
		return change.apply(u, by, otherAdmins)
	})
	if err != nil {
		return User{}, err
	}
	s.changed()
	if detail := difference(before, after); len(detail) > 0 {
		detail["id"] = id
		s.note(ctx, by, account, UserChange, after.Name, detail)
	}
	if change.Disabled != nil && *change.Disabled {
		if err := s.shutOut(ctx, by, after, "disabled"); err != nil {
			return User{}, fault.Wrap(fault.Unavailable, err,
				after.Name+" is disabled, but sessions or devices could not all be ended. Do it again.")
		}
	}
	return after, nil
}

// apply changes the user, or says why not.
func (c Change) apply(u *User, by Actor, otherAdmins int) error {
	last := u.Role == Admin && !u.Disabled && otherAdmins == 0
	if c.Disabled != nil && *c.Disabled {
		if by.ID != "" && by.ID == u.ID {
			return fault.New(fault.Conflict, "Nobody disables themselves. Ask another admin.")
		}
		if last {
			return fault.New(fault.Conflict, "%s is the last admin. Make somebody else an admin first, then disable %s.", u.Name, u.Name)
		}
	}
	if c.Role != nil && *c.Role != Admin && last {
		return fault.New(fault.Conflict, "%s is the last admin. Make somebody else an admin first, then change the role of %s.", u.Name, u.Name)
	}
	if c.Name != nil {
		u.Name = strings.TrimSpace(*c.Name)
	}
	if c.Email != nil {
		u.Email = strings.TrimSpace(*c.Email)
	}
	if c.Role != nil {
		u.Role = *c.Role
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	if !u.Role.Valid() {
		return errRole
	}
	if c.Name != nil || c.Email != nil {
		return check(*u) // not otherwise: who was added under older rules can be disabled, too
	}
	return nil
}

func difference(before, after User) map[string]string {
	detail := map[string]string{}
	for name, pair := range map[string][2]string{
		"name":     {before.Name, after.Name},
		"email":    {before.Email, after.Email},
		"role":     {string(before.Role), string(after.Role)},
		"disabled": {strconv.FormatBool(before.Disabled), strconv.FormatBool(after.Disabled)},
	} {
		if pair[0] != pair[1] {
			detail[name], detail[name+"_before"] = pair[1], pair[0]
		}
	}
	return detail
}

// ResetPassword gives somebody a new random password, ends their sessions and
// their devices.
func (s *Staff) ResetPassword(ctx context.Context, by Actor, account, id string) (password string, err error) {
	password = RandomPassword()
	return password, s.SetPassword(ctx, by, account, id, password)
}

// SetPassword is ResetPassword with a password that somebody chose.
func (s *Staff) SetPassword(ctx context.Context, by Actor, account, id, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	phc := Hash(password, s.o.Hashing)
	_, u, err := s.o.Store.ChangeUser(ctx, id, func(u *User, _ int) error {
		if u.Account != account {
			return fault.New(fault.NotFound, "There is no such user.")
		}
		u.Password = phc
		return nil
	})
	if err != nil {
		return err
	}
	s.note(ctx, by, account, PasswordReset, u.Name, map[string]string{"id": u.ID})
	if err := s.shutOut(ctx, by, u, "new password"); err != nil {
		return fault.Wrap(fault.Unavailable, err,
			"The password of "+u.Name+" was changed, but sessions or devices could not all be ended. Do it again.")
	}
	return nil
}

// SignOut ends the sessions of somebody; devices end when their tokens do.
func (s *Staff) SignOut(ctx context.Context, by Actor, account, id string) error {
	u, err := s.User(ctx, account, id)
	if err != nil {
		return err
	}
	if err := s.o.Store.DeleteSessionsOf(ctx, id); err != nil {
		return err
	}
	s.note(ctx, by, account, SessionEnd, u.Name, map[string]string{"id": u.ID, "sessions": "all"})
	return nil
}

// RemovePasskeys removes all passkeys of somebody, who may have lost a device.
func (s *Staff) RemovePasskeys(ctx context.Context, by Actor, account, id string) error {
	u, err := s.User(ctx, account, id)
	if err != nil {
		return err
	}
	keys, err := s.o.Store.Passkeys(ctx, id)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := s.o.Store.DeletePasskey(ctx, id, k.ID); err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
		s.note(ctx, by, account, PasskeyRemove, u.Name, map[string]string{"id": u.ID, "passkey": k.Name})
	}
	return nil
}

// shutOut ends the sessions and devices of somebody.
func (s *Staff) shutOut(ctx context.Context, by Actor, u User, reason string) error {
	if err := s.o.Store.DeleteSessionsOf(ctx, u.ID); err != nil {
		return err
	}
	return s.revoke(ctx, by, u, reason)
}

func (s *Staff) revoke(ctx context.Context, by Actor, u User, reason string) error {
	if s.o.RevokeIdentity == nil || u.Identity == "" {
		return nil
	}
	return s.o.RevokeIdentity(ctx, u.Account, u.Identity, by.Name, reason)
}

func (s *Staff) changed() {
	if s.o.Changed != nil {
		s.o.Changed()
	}
}

// note writes a line of the audit log, whose Record says what becomes of one
// that cannot be written.
func (s *Staff) note(ctx context.Context, by Actor, account, act, target string, detail map[string]string) {
	s.o.Audit.Record(ctx, by.Entry(account, act, target, detail))
}

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

const (
	longestName     = 80  // characters
	longestEmail    = 254 // bytes, RFC 5321 section 4.5.3.1.3 as corrected by erratum 1690
	longestIdentity = 121 // characters; what the devices' protocol takes
)

var errRole = fault.New(fault.Invalid, "The role is admin, team_lead or agent.")

// check says what is wrong with a user.
func check(u User) error {
	switch {
	case u.Name == "":
		return fault.New(fault.Invalid, "A user needs a name.")
	case utf8.RuneCountInString(u.Name) > longestName || !printable(u.Name):
		return fault.New(fault.Invalid, "A name has at most %d characters, all of them printable.", longestName)
	case strings.Contains(u.Name, "@") && !strings.EqualFold(u.Name, u.Email):
		// It would sign in, or fail to, in the name of whose address it is.
		return fault.New(fault.Invalid, "A name holds no @, unless it is the user's own e-mail address.")
	case !u.Role.Valid():
		return errRole
	case utf8.RuneCountInString(u.Identity) > longestIdentity || !printable(u.Identity):
		return fault.New(fault.Invalid, "An identity has at most %d characters, all of them printable.", longestIdentity)
	}
	return CheckEmail(u.Email)
}

// CheckEmail says what is wrong with an e-mail address; none is fine.
func CheckEmail(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > longestEmail || !printable(address) || strings.ContainsAny(address, " \"") {
		return fault.New(fault.Invalid, "This is no e-mail address: write it as ann@example.com, without a name or brackets.")
	}
	if domain := DomainOf(address); domain == "" || strings.HasPrefix(domain, "[") {
		return fault.New(fault.Invalid, "This is no e-mail address: write it as ann@example.com.")
	}
	return nil
}

// DomainOf returns what follows the last @ of an address, in small letters.
func DomainOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	return strings.ToLower(address[at+1:])
}

func printable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// identityOf makes the identity of somebody's devices from their name.
func identityOf(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), "-"))
}
