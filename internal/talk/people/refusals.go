package people

import (
	"strconv"
	"sync"
	"time"
)

// refusals keeps a flood of failed sign-ins from filling the audit log: the
// first of a kind is written at once, the others of the same window as one line
// with their number.
type refusals struct {
	mu      sync.Mutex
	counts  map[refusal]int
	written int // at once, in this window
}

// refusal is a kind of failed sign-in.
type refusal struct {
	account string
	target  string // name of the user; "" when nobody has the name: what was typed may be a password
	method  string // password, passkey or oidc
	reason  string
	remote  string
}

const (
	// refusalWindow is how long failures are counted before they are written.
	refusalWindow = time.Minute
	// refusalsAtOnce is how many lines a window may have at once, refusalKinds how
	// many kinds are told apart.
	refusalsAtOnce = 30
	refusalKinds   = 200
)

func newRefusals() *refusals { return &refusals{counts: map[refusal]int{}} }

// take counts one, and reports whether it is to be written now.
func (r *refusals) take(one refusal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, known := r.counts[one]
	switch {
	case !known && r.written < refusalsAtOnce:
		r.written++
		r.counts[one] = 0
		return true
	case !known && len(r.counts) >= refusalKinds:
		one = refusal{account: one.account, reason: "many"}
		n = r.counts[one]
	}
	r.counts[one] = n + 1
	return false
}

// flush begins a new window and returns the lines of the old one.
func (r *refusals) flush() []AuditEntry {
	r.mu.Lock()
	counts := r.counts
	r.counts, r.written = map[refusal]int{}, 0
	r.mu.Unlock()
	var lines []AuditEntry
	for one, n := range counts {
		if n > 0 {
			lines = append(lines, one.entry(n))
		}
	}
	return lines
}

// entry returns the line for n of the kind.
func (one refusal) entry(n int) AuditEntry {
	detail := map[string]string{"reason": one.reason, "count": strconv.Itoa(n)}
	if one.method != "" {
		detail["method"] = one.method
	}
	return Actor{Kind: BySystem, Remote: one.remote}.Entry(one.account, SessionRefused, one.target, detail)
}
