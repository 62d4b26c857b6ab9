package sdk

import (
	"net/netip"
	"sync"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/token"
)

// A device that was refused by one way in and let in by another saved itself:
// its person noticed nothing, so somebody else must be told. It may come back
// over the same connection, or over a new one from the same address.

const (
	fallbackWithin = time.Minute
	fallbackMax    = 10_000 // refusals remembered; of more the oldest are forgotten
)

// notJudged is the reason of a fallback from a token that we could not judge.
const notJudged = "not_judged"

// failure is a refused token, or one that could not be judged.
type failure struct {
	at       time.Time
	account  string // as the token claims; "" when unreadable
	identity string
	reason   string
	code     int
	features event.TokenFeatures
	device   event.Device
}

// saves reports whether a token of the kind, of this identity, is another way in
// than the one that failed.
func (f failure) savedBy(c token.Claims, now time.Time) bool {
	return f.features.Kind != string(c.Kind) && now.Sub(f.at) <= fallbackWithin && f.reason != string(token.ReasonEmpty)
}

// fallbacks remembers refusals of connections that may be gone.
type fallbacks struct {
	mu     sync.Mutex
	recent []failureAt // the oldest first
}

type failureAt struct {
	remote netip.Addr
	failure
}

func (f *fallbacks) add(remote netip.Addr, n failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	drop := 0
	for drop < len(f.recent) && (len(f.recent)-drop >= fallbackMax || n.at.Sub(f.recent[drop].at) > fallbackWithin) {
		drop++
	}
	f.recent = append(f.recent[drop:], failureAt{remote, n})
}

// take returns and forgets the last failure of the device that was let in: from
// the same address, and of the same identity or, where the token did not say
// whose it was, by the same browser and page.
func (f *fallbacks) take(remote netip.Addr, c token.Claims, device event.Device, now time.Time) (failure, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found failure
	ok := false
	kept := f.recent[:0]
	for _, n := range f.recent {
		same := n.remote == remote && (n.account == c.Account && n.identity == c.Identity ||
			n.identity == "" && n.device.Browser == device.Browser && n.device.Origin == device.Origin)
		switch {
		case same && n.savedBy(c, now):
			found, ok = n.failure, true // a device that is in has no failures any more
		default:
			kept = append(kept, n)
		}
	}
	clear(f.recent[len(kept):])
	f.recent = kept
	return found, ok
}

// failed notes that a token did not let the device in.
func (d *device) failed(f failure) {
	f.at = time.Now()
	d.mu.Lock()
	f.device = d.descriptionLocked()
	d.fell = &f
	d.mu.Unlock()
	d.server.fallbacks.add(d.remote, f)
}

// saved tells of a device that was let in by another way than one that failed.
func (d *device) saved(c token.Claims) {
	now := time.Now()
	d.mu.Lock()
	device := d.descriptionLocked()
	own := d.fell
	d.fell = nil
	d.mu.Unlock()
	f, found := d.server.fallbacks.take(d.remote, c, device, now)
	if own != nil && own.savedBy(c, now) {
		f, found = *own, true
	}
	if !found {
		return
	}
	d.server.FellBack(event.WayChanged{
		At: now, Account: c.Account, Identity: c.Identity, Failed: f.features.Kind, Reason: f.reason, Code: f.code,
		Saved: string(c.Kind), After: now.Sub(f.at), Device: device, Token: f.features,
	})
}

// FellBack counts, logs and publishes that a device went another way in. The
// server does so itself for tokens that it refused; others call it for a token
// that could not even be had.
func (s *Server) FellBack(e event.WayChanged) {
	s.metrics.fallbacks.WithLabelValues(way(e.Failed), way(e.Saved)).Inc()
	s.log.Warn("a device was not let in by one way and came by another; its person noticed nothing, but the first way needs a look",
		"failed", e.Failed, "reason", e.Reason, "code", e.Code, "saved", e.Saved, "after", e.After, "connection", e.Device.Connection)
	s.events.Publish(e)
}

// way is a kind of token as metrics call it.
func way(kind string) string {
	switch token.Kind(kind) {
	case token.Access, token.Capability, token.Ticket:
		return kind
	}
	return "unknown"
}
