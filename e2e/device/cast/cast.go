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
	"dialtone/internal/voice/token"
)

// Cast is who plays.
type Cast struct {
	Account string
	Line    string   // E.164
	Agents  []string // identities: those of the demo first
	key     people.APIKey
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
	c = Cast{Account: demo.Account.ID, Line: demo.Line.Number, Agents: []string{"alice", "bob"}, key: demo.Key}
	line := demo.Line
	for i := len(c.Agents); i < agents; i++ {
		name := fmt.Sprintf("agent%d", i)
		u := people.User{
			ID: talk.NewID("US"), Account: c.Account, Name: name, Email: name + "@demo.example",
			Role: people.Agent, Identity: name, Created: time.Now(),
		}
		if err := store.PutUser(ctx, u); err != nil {
			return Cast{}, err
		}
		line.Agents, c.Agents = append(line.Agents, u.ID), append(c.Agents, name)
	}
	return c, store.PutLine(ctx, line)
}

// Token mints an access token that is valid from at on: for the past, an expired one.
func (c Cast) Token(identity string, ttl time.Duration, at time.Time) (string, error) {
	return c.minter(c.key.Secret).MintAccess(token.AccessGrant{Identity: identity, TTL: ttl, Incoming: true, OutgoingApp: App}, at)
}

// Forged mints a token with another secret than the account's.
func (c Cast) Forged(identity string) (string, error) {
	return c.minter(people.NewSecret()).MintAccess(token.AccessGrant{Identity: identity, Incoming: true, OutgoingApp: App}, time.Now())
}

func (c Cast) minter(secret []byte) *token.Minter {
	return token.NewMinter(token.Signer{Account: c.Account, KeyID: c.key.ID, Secret: secret})
}
