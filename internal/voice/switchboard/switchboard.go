// Package switchboard runs the calls: one actor per call, which alone changes
// the call's state. It feeds every report of a leg, every instruction of the
// Director and every timer to the pure call.Decide and performs what it decides.
//
// A Switchboard may be used from any goroutine. It never calls a leg, a
// Director or a store while holding a lock, and it knows nothing of SIP,
// WebRTC or what a call centre is.
package switchboard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// Director decides what becomes of calls, and keeps their records: call.Ended is
// each call's last event. Begin is called once per call, on the call's own
// goroutine, before any of its events; it must not block.
type Director interface {
	Begin(call.Offer, call.Control) call.Script
}

// Prompts is where audio to play is found, by name.
type Prompts interface {
	Prompt(name string) (*media.Clip, error)
}

// Recordings is where recordings go. Create must not take long: it is called
// while a caller waits.
type Recordings interface {
	Create(id string) (Recording, error)
}

// Recording is one recording being written. Close makes it whole and returns
// its length.
type Recording interface {
	media.Recorder
	Close() (time.Duration, error)
}

// Options is what a Switchboard needs.
type Options struct {
	Director   Director
	Devices    Dialer // calls devices
	Phones     Dialer // calls phone numbers
	Prompts    Prompts
	Recordings Recordings
	Events     event.Sink
	Metrics    prometheus.Registerer
	Log        *slog.Logger

	MaxCalls    int           // at once; 0: 2000
	MaxDuration time.Duration // of one call; 0: 4 h
}

// Switchboard holds the calls of one node.
type Switchboard struct {
	o       Options
	metrics *metrics

	mu       sync.Mutex
	calls    map[call.ID]*actor
	legs     map[call.LegID]*actor
	draining bool
	running  sync.WaitGroup
}

// New returns a switchboard without calls.
func New(o Options) *Switchboard {
	if o.MaxCalls == 0 {
		o.MaxCalls = 2000
	}
	if o.MaxDuration == 0 {
		o.MaxDuration = 4 * time.Hour
	}
	s := &Switchboard{o: o, calls: map[call.ID]*actor{}, legs: map[call.LegID]*actor{}}
	s.metrics = newMetrics(o.Metrics, s.Live)
	return s
}

// Offer implements Exchange.
func (s *Switchboard) Offer(o call.Offer, leg Leg) (Reporter, error) {
	a := newActor(s, o, leg)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return nil, fault.New(fault.Unavailable, "this node is stopping and takes no new calls")
	case len(s.calls) >= s.o.MaxCalls:
		s.metrics.refused.Inc()
		return nil, fault.New(fault.TooMany, "this node carries as many calls as it may (%d)", s.o.MaxCalls)
	case s.calls[o.Call] != nil:
		return nil, fault.New(fault.Conflict, "there is a call of this id already")
	}
	s.calls[o.Call] = a
	s.legs[o.Leg] = a
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		a.run()
	}()
	return a.reporter(o.Leg), nil
}

// Do gives instructions to the call that has the leg (or whose own id it is).
// It returns fault.NotFound when there is no such live call.
func (s *Switchboard) Do(leg call.LegID, in ...call.Instruction) error {
	s.mu.Lock()
	a := s.legs[leg]
	s.mu.Unlock()
	if a == nil || !a.Do(in...) {
		return fault.New(fault.NotFound, "there is no live call with this id")
	}
	return nil
}

// Live returns how many calls there are.
func (s *Switchboard) Live() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Drain refuses new calls from now on; live ones go on.
func (s *Switchboard) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Close drains, waits for the live calls until ctx is done, then ends them and
// waits until they are over. The error tells how many were cut off.
func (s *Switchboard) Close(ctx context.Context) error {
	s.Drain()
	over := make(chan struct{})
	go func() {
		s.running.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := make([]*actor, 0, len(s.calls))
	for _, a := range s.calls {
		cut = append(cut, a)
	}
	s.mu.Unlock()
	for _, a := range cut {
		a.post(call.Stop{Cause: call.Shutdown})
	}
	// Legs answer a hang-up within the linger time at worst.
	select {
	case <-over:
	case <-time.After(call.LingerAfter + 5*time.Second):
		return errors.New("calls did not end when told to")
	}
	if len(cut) > 0 {
		return fault.New(fault.Unavailable, "%d live calls were ended because the time to stop was up", len(cut))
	}
	return nil
}

func (s *Switchboard) own(leg call.LegID, a *actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legs[leg] = a
}

func (s *Switchboard) forget(a *actor, legs []call.LegState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range legs {
		delete(s.legs, l.ID)
	}
	delete(s.legs, a.offer.Leg)
	delete(s.calls, a.offer.Call)
}
