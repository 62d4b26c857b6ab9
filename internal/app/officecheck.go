package app

import (
	"context"
	"fmt"
	"time"

	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/check"
)

// maxCheckTickets bounds how many tickets a check issues: each is written to the
// database.
const maxCheckTickets = 200

// CheckSource returns what a check of tokens needs to mint with every key of the
// account that can sign here and now, and what it cannot check, in words. Its
// verifier judges as the node does.
func (o *Office) CheckSource(ctx context.Context) (check.Source, []string, error) {
	contents, err := o.store.Ring(ctx)
	if err != nil {
		return check.Source{}, nil, err
	}
	now := time.Now()
	s := check.Source{Verifier: o.Verifier(), Account: o.account.ID, App: o.OutgoingApp(), MaxTickets: maxCheckTickets}
	var left []string
	open := map[token.Kind]bool{}
	for _, w := range o.keys.Ways(o.account.ID) {
		if open[w.Kind] = w.Open; !w.Open {
			left = append(left, fmt.Sprintf("not checked: %s, which the account has closed", w.Kind))
		}
	}
	for _, k := range contents.Keys {
		if k.Account != o.account.ID || !open[token.Access] {
			continue
		}
		switch state := k.State(now); {
		case state != "active" && state != "retiring":
			left = append(left, fmt.Sprintf("not checked: the key %s, which is %s", k.ID, state))
		case len(k.Secret) == 0:
			left = append(left, fmt.Sprintf("not checked: the key %s, whose private half is elsewhere", k.ID))
		default:
			s.Keys = append(s.Keys, check.Key{Kind: token.Access, Account: k.Account, ID: k.ID, Algorithm: k.Algorithm, Secret: k.Secret})
		}
	}
	for _, a := range contents.AuthTokens {
		if state := a.State(now); a.Account == o.account.ID && open[token.Capability] && (state == "active" || state == "retiring") {
			s.Keys = append(s.Keys, check.Key{Kind: token.Capability, Account: a.Account, ID: a.ID, Algorithm: token.HS256, Secret: a.Secret})
		}
	}
	if open[token.Ticket] {
		s.Tickets = ticketsFor{o.keys}
	}
	return s, left, nil
}

type ticketsFor struct{ ring *keyring.Ring }

// Issue implements check.Tickets.
func (t ticketsFor) Issue(ctx context.Context, account, identity string) (string, error) {
	text, _, err := t.ring.IssueTicket(ctx, keyring.TicketGrant{Account: account, Identity: identity, Incoming: true, TTL: keyring.MaxTicketTTL})
	return text, err
}
