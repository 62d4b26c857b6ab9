package keyring

import (
	"context"
	"slices"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

// Ways returns the account's ways in: always ticket, access and capability. One
// whose date is over is not open.
func (r *Ring) Ways(account string) []Way {
	of, now := r.state.Load().ways[account], r.now()
	all := make([]Way, 0, 3)
	for _, kind := range []token.Kind{token.Ticket, token.Access, token.Capability} {
		w, set := of[kind]
		if !set {
			w = Way{Kind: kind, Open: true}
		}
		w.Open = !w.closed(now)
		all = append(all, w)
	}
	return all
}

// SetWay opens or closes a way, now or at w.Closes. fault.Conflict when neither
// tickets nor access tokens would be left open for good: then no new device of
// the account could come in.
func (r *Ring) SetWay(ctx context.Context, account string, w Way) error {
	// Until the ring knows of this change, so that two at once do not each close what
	// the other one leaves open.
	r.setting.Lock()
	defer r.setting.Unlock()
	if r.stale.Load() { // what is stored may differ from what is known
		if err := r.reload(ctx); err != nil {
			return fault.Wrap(fault.Unavailable, err, "The stored keys cannot be read, so no way can be opened or closed now.")
		}
	}
	ways := r.Ways(account)
	at := slices.IndexFunc(ways, func(have Way) bool { return have.Kind == w.Kind })
	switch {
	case at < 0:
		return fault.New(fault.Invalid, "The ways in are ticket, access and capability.")
	case w.Open && !w.Closes.IsZero() && !r.now().Before(w.Closes):
		return fault.New(fault.Invalid, "The date on which the way closes is over. To close it now, say so.")
	case !w.Open:
		w.Closes = time.Time{}
	}
	w.Closes = w.Closes.UTC()
	ways[at] = w
	if !slices.ContainsFunc(ways, func(w Way) bool { return w.Kind != token.Capability && w.Open && w.Closes.IsZero() }) {
		return fault.New(fault.Conflict, "Tickets or access tokens must stay open: with both closed, or closing, no device could come in.")
	}
	if err := r.store.PutWay(ctx, account, w); err != nil {
		return err
	}
	return r.settle(ctx)
}
