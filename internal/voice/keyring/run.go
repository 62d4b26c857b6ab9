package keyring

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dialtone/internal/health"
	"dialtone/internal/voice/token"
)

// How often what is looked at.
const (
	watchEvery   = 300 * time.Millisecond // the store's revision: a command or another process may have changed it
	retryEvery   = time.Second            // a ring that could not be read
	flushEvery   = 5 * time.Second        // uses, into the store
	sweepEvery   = time.Minute            // tickets, and what will close
	ticketsStay  = time.Hour              // after their end, so that a late one is told apart from one that never was
	usesStay     = 400 * 24 * time.Hour   // a year and a little, to compare with
	warnBefore   = 14 * 24 * time.Hour    // a way closes
	warnIfUsed   = 7 * 24 * time.Hour     // since
	finishWithin = 3 * time.Second        // the last uses, when Run ends
)

// Run keeps the ring as what is stored, reads issuers' key sets, keeps uses and
// sweeps tickets until ctx is done.
func (r *Ring) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { r.watch(ctx) })
	all.Go(func() { r.readIssuers(ctx) })
	all.Go(func() { r.keep(ctx) })
	all.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	r.flush(last)
	return nil
}

func (r *Ring) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var tried time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if r.stale.Load() && now.Sub(tried) < retryEvery {
				continue
			}
			tried = now
			revision, err := r.store.Revision(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				r.cannotRead(fmt.Errorf("read the key ring's revision: %w", err))
			case r.stale.Load() || revision != r.state.Load().contents.Revision:
				_ = r.reload(ctx) // it has raised the alarm itself
			}
		}
	}
}

// keep writes down who came by which way, and cleans up.
func (r *Ring) keep(ctx context.Context) {
	flush, sweep := time.NewTicker(flushEvery), time.NewTicker(sweepEvery)
	defer flush.Stop()
	defer sweep.Stop()
	r.warnOfClosing(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			r.flush(ctx)
		case <-sweep.C:
			now := r.now()
			r.tickets.sweep(now)
			if _, err := r.store.SweepTickets(ctx, now.Add(-ticketsStay)); err != nil && ctx.Err() == nil {
				r.log.Warn("old tickets could not be swept", "error", err)
			}
			if _, err := r.store.SweepUses(ctx, now.Add(-usesStay)); err != nil && ctx.Err() == nil {
				r.log.Warn("old uses of the ways in could not be swept", "error", err)
			}
			r.warnOfClosing(ctx)
		}
	}
}

const closing = "legacy_closing"

// warnOfClosing says which accounts' capability tokens close soon and are used still.
func (r *Ring) warnOfClosing(ctx context.Context) {
	now := r.now()
	for account, ways := range r.state.Load().ways {
		w, set := ways[token.Capability]
		if !set || w.closed(now) || w.Closes.IsZero() || w.Closes.Sub(now) > warnBefore {
			r.health.Clear(closing, account)
			continue
		}
		used, err := r.store.Uses(ctx, account, token.Capability, now.Add(-warnIfUsed), maxPending)
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("who still uses a way that closes could not be read", "error", err)
			}
			continue
		}
		identities := map[string]struct{}{}
		for _, u := range used {
			identities[u.Identity] = struct{}{}
		}
		if len(identities) == 0 {
			r.health.Clear(closing, account)
			continue
		}
		r.health.Raise(health.Warning{
			Code: closing, Subject: account, Severity: health.Notice,
			Text: fmt.Sprintf("Capability tokens close on %s; identities that used them in the last 7 days: %d. The report of that way in says who they are (GET /api/v1/ways/capability/uses): move their apps, or choose a later date.",
				w.Closes.Format("2006-01-02 15:04 MST"), len(identities)),
		})
	}
}
