package people

import (
	"sync"
	"time"
)

// Backoff says how long to wait before the next attempt.
type Backoff struct{ RetryAfter time.Duration }

// Error implements error.
func (b *Backoff) Error() string { return "too many attempts, wait " + b.RetryAfter.String() }

const (
	// loginFree and remoteFree are how many failures cost nothing: fewer for one
	// name than for one address, behind which may be a whole office.
	loginFree  = 5
	remoteFree = 20
	// backoffMost is the longest wait. It bounds what somebody can do to another
	// by failing in their name.
	backoffMost = 5 * time.Minute
	// backoffForget is when failures are forgotten.
	backoffForget = 30 * time.Minute
	// backoffKeys is how many names and addresses are remembered.
	backoffKeys = 20_000
)

// throttle counts failed attempts. Each failure beyond the free ones doubles
// the wait.
type throttle struct {
	mu       sync.Mutex
	failures map[string]failures
}

type failures struct {
	n     int
	last  time.Time
	until time.Time
}

func newThrottle() *throttle { return &throttle{failures: map[string]failures{}} }

// wait returns how long the key has to wait.
func (t *throttle) wait(now time.Time, key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures[key].until.Sub(now)
}

// charge counts an attempt of the key as failed, unless it has to wait: then
// for how long.
func (t *throttle) charge(now time.Time, key string, free int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failures[key]
	if wait := f.until.Sub(now); wait > 0 {
		return wait
	}
	if now.Sub(f.last) > backoffForget {
		f = failures{}
	}
	f.n++
	f.last = now
	if over := f.n - free; over > 0 {
		f.until = now.Add(min(time.Second<<min(over-1, 20), backoffMost))
	}
	if _, known := t.failures[key]; !known && len(t.failures) >= backoffKeys {
		t.forget(now)
	}
	t.failures[key] = f
	return 0
}

// refund takes back a charge of an attempt that did not fail, or by our fault.
func (t *throttle) refund(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch f, ok := t.failures[key]; {
	case !ok:
	case f.n <= 1:
		delete(t.failures, key)
	default:
		f.n--
		f.until = time.Time{}
		t.failures[key] = f
	}
}

// forget makes room: what is old goes, and when nothing is, anything.
func (t *throttle) forget(now time.Time) {
	for key, f := range t.failures {
		if now.Sub(f.last) > backoffForget {
			delete(t.failures, key)
		}
	}
	for key := range t.failures {
		if len(t.failures) < backoffKeys {
			return
		}
		delete(t.failures, key)
	}
}

// succeed forgets the failures of the key.
func (t *throttle) succeed(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failures, key)
}
