package event

import (
	"sync"
	"sync/atomic"
)

// Fan is a Sink that hands every event to each of its subscribers through a
// bounded queue of the subscriber's own. A subscriber that does not keep up
// loses its oldest unread events, which are counted; publishers never wait.
type Fan struct {
	mu   sync.RWMutex
	subs map[*Subscription]struct{}
}

// NewFan returns a Fan without subscribers.
func NewFan() *Fan { return &Fan{subs: map[*Subscription]struct{}{}} }

// Subscription is one subscriber's queue.
type Subscription struct {
	fan     *Fan
	queue   chan Event
	dropped atomic.Uint64
}

// Subscribe adds a subscriber with room for size events.
func (f *Fan) Subscribe(size int) *Subscription {
	s := &Subscription{fan: f, queue: make(chan Event, size)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[s] = struct{}{}
	return s
}

// Publish implements Sink.
func (f *Fan) Publish(e Event) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for s := range f.subs {
		s.offer(e)
	}
}

func (s *Subscription) offer(e Event) {
	for {
		select {
		case s.queue <- e:
			return
		default:
		}
		select {
		case <-s.queue:
			s.dropped.Add(1)
		default:
		}
	}
}

// Events returns the channel to read from. It is never closed; leave with Cancel.
func (s *Subscription) Events() <-chan Event { return s.queue }

// Dropped returns how many events were lost because they were not read in time.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Cancel ends the subscription.
func (s *Subscription) Cancel() {
	s.fan.mu.Lock()
	defer s.fan.mu.Unlock()
	delete(s.fan.subs, s)
}
