// Package health keeps what is wrong with this node right now: warnings with a
// code, raised and cleared by whoever finds them, read by /readyz, the metrics
// and the console.
//
// A Board is safe for concurrent use.
package health

import (
	"sort"
	"sync"
	"time"
)

// Severity says who must act and how soon.
type Severity string

// The severities. A Critical warning makes the node not ready.
const (
	Notice   Severity = "notice"
	Degraded Severity = "degraded"
	Critical Severity = "critical"
)

// Warning is one thing that is wrong.
type Warning struct {
	Code     string    `json:"code"` // stable, e.g. "trunk-unreachable"
	Subject  string    `json:"subject,omitempty"`
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"` // what happened and what to do, without secrets
	Since    time.Time `json:"since"`
}

// Board holds the warnings of one node.
type Board struct {
	mu       sync.Mutex
	warnings map[[2]string]Warning
	now      func() time.Time
}

// NewBoard returns an empty board.
func NewBoard() *Board {
	return &Board{warnings: map[[2]string]Warning{}, now: time.Now}
}

// Raise adds the warning, or updates its text and severity while keeping since
// when it stands.
func (b *Board) Raise(w Warning) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := [2]string{w.Code, w.Subject}
	w.Since = b.now()
	if old, ok := b.warnings[key]; ok {
		w.Since = old.Since
	}
	b.warnings[key] = w
}

// Clear removes the warning, if it stands.
func (b *Board) Clear(code, subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.warnings, [2]string{code, subject})
}

// Warnings returns what stands, the oldest first.
func (b *Board) Warnings() []Warning {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Warning, 0, len(b.warnings))
	for _, w := range b.warnings {
		all = append(all, w)
	}
	sort.Slice(all, func(i, j int) bool {
		if !all[i].Since.Equal(all[j].Since) {
			return all[i].Since.Before(all[j].Since)
		}
		return all[i].Code+all[i].Subject < all[j].Code+all[j].Subject
	})
	return all
}

// Ready reports whether no critical warning stands.
func (b *Board) Ready() bool {
	for _, w := range b.Warnings() {
		if w.Severity == Critical {
			return false
		}
	}
	return true
}
