package sdk

import (
	"context"
	"sync"
)

// strand runs functions one after the other in the order they were posted, on
// a goroutine that exists only while there are any. What the functions touch
// has thereby one owner, and an idle strand costs nothing. The senders bound
// the queue: connections are rate-limited, media states and timers are few.
type strand struct {
	crew *crew

	mu      sync.Mutex
	queue   []func()
	running bool
}

// post runs f after everything posted before it. It never blocks.
func (s *strand) post(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	if !s.running {
		s.running = true
		s.crew.Go(s.run)
	}
}

func (s *strand) run() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.queue, s.running = nil, false
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// crew counts goroutines so that whoever started them can wait for them. Unlike
// a sync.WaitGroup it may grow from zero while someone waits.
type crew struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n is back at zero; nil when nobody waits
}

// Go runs f on a goroutine of the crew.
func (c *crew) Go(f func()) {
	c.join()
	go func() {
		defer c.leave()
		f()
	}()
}

func (c *crew) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// Wait returns when no goroutine of the crew is left, or with the context's error.
func (c *crew) Wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.n == 0 {
			c.mu.Unlock()
			return nil
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
