package trunk

import (
	"sync"
	"time"
)

// crew counts goroutines so that whoever starts them can wait for them.
type crew struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // closed when closed and n is 0
}

func newCrew() *crew { return &crew{idle: make(chan struct{})} }

// spawn runs f on a goroutine, or not at all after wait.
func (c *crew) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.n++
	go func() {
		defer c.left()
		f()
	}()
}

func (c *crew) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.closed {
		close(c.idle)
	}
}

// wait lets nobody in any more and returns when all have left.
func (c *crew) wait() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		if c.n == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	<-c.idle
}

// serial runs functions one after the other in the order in which they came, on
// a goroutine that exists only while there are some. What a leg knows is touched
// by functions of its serial alone.
type serial struct {
	crew *crew

	mu      sync.Mutex
	queue   []func()
	running bool
}

func (s *serial) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
	if !s.running {
		s.running = true
		s.crew.spawn(s.drain)
	}
}

func (s *serial) drain() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running, s.queue = false, nil
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// alarm is a timer whose function runs on a serial, never after stop or a later
// set. Its methods belong to that serial.
type alarm struct {
	timer *time.Timer
	turn  int
}

func (a *alarm) set(s *serial, d time.Duration, f func()) {
	a.stop()
	turn := a.turn
	a.timer = time.AfterFunc(d, func() {
		s.do(func() {
			if a.turn == turn {
				a.timer = nil
				f()
			}
		})
	})
}

func (a *alarm) stop() {
	a.turn++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

func (a *alarm) isSet() bool { return a.timer != nil }
