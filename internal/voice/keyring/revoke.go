package keyring

import (
	"context"
	"slices"
	"unicode/utf8"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

const (
	maxRevocations = 1_000_000
	maxTokenID     = 256 // bytes
)

// Revoke keeps a revocation with the account, subject and reason of v, and
// returns it with its id and time. It takes effect at once, also on tokens that
// were accepted before. A revoked key of the console is replaced. When the store
// has kept the revocation but the keys cannot be read again, it is in force
// nevertheless and no error.
func (r *Ring) Revoke(ctx context.Context, v Revocation) (Revocation, error) {
	v.ID, v.At = newID("RV"), r.now().UTC()
	if v.Of != OfIdentity {
		v.Forever = true
	}
	if err := r.checkRevocation(v); err != nil {
		return Revocation{}, err
	}
	if err := r.store.PutRevocation(ctx, v); err != nil {
		return Revocation{}, err
	}
	if err := r.overlay(v); err != nil {
		return Revocation{}, err
	}
	if err := r.settle(ctx); err != nil {
		r.log.Warn("a revocation is in force before the keys could be read again", "revocation", v.ID)
		return v, nil
	}
	if h := r.state.Load().keys[v.Value]; v.Of == OfKey && h != nil && h.Own() {
		if err := r.Ensure(ctx, v.Account); err != nil {
			r.log.Error("the console's own key was revoked and could not be replaced", "error", err)
		}
	}
	return v, nil
}

func (r *Ring) checkRevocation(v Revocation) error {
	s := r.state.Load()
	switch {
	case !shownText(v.Reason) || utf8.RuneCountInString(v.Reason) > maxShown:
		return fault.New(fault.Invalid, "A reason has at most %d characters, without control characters.", maxShown)
	case !shownText(v.By) || utf8.RuneCountInString(v.By) > maxShown:
		return fault.New(fault.Invalid, "Who revokes has a name of at most %d characters.", maxShown)
	case len(s.contents.Revocations) >= maxRevocations:
		return fault.New(fault.TooMany, "There are %d revocations already. Lift those that are no longer needed.", maxRevocations)
	}
	switch v.Of {
	case OfKey:
		if !slices.ContainsFunc(s.contents.AuthTokens, func(a AuthToken) bool { return a.ID == v.Value && a.Account == v.Account }) {
			if _, err := r.key(v.Account, v.Value); err != nil {
				return fault.New(fault.NotFound, "There is no such API key or auth token.")
			}
		}
		if _, gone := s.keyGone[v.Value]; gone {
			return fault.New(fault.Conflict, "It was revoked already.")
		}
	case OfToken:
		if v.Value == "" || len(v.Value) > maxTokenID || !shownText(v.Value) {
			return fault.New(fault.Invalid, "The id of a token (jti) or ticket has 1 to %d bytes.", maxTokenID)
		}
	case OfIdentity:
		if v.Value == "" || utf8.RuneCountInString(v.Value) > token.MaxIdentity || !shownText(v.Value) {
			return fault.New(fault.Invalid, "An identity has 1 to %d characters.", token.MaxIdentity)
		}
	default:
		return fault.New(fault.Invalid, "What is revoked is a key, a token or an identity.")
	}
	return nil
}

// overlay puts a revocation that the store has kept over the ring as it is: a
// large ring takes longer to read again than a revocation may wait.
func (r *Ring) overlay(v Revocation) error {
	r.loading.Lock()
	now := r.state.Load()
	c := now.contents
	c.Revocations = append(slices.Clone(c.Revocations), v)
	next, err := build(c, now)
	if err == nil {
		r.state.Store(next)
	}
	r.loading.Unlock()
	if err != nil {
		return err
	}
	r.changed()
	return nil
}

// Revocations returns the account's revocations, the newest first.
func (r *Ring) Revocations(account string) []Revocation {
	all := []Revocation{}
	for _, v := range slices.Backward(r.state.Load().contents.Revocations) {
		if v.Account == account {
			all = append(all, v)
		}
	}
	return all
}

// Lift ends the revocation of a token or an identity; fault.Conflict for that of
// a key, which is for good.
func (r *Ring) Lift(ctx context.Context, account, id string) error {
	all := r.state.Load().contents.Revocations
	at := slices.IndexFunc(all, func(v Revocation) bool { return v.Account == account && v.ID == id })
	switch {
	case at < 0:
		return fault.New(fault.NotFound, "There is no such revocation.")
	case all[at].Of == OfKey:
		return fault.New(fault.Conflict, "A key is revoked for good. Add a new one.")
	}
	if err := r.store.DeleteRevocation(ctx, account, id); err != nil {
		return err
	}
	return r.settle(ctx)
}
