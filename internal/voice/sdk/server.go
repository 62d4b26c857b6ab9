package sdk

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/strand"
)

// Server is the devices' side of a node.
type Server struct {
	o       Options
	limits  Limits
	times   Times
	log     *slog.Logger
	events  event.Sink
	metrics *metrics
	remote  func(*http.Request) netip.Addr

	crew     strand.Crew
	posts    chan struct{} // one place per post to the event gateway being handled
	draining atomic.Bool
	stopped  atomic.Bool

	directory directory
	fallbacks fallbacks

	mu        sync.Mutex
	open      int                // connections, also those not yet in the directory
	addresses map[netip.Addr]int // connections by remote address
}

// New returns a server without devices. All problems of the options are in the error.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		o: o, limits: o.Limits.withDefaults(), times: o.Times.withDefaults(),
		log: o.Log, events: o.Events, remote: o.RemoteAddr,
		addresses: map[netip.Addr]int{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.events == nil {
		s.events = event.Discard
	}
	if s.remote == nil {
		s.remote = remote
	}
	if o.EventHost != "" {
		// Our own pages post to eventgw.<host>, which is another origin.
		s.o.Origins = append(slices.Clone(o.Origins), o.EventHost)
	}
	s.posts = make(chan struct{}, s.limits.Reports)
	s.directory.init()
	var err error
	if s.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, err
	}
	return s, nil
}

// Run keeps the connections alive (heartbeats, silence, expired tokens) until
// the context is done. Then it ends all legs and connections and returns when
// they are gone, at the latest after Times.Shutdown.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, d := range s.directory.all() {
				d.tick(now)
			}
		case <-ctx.Done():
			return s.stop(context.WithoutCancel(ctx))
		}
	}
}

// stop says goodbye in order: the calls first, so that the apps learn why.
func (s *Server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.times.Shutdown)
	defer cancel()
	s.Drain()
	for _, l := range s.directory.allLegs() {
		l.End(call.Shutdown)
	}
	for !s.directory.legsGone() && ctx.Err() == nil {
		s.directory.waitLegs(ctx)
	}
	s.stopped.Store(true)
	for _, d := range s.directory.all() {
		d.out.farewell(websocket.StatusGoingAway, "the server is stopping")
	}
	if s.crew.Wait(ctx) == nil {
		return nil
	}
	for _, d := range s.directory.all() {
		d.out.cut()
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return s.crew.Wait(ctx)
}

// Drain refuses new calls from now on. Devices stay and may come back to the
// calls they have.
func (s *Server) Drain() { s.draining.Store(true) }

// Counts is how much of everything there is.
type Counts struct {
	Connections int // of devices, let in or not
	Registered  int // of these, can be called
	Legs        int // of calls at devices
	Goroutines  int // of the server; connections' readers included
}

// Open returns how much there is right now.
func (s *Server) Open() Counts {
	connections, registered, legs := s.directory.counts()
	return Counts{Connections: connections, Registered: registered, Legs: legs, Goroutines: s.crew.Count()}
}

// Reachable reports whether a device of the identity can be called.
func (s *Server) Reachable(account, identity string) bool {
	return len(s.directory.registered(party{account, identity})) > 0
}

// Devices returns the registered devices of an identity, the oldest connection first.
func (s *Server) Devices(account, identity string) []event.Device {
	var all []event.Device
	for _, d := range s.directory.registered(party{account, identity}) {
		all = append(all, d.description())
	}
	return all
}

// admit counts a new connection in, or says why it may not be.
func (s *Server) admit(from netip.Addr) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open >= s.limits.Connections:
		return "full"
	case s.addresses[from] >= s.limits.PerAddress:
		return "address"
	}
	s.open++
	s.addresses[from]++
	return ""
}

func (s *Server) dismiss(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.addresses[from]--; s.addresses[from] <= 0 {
		delete(s.addresses, from)
	}
}

func (s *Server) publish(e event.Registration) {
	reason := e.Reason
	if e.Outcome != event.Refused {
		reason = ""
	}
	s.metrics.registrations.WithLabelValues(string(e.Outcome), reason, way(e.Token.Kind)).Inc()
	s.events.Publish(e)
}
