package node

import (
	"testing"
	"time"

	"dialtone/internal/app"
	"dialtone/internal/config"
	"dialtone/internal/voice/token"
)

// Token mints a token of an hour for a device, as "dialtone token mint" does.
func (n *Node) Token(t testing.TB, kind token.Kind, identity string) string {
	t.Helper()
	c := config.Default()
	c.DataDir, c.Account.Name = n.Dir, "demo"
	office, err := app.OpenOffice(t.Context(), c, false)
	if err != nil {
		t.Fatal(err)
	}
	defer office.Close()
	minter, err := office.Minter()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	switch kind {
	case token.Access:
		text, err = minter.MintAccess(token.AccessGrant{
			Identity: identity, TTL: time.Hour, Incoming: true, OutgoingApp: office.OutgoingApp(),
		}, time.Now())
	case token.Capability:
		text, err = minter.MintCapability(token.CapabilityGrant{
			ClientName: identity, TTL: time.Hour, Incoming: true, OutgoingApp: office.OutgoingApp(),
		}, time.Now())
	case token.Ticket:
		t.Fatal("tickets are not minted here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}
