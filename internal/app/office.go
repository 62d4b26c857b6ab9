package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dialtone/internal/config"
	"dialtone/internal/fault"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// Office is a data directory that a command works in, beside a node or without
// one. What it changes, a running node sees a few seconds later.
type Office struct {
	store   *sqlite.Store
	account talk.Account
	keys    *keyring.Ring
}

// OpenOffice opens the data directory of the configuration and its account.
// Only with create are a missing database and account made; else that is
// fault.NotFound.
func OpenOffice(ctx context.Context, c config.Config, create bool) (o *Office, err error) {
	if !create {
		if _, err := os.Stat(filepath.Join(c.DataDir, sqlite.FileName)); errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "no node has run in %s yet; is this the right --data-dir?", c.DataDir)
		}
	}
	o = &Office{}
	if o.store, err = sqlite.Open(ctx, c.DataDir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.store.Close())
		}
	}()
	if o.account, err = officeAccount(ctx, o.store, c.Account, create); err != nil {
		return nil, err
	}
	o.keys, err = keyring.Open(ctx, keyring.Options{Store: o.store})
	return o, err
}

// officeAccount finds the account without renaming it, as a start would: a
// command may not know the node's configuration.
func officeAccount(ctx context.Context, store talk.Store, c config.Account, create bool) (talk.Account, error) {
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return talk.Account{}, err
	}
	named := slices.IndexFunc(accounts, func(a talk.Account) bool { return a.Name == c.Name })
	switch {
	case named >= 0:
		return accounts[named], nil
	case len(accounts) == 1:
		return accounts[0], nil
	case len(accounts) > 1:
		return talk.Account{}, fault.New(fault.Invalid, "there are %d accounts and none is called %q; name one in account.name", len(accounts), c.Name)
	case create:
		return EnsureAccount(ctx, store, c.Name, c.TimeZone)
	}
	return talk.Account{}, fault.New(fault.NotFound, "there is no account yet; start the node once")
}

// Close closes the database.
func (o *Office) Close() error { return o.store.Close() }

// Ring returns what devices and programs are let in by. It is as it was when the
// office was opened, and as the office changes it.
func (o *Office) Ring() *keyring.Ring { return o.keys }

// Account returns the id of the office's account.
func (o *Office) Account() string { return o.account.ID }

// Verifier returns what checks tokens as the node does. Its Verify uses tickets up.
func (o *Office) Verifier() *token.Verifier { return token.NewVerifier(o.keys, o.keys, time.Now) }

// Minter returns what signs the account's tokens; fault.Unavailable before the
// node's first start, which makes the keys.
func (o *Office) Minter() (*token.Minter, error) {
	signer, err := o.keys.Signer(o.account.ID)
	if err != nil {
		return nil, err
	}
	return token.NewMinter(signer), nil
}

// OutgoingApp returns the application whose calls the account's lines carry.
func (o *Office) OutgoingApp() string { return outgoingApp(o.account.ID) }

// Users returns the people of the account in the order they were added.
func (o *Office) Users(ctx context.Context) ([]people.User, error) {
	all, err := o.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(u people.User) bool { return u.Account != o.account.ID }), nil
}

// AddUser adds a person with the name, e-mail address, role and identity of u,
// who signs in with the password.
func (o *Office) AddUser(ctx context.Context, u people.User, password string) error {
	if err := people.CheckPassword(password); err != nil {
		return err
	}
	_, _, err := o.staff().Add(ctx, commander(), o.account.ID, people.NewUser{
		Name: u.Name, Email: u.Email, Role: u.Role, Identity: u.Identity, Password: password,
	})
	return err
}

// SetPassword gives the person a new password and ends their sessions and
// devices. The login is a name or an e-mail address; fault.NotFound when nobody
// has it.
func (o *Office) SetPassword(ctx context.Context, login, password string) error {
	found, err := o.store.UsersByLogin(ctx, login)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(u people.User) bool { return u.Account != o.account.ID })
	if len(found) != 1 {
		return fault.New(fault.NotFound, "nobody is called %s (see dialtone user list)", login)
	}
	return o.staff().SetPassword(ctx, commander(), o.account.ID, found[0].ID, password)
}

// staff administers the people; what it does is written in the audit log.
func (o *Office) staff() *people.Staff {
	return people.NewStaff(people.StaffOptions{
		Store: o.store, Audit: people.NewRecorder(o.store, nil, slog.Default()),
		RevokeIdentity: func(ctx context.Context, account, identity, by, reason string) error {
			return revokeIdentity(ctx, o.keys, account, identity, by, reason)
		},
	})
}
