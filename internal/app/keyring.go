package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/token"
)

// openKeys reads what devices and programs are let in by.
func (n *Node) openKeys(ctx context.Context) (err error) {
	n.keys, err = keyring.Open(ctx, keyring.Options{
		Store: n.store, Health: n.health, Log: n.log.With("part", "keyring"), Metrics: n.metrics, Client: n.o.IssuerClient,
	})
	return err
}

// verifier is what checks devices' tokens.
func (n *Node) verifier() sdk.Verifier {
	var v sdk.Verifier = token.NewVerifier(n.keys, n.keys, time.Now)
	if n.o.WrapVerifier != nil {
		v = n.o.WrapVerifier(v)
	}
	return v
}

// countUses tells the key ring who came by which way until ctx is done.
func (n *Node) countUses(ctx context.Context) error {
	seen := n.events.Subscribe(4096)
	defer seen.Cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-seen.Events():
			if r, ok := e.(event.Registration); ok {
				n.keys.Take(r)
			}
		}
	}
}

// RevokeIdentity ends the devices of an identity and refuses the tokens that
// they have; those issued from the next second on are accepted. As after a new
// password, or when somebody is shut out.
func (n *Node) RevokeIdentity(ctx context.Context, account, identity, by, reason string) error {
	return revokeIdentity(ctx, n.keys, account, identity, by, reason)
}

func revokeIdentity(ctx context.Context, ring *keyring.Ring, account, identity, by, reason string) error {
	if identity == "" {
		return nil // a person without devices
	}
	_, err := ring.Revoke(ctx, keyring.Revocation{
		Account: account, Of: keyring.OfIdentity, Value: identity, By: by, Reason: reason,
	})
	return err
}

// outgoingApp is the application that an account's own devices call by.
func outgoingApp(account string) string { return "AP" + strings.TrimPrefix(account, "AC") }

// demoKey is the name of the key that a demo hands out.
const demoKey = "demo"

// ensureDemoKey returns the bearer of the demo's key: the one of before as long
// as it is good, else a new one in its place.
func ensureDemoKey(ctx context.Context, ring *keyring.Ring, account, before string) (string, error) {
	if k, ok := ring.ByBearer(before); ok && k.Account == account && k.Role == keyring.RoleAdmin {
		return before, nil
	}
	all := ring.Keys(account)
	old := slices.IndexFunc(all, func(k keyring.Key) bool {
		return k.Name == demoKey && k.Role == keyring.RoleAdmin && k.Revoked.IsZero() && k.Successor == ""
	})
	var k keyring.Key
	var err error
	if old >= 0 {
		k, err = ring.RotateKey(ctx, account, all[old].ID, 0)
	} else {
		k, err = ring.AddKey(ctx, keyring.Key{Account: account, Name: demoKey, Role: keyring.RoleAdmin})
	}
	return k.Bearer(), err
}
