package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nyaruka/phonenumbers"

	"dialtone/internal/talk"
)

// directory is the account that this node serves, as it was at the start.
type directory struct {
	account talk.Account
	line    talk.LineSettings // the first one; zero without lines
}

// Account returns the account with the id.
func (d directory) Account(id string) (talk.Account, bool) {
	return d.account, id == d.account.ID
}

// openAccount makes sure that the account, its keys and the configured lines exist.
func (n *Node) openAccount(ctx context.Context) error {
	if err := n.openKeys(ctx); err != nil {
		return err
	}
	if n.o.Config.Demo {
		if err := n.seedDemo(ctx); err != nil {
			return err
		}
	} else if err := n.ensureAccount(ctx); err != nil {
		return err
	}
	if err := n.keys.Ensure(ctx, n.directory.account.ID); err != nil {
		return err
	}
	lines, err := n.store.Lines(ctx)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.Account != n.directory.account.ID {
			continue
		}
		if l.Ring != n.o.Config.Calls.OfferFor {
			l.Ring = n.o.Config.Calls.OfferFor
			if err := n.store.PutLine(ctx, l); err != nil {
				return err
			}
		}
		if n.directory.line.ID == "" {
			n.directory.line = l
		}
	}
	return nil
}

// ensureAccount takes the configured account's settings into the store.
func (n *Node) ensureAccount(ctx context.Context) error {
	account, err := EnsureAccount(ctx, n.store, n.o.Config.Account.Name, n.o.Config.Account.TimeZone)
	if err != nil {
		return err
	}
	kept, err := n.store.Lines(ctx)
	if err != nil {
		return err
	}
	for i, configured := range n.o.Config.Lines {
		line := talk.LineSettings{ID: talk.NewID("PN"), Account: account.ID, Voicemail: true, Created: time.Now().UTC()}
		if at := slices.IndexFunc(kept, func(l talk.LineSettings) bool { return l.Number == configured.Number }); at >= 0 {
			line = kept[at]
		}
		line.Number, line.Name, line.Countries = configured.Number, configured.Name, configured.Countries
		if err := n.store.PutLine(ctx, line); err != nil {
			return fmt.Errorf("line %s: %w", configured.Name, err)
		}
		if i == 0 && account.Country == "" {
			account.Country = countryOf(configured.Number)
			if err := n.store.PutAccount(ctx, account); err != nil {
				return err
			}
		}
	}
	n.directory.account = account
	return nil
}

// EnsureAccount returns the account of the name; the first account of a store is
// made.
func EnsureAccount(ctx context.Context, store talk.Store, name, zone string) (talk.Account, error) {
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return talk.Account{}, err
	}
	account := talk.Account{ID: talk.NewID("AC"), Created: time.Now().UTC()}
	switch at := slices.IndexFunc(accounts, func(a talk.Account) bool { return a.Name == name }); {
	case at >= 0:
		account = accounts[at]
	case len(accounts) == 1: // it was renamed
		account = accounts[0]
	}
	if account.Name != name || account.TimeZone != zone {
		account.Name, account.TimeZone = name, zone
		if err := store.PutAccount(ctx, account); err != nil {
			return talk.Account{}, err
		}
	}
	return account, nil
}

// countryOf returns the country of a number, "US" when it cannot be told.
func countryOf(number string) string {
	parsed, err := phonenumbers.Parse(number, "")
	if err != nil {
		return "US"
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); region != "" {
		return region
	}
	return "US"
}
