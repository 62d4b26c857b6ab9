// Package cast fills a node's data directory with a demo and as many agents as a
// load needs, and mints the tokens of their devices.
//
// It is used before the node starts; a Cast is a plain value afterwards.
package cast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dialtone/internal/store/sqlite"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// Cast is who plays.
type Cast struct {
	Account string
	Line    string   // E.164: rings at the agents
	Mailbox string   // E.164: a line whose only agent is never there: it takes messages
	Agents  []string // identities: those of the demo first
	key     keyring.Key
}

// App is the application that tokens may call with.
const App = "AP00000000000000000000000000000001"

// Seed makes the demo of a data directory and, on its line, agents up to the
// number. Voicemail is as the demo has it.
func Seed(ctx context.Context, dir string, agents int) (c Cast, err error) {
	store, err := sqlite.Open(ctx, dir)
	if err != nil {
		return Cast{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	demo, err := talk.SeedDemo(ctx, store, talk.Demo{})
	if err != nil {
		return Cast{}, err
	}
	c = Cast{Account: demo.Account.ID, Line: demo.Line.Number, Agents: []string{"alice", "bob"}}
	ring, err := keyring.Open(ctx, keyring.Options{Store: store})
	if err != nil {
		return Cast{}, err
	}
	if c.key, err = ring.AddKey(ctx, keyring.Key{Account: c.Account, Name: "cast"}); err != nil {
		return Cast{}, err
	}
	hire := func(name string) (string, error) {
		u := people.User{
			ID: talk.NewID("US"), Account: c.Account, Name: name, Email: name + "@demo.example",
			Role: people.Agent, Identity: name, Created: time.Now(),
		}
		return u.ID, store.PutUser(ctx, u)
	}
	line := demo.Line
	for i := len(c.Agents); i < agents; i++ {
		name := fmt.Sprintf("agent%d", i)
		id, err := hire(name)
		if err != nil {
			return Cast{}, err
		}
		line.Agents, c.Agents = append(line.Agents, id), append(c.Agents, name)
	}
	absent, err := hire("absent")
	if err != nil {
		return Cast{}, err
	}
	mailbox := talk.LineSettings{
		ID: talk.NewID("PN"), Account: c.Account, Number: "+15550198", Name: "Mailbox", Agents: []string{absent},
		Voicemail: true, Created: time.Now(),
	}
	c.Mailbox = mailbox.Number
	return c, errors.Join(store.PutLine(ctx, line), store.PutLine(ctx, mailbox))
}

// Token mints an access token that is valid from at on: for the past, an expired one.
func (c Cast) Token(identity string, ttl time.Duration, at time.Time) (string, error) {
	return c.minter(c.key.Secret).MintAccess(token.AccessGrant{Identity: identity, TTL: ttl, Incoming: true, OutgoingApp: App}, at)
}

// Forged mints a token with another secret than the account's.
func (c Cast) Forged(identity string) (string, error) {
	return c.minter(keyring.NewSecret()).MintAccess(token.AccessGrant{Identity: identity, Incoming: true, OutgoingApp: App}, time.Now())
}

func (c Cast) minter(secret []byte) *token.Minter {
	return token.NewMinter(token.Signer{Account: c.Account, KeyID: c.key.ID, Secret: secret})
}
