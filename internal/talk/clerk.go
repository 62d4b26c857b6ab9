package talk

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/health"
)

// The kinds of entries.
const (
	entryCall      = "call"
	entryMissed    = "missed"
	entryVoicemail = "voicemail"
	entryErase     = "erase" // a recording that is no message
)

// entry is one thing to be kept. What it holds depends on Kind.
type entry struct {
	Kind      string     `json:"kind"`
	Account   string     `json:"account"`
	Agent     string     `json:"agent,omitempty"`
	Call      *Call      `json:"call,omitempty"`
	Missed    *Missed    `json:"missed,omitempty"`
	Voicemail *Voicemail `json:"voicemail,omitempty"`
	Recording string     `json:"recording,omitempty"`
}

const (
	// clerkQueue is how many entries may wait for the clerk. It is only reached
	// when both store and disk hang; then the newest is lost, counted and logged.
	clerkQueue = 20_000
	// keepWithin is how long the store may take for one entry.
	keepWithin = 5 * time.Second
	// The store that is away is asked again after these.
	retryFirst = time.Second
	retryMost  = 30 * time.Second

	warnQueued = "records-queued"
)

// clerk writes what the floor wants kept, in order, one at a time. What the
// store does not take for now waits in the spool; calls never wait for it.
type clerk struct {
	store      Records
	recordings Recordings
	spool      *spool
	health     *health.Board
	log        *slog.Logger
	meters     *meters
	done       func(entry) // told of each entry once it is in the store or the spool

	queue chan entry
}

func newClerk(o Options, s *spool, m *meters, done func(entry)) *clerk {
	return &clerk{
		store: o.Store, recordings: o.Recordings, spool: s, health: o.Health, log: o.Log, meters: m, done: done,
		queue: make(chan entry, clerkQueue),
	}
}

// keep hands over an entry; it never blocks.
func (c *clerk) keep(e entry) {
	select {
	case c.queue <- e:
	default:
		c.meters.rejected.Inc()
		c.log.Error("record lost: store and disk are too slow", "kind", e.Kind, "account", e.Account)
	}
}

// run serves until stop is closed, then writes what is left.
func (c *clerk) run(stop <-chan struct{}) {
	wait := retryFirst
	retry := time.NewTimer(0) // what an earlier run left is replayed first
	defer retry.Stop()
	for {
		select {
		case e := <-c.queue:
			if !c.take(e) {
				retry.Reset(wait)
			}
		case <-retry.C:
			switch c.replay() {
			case true:
				wait = retryFirst
			case false:
				wait = min(2*wait, retryMost)
				retry.Reset(wait)
			}
		case <-stop:
			for {
				select {
				case e := <-c.queue:
					c.take(e)
				default:
					c.replay()
					return
				}
			}
		}
	}
}

// take writes an entry to the store or, behind those that already wait, to the
// spool. It returns false when it is the first to wait.
func (c *clerk) take(e entry) bool {
	first := c.spool.len() == 0
	if first && c.write(e) {
		c.done(e)
		return true
	}
	if err := c.spool.add(e); err != nil {
		c.log.Error("record is kept in memory only: spool failed", "kind", e.Kind, "error", err)
	}
	c.report()
	c.done(e)
	return !first
}

// replay writes what waits, oldest first. It returns whether nothing is left.
func (c *clerk) replay() bool {
	for e, ok := c.spool.first(); ok; e, ok = c.spool.first() {
		if !c.write(e) {
			c.report()
			return false
		}
		c.spool.drop()
	}
	if err := c.spool.clear(); err != nil {
		c.log.Error("spool cannot be emptied; its records are written twice, to no effect", "error", err)
	}
	c.report()
	return true
}

// write brings an entry to where it belongs. It returns false when it must be
// tried again; what will never be taken is set aside.
func (c *clerk) write(e entry) bool {
	ctx, cancel := context.WithTimeout(context.Background(), keepWithin)
	defer cancel()
	err := c.bring(ctx, e)
	switch {
	case err == nil:
		return true
	case fault.KindOf(err) == fault.Invalid || fault.KindOf(err) == fault.Conflict || errors.Is(err, errUnknownEntry):
		c.meters.rejected.Inc()
		c.log.Error("record refused by the store, set aside", "kind", e.Kind, "account", e.Account, "error", err)
		if err := c.spool.reject(e); err != nil {
			c.log.Error("refused record cannot be set aside", "error", err)
		}
		return true
	}
	if e.Kind == entryErase {
		c.log.Error("recording without a message cannot be deleted", "recording", e.Recording, "error", err)
		return true
	}
	c.log.Warn("record waits for the store", "kind", e.Kind, "account", e.Account, "error", err)
	return false
}

var errUnknownEntry = errors.New("unknown kind of record")

func (c *clerk) bring(ctx context.Context, e entry) error {
	switch {
	case e.Kind == entryCall && e.Call != nil:
		k := *e.Call
		k.Account = e.Account
		return c.store.KeepCall(ctx, k)
	case e.Kind == entryMissed && e.Missed != nil:
		m := *e.Missed
		m.Account, m.Agent = e.Account, e.Agent
		return c.store.KeepMissed(ctx, m)
	case e.Kind == entryVoicemail && e.Voicemail != nil:
		v := *e.Voicemail
		v.Account = e.Account
		return c.store.KeepVoicemail(ctx, v)
	case e.Kind == entryErase:
		if c.recordings == nil {
			return nil
		}
		return c.recordings.Delete(e.Recording)
	}
	return errUnknownEntry
}

// report keeps the warning and the metric in step with the spool.
func (c *clerk) report() {
	n := c.spool.len()
	c.meters.spooled.Set(float64(n))
	if n == 0 {
		c.health.Clear(warnQueued, "")
		return
	}
	c.health.Raise(health.Warning{
		Code: warnQueued, Severity: health.Degraded,
		Text: "The database cannot be written. Calls go on; their records wait on disk and are written when it is back. Check the disk and the database.",
	})
}
