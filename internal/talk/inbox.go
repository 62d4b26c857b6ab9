package talk

import "sync"

// inboxSize is from when on the inbox refuses what may be refused: new calls
// and requests of people. Events of calls that were let in are always taken;
// there are only so many of them.
const inboxSize = 8192

// inbox is where the other goroutines leave work for the desk's own.
type inbox struct {
	wake chan struct{} // holds a token while there may be work

	mu     sync.Mutex
	work   []func()
	closed bool
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post adds work, whatever there is already. It returns false when the desk has stopped.
func (b *inbox) post(fn func()) bool { return b.add(fn, false) }

// request adds work unless there is too much already or the desk has stopped.
func (b *inbox) request(fn func()) bool { return b.add(fn, true) }

func (b *inbox) add(fn func(), refusable bool) bool {
	b.mu.Lock()
	if b.closed || refusable && len(b.work) >= inboxSize {
		b.mu.Unlock()
		return false
	}
	b.work = append(b.work, fn)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns all the work there is.
func (b *inbox) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	work := b.work
	b.work = nil
	return work
}

// close refuses further work and returns what is left.
func (b *inbox) close() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	work := b.work
	b.work = nil
	return work
}
