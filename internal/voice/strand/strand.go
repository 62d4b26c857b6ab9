// Package strand gives a leg's state one owner without a goroutine of its own:
// functions posted to a Strand run one after the other, and what they touch is
// touched by nobody else.
//
// Everything here may be used from any goroutine, but for an Alarm, which
// belongs to the functions of its strand. Nothing blocks but Wait and Close.
package strand

import (
	"context"
	"sync"
	"time"
)

// Strand runs functions one after the other in the order they were posted, on a
// goroutine that exists only while there are any: an idle strand costs nothing.
// The queue is not bounded; who posts must be.
type Strand struct {
	crew *Crew

	mu      sync.Mutex
	queue   []func()
	running bool
}

// New returns a strand whose goroutine belongs to the crew.
func New(c *Crew) *Strand { return &Strand{crew: c} }

// Post runs f after everything posted before it. It never blocks.
func (s *Strand) Post(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	if !s.running {
		s.running = true
		s.crew.Go(s.run)
	}
}

func (s *Strand) run() {
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

// Alarm is a timer whose function runs on a strand, never after Stop or a later
// Set. The zero Alarm is not set.
type Alarm struct {
	timer *time.Timer
	turn  int
}

// Set runs f on the strand after d, in place of what was set before.
func (a *Alarm) Set(s *Strand, d time.Duration, f func()) {
	a.Stop()
	turn := a.turn
	a.timer = time.AfterFunc(d, func() {
		s.Post(func() {
			if a.turn == turn {
				a.timer = nil
				f()
			}
		})
	})
}

// Stop makes sure that what was set does not run.
func (a *Alarm) Stop() {
	a.turn++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// IsSet reports whether the alarm will go off.
func (a *Alarm) IsSet() bool { return a.timer != nil }

// Crew counts goroutines so that whoever started them can wait for them. Unlike
// a sync.WaitGroup it may grow from zero while someone waits. The zero Crew is
// ready.
type Crew struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when n is back at zero; nil when nobody waits
}

// Go runs f on a goroutine of the crew, or not at all after Close.
func (c *Crew) Go(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.n++
	go func() {
		defer c.Leave()
		f()
	}()
}

// Join counts the calling goroutine as one of the crew until Leave.
func (c *Crew) Join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

// Leave takes back one Join.
func (c *Crew) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// Count returns how many goroutines the crew has.
func (c *Crew) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Wait returns when no goroutine of the crew is left, or with the context's error.
func (c *Crew) Wait(ctx context.Context) error {
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

// Close lets nobody in any more and returns when all have left. What is posted
// to a strand of the crew from then on does not run.
func (c *Crew) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.Wait(context.Background()) // it has no end, so there is no error
}
