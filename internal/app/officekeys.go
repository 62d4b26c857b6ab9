package app

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
)

// Keys returns the account's API keys, the oldest first, without their secrets.
func (o *Office) Keys() []keyring.Key { return o.keys.Keys(o.account.ID) }

// AddKey adds an API key; see keyring.Ring.AddKey. The returned Key holds its secret.
func (o *Office) AddKey(ctx context.Context, name, role, algorithm string, publicKey []byte) (keyring.Key, error) {
	k, err := o.keys.AddKey(ctx, keyring.Key{Account: o.account.ID, Name: name, Role: role, Algorithm: algorithm, PublicKey: publicKey})
	if err == nil {
		o.note(ctx, people.KeyAdd, k.ID, map[string]string{"name": k.Name, "role": k.Role, "algorithm": k.Algorithm})
	}
	return k, err
}

// RotateKey replaces an API key; see keyring.Ring.RotateKey. The returned Key
// holds its secret.
func (o *Office) RotateKey(ctx context.Context, id string, overlap time.Duration) (keyring.Key, error) {
	k, err := o.keys.RotateKey(ctx, o.account.ID, id, overlap)
	if err == nil {
		o.note(ctx, people.KeyRotate, id, map[string]string{
			"name": k.Name, "successor": k.ID, "overlap": strconv.Itoa(int(overlap.Seconds())),
		})
	}
	return k, err
}

// Revoke revokes a key or auth token, a token id or an identity: what v says of
// Of, Value, Forever and Reason. A running node ends the devices within a second.
func (o *Office) Revoke(ctx context.Context, v keyring.Revocation) (keyring.Revocation, error) {
	v.Account, v.By = o.account.ID, commander().Name
	v, err := o.keys.Revoke(ctx, v)
	if err != nil {
		return v, err
	}
	act := people.RevocationAdd
	if v.Of == keyring.OfKey {
		act = people.KeyRevoke
	}
	o.note(ctx, act, v.Value, map[string]string{
		"id": v.ID, "of": v.Of, "forever": strconv.FormatBool(v.Forever), "reason": v.Reason,
	})
	return v, nil
}

// RevokeKey is Revoke of an API key or auth token.
func (o *Office) RevokeKey(ctx context.Context, id, reason string) error {
	_, err := o.Revoke(ctx, keyring.Revocation{Of: keyring.OfKey, Value: id, Reason: reason})
	return err
}

// IssueTicket makes a ticket for the account; see keyring.Ring.IssueTicket.
func (o *Office) IssueTicket(ctx context.Context, g keyring.TicketGrant) (string, keyring.Ticket, error) {
	g.Account = o.account.ID
	return o.keys.IssueTicket(ctx, g)
}

// note writes down what the command did.
func (o *Office) note(ctx context.Context, act, target string, detail map[string]string) {
	// Its error is always nil; what cannot be written is in the log.
	people.NewRecorder(o.store, nil, slog.Default()).Record(ctx, commander().Entry(o.account.ID, act, target, detail))
}
