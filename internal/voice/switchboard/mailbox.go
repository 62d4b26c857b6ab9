package switchboard

import (
	"sync"

	"dialtone/internal/voice/call"
)

// mailboxSize bounds what waits for one call. A call that is further behind
// than this is broken or attacked.
const mailboxSize = 512

// mailbox is an actor's queue of inputs. When it is full, new inputs are
// refused, but for those that end a leg, a recording or the call: each comes at
// most once per leg, so that the queue stays bounded.
type mailbox struct {
	wake chan struct{} // holds one token when the queue is not empty

	mu     sync.Mutex
	queue  []call.Input
	closed bool
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post appends the input; false when the mailbox is closed or full.
func (m *mailbox) post(in call.Input) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.queue) >= mailboxSize && !final(in) {
		return false
	}
	m.queue = append(m.queue, in)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns everything that waits and empties the mailbox.
func (m *mailbox) take() []call.Input {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue
	m.queue = nil
	return q
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.queue = true, nil
}

func final(in call.Input) bool {
	switch in := in.(type) {
	case call.Stop, call.TimeUp, call.Recorded, call.DialFailed:
		return true
	case call.Reported:
		_, down := in.Report.(call.Down)
		return down
	case call.Instructed:
		_, end := in.Instruction.(call.End)
		return end
	}
	return false
}
