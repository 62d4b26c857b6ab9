package keyring

import (
	"context"
	"sync"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// maxPending is how many different uses wait for the store; more are counted as lost.
const maxPending = 10_000

// uses are those not yet in the store.
type uses struct {
	mu      sync.Mutex
	pending map[useKey]*Use
	last    map[string]time.Time // by key id, since the ring was opened
}

type useKey struct {
	account            string
	kind               token.Kind
	identity, app, org string
}

func (u *uses) init() { u.pending, u.last = map[useKey]*Use{}, map[string]time.Time{} }

func (u *uses) lastUsed(key string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last[key]
}

// add reports whether there was room.
func (u *uses) add(n Use) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n.Kind == token.Access && (len(u.last) < maxPending || !u.last[n.KeyID].IsZero()) {
		if at := n.Last.Truncate(time.Minute); at.After(u.last[n.KeyID]) {
			u.last[n.KeyID] = at
		}
	}
	at := useKey{n.Account, n.Kind, n.Identity, n.App, n.Origin}
	have := u.pending[at]
	switch {
	case have == nil && len(u.pending) >= maxPending:
		return false
	case have == nil:
		u.pending[at] = &n
		return true
	}
	if n.First.Before(have.First) {
		have.First = n.First
	}
	if !n.Last.Before(have.Last) {
		have.Last, have.SDK, have.KeyID = n.Last, n.SDK, n.KeyID
	}
	have.Count += n.Count
	return true
}

func (u *uses) take() []Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]Use, 0, len(u.pending))
	for _, n := range u.pending {
		all = append(all, *n)
	}
	clear(u.pending)
	return all
}

// Take counts a device that was let in; other events mean nothing to it. It
// never waits for the store.
func (r *Ring) Take(e event.Registration) {
	if e.Outcome != event.Connected {
		return
	}
	at := e.At.UTC()
	if !r.uses.add(Use{
		Account: e.Account, Kind: token.Kind(e.Token.Kind), Identity: e.Identity, App: e.App, Origin: e.Device.Origin,
		SDK: e.Device.SDK, KeyID: e.Token.KeyID, First: at, Last: at, Count: 1,
	}) {
		r.metrics.lost.Inc()
	}
}

// flush brings what was counted into the store; what cannot be kept now is kept later.
func (r *Ring) flush(ctx context.Context) {
	all := r.uses.take()
	if len(all) == 0 {
		return
	}
	err := r.store.AddUses(ctx, all)
	if err == nil {
		return
	}
	r.log.Warn("who came by which way could not be kept; it is tried again", "error", err, "uses", len(all))
	for _, n := range all {
		if !r.uses.add(n) {
			r.metrics.lost.Add(float64(n.Count))
		}
	}
}

// Uses returns who came to the account by the way since a time, the last first,
// at most limit. What happened in the last seconds may be missing.
func (r *Ring) Uses(ctx context.Context, account string, kind token.Kind, since time.Time, limit int) ([]Use, error) {
	return r.store.Uses(ctx, account, kind, since, limit)
}
