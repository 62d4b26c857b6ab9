// Package trunk holds the carrier legs: SIP to and from the carriers that the
// operator configured, and the RTP of their calls.
//
// A Server owns the SIP sockets. It offers carriers' calls to an Exchange and
// makes calls as a switchboard.Dialer, over the first trunk that takes them.
// Whoever is not a configured carrier gets no answer at all.
//
// A Server and its legs are safe for concurrent use; their methods return at
// once. Everything that a leg knows belongs to its own serial (see serial.go):
// messages, timers and the switchboard's wishes are handled one after the other.
package trunk

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk/transaction"
)

// Timers are RFC 3261's; zero fields take its values.
type Timers = transaction.Timers

// Options is what a Server needs. Nil fields among the last group have defaults.
type Options struct {
	Config    Config
	UDP       []net.PacketConn // closed when Run ends
	TCP       []net.Listener
	TLS       []net.Listener // plain listeners; TLSConfig is put over them
	TLSConfig *tls.Config    // our certificate, and the roots for carriers'; required with TLS

	Exchange switchboard.Exchange
	Codecs   *media.Codecs // nil: no leg's audio is counted as translated
	Events   event.Sink
	Health   *health.Board
	Metrics  prometheus.Registerer
	Log      *slog.Logger

	Timers       Timers
	Resolver     Resolver                                              // nil: net.DefaultResolver
	ListenPacket func(network, address string) (net.PacketConn, error) // of RTP; nil: net.ListenPacket
	UserAgent    string                                                // "": "Dialtone"
}

const (
	defaultTryFor       = 4 * time.Second
	defaultRing         = time.Minute
	defaultMediaTimeout = 2 * time.Minute
	partingTime         = 3 * time.Second // for BYEs and their answers when the node stops
)

// Server is the node's end of all trunks.
type Server struct {
	o        Options
	log      *slog.Logger
	timers   Timers
	carriers []*carrier
	layer    *transaction.Layer
	crew     strand.Crew
	metrics  *metrics
	guard    guard

	mu       sync.Mutex
	draining bool
	stopped  bool
	legs     map[string]*leg // by dialogKey
	locals   map[netip.Addr]netip.Addr
	sockets  int
}

// New checks the configuration and returns a Server; it serves when Run is called.
func New(o Options) (*Server, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("trunk: %w", err)
	}
	if len(o.TLS) > 0 && (o.TLSConfig == nil || len(o.TLSConfig.Certificates) == 0 && o.TLSConfig.GetCertificate == nil) {
		return nil, fmt.Errorf("trunk: SIP over TLS needs a certificate")
	}
	if o.Events == nil {
		o.Events = event.Discard
	}
	if o.Health == nil {
		o.Health = health.NewBoard()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.UserAgent == "" {
		o.UserAgent = "Dialtone"
	}
	if o.Config.TryFor == 0 {
		o.Config.TryFor = defaultTryFor
	}
	if o.Config.MediaTimeout == 0 {
		o.Config.MediaTimeout = defaultMediaTimeout
	}
	s := &Server{
		o: o, log: o.Log, timers: o.Timers.Whole(), guard: guard{secret: []byte(rand.Text())},
		legs: map[string]*leg{}, locals: map[netip.Addr]netip.Addr{},
	}
	for _, t := range o.Config.Trunks {
		if t.SRTPWithoutTLS && t.Transport != transaction.TLS {
			s.log.Warn("SRTP keys of this trunk are told in clear: whoever hears the signalling hears the calls", "trunk", t.Name)
		}
		s.carriers = append(s.carriers, newCarrier(t.withDefaults(o.Config)))
	}
	s.layer = transaction.New(transaction.Options{
		UDP: o.UDP, TCP: o.TCP, TLS: o.TLS, TLSConfig: o.TLSConfig, Timers: o.Timers, Handler: (*handler)(s), Log: o.Log,
	})
	s.metrics = newMetrics(s, o.Metrics)
	return s, nil
}

// Run serves until ctx is done. Then it refuses new calls, ends every leg with
// BYE, CANCEL or a final response, takes its registrations back, and returns
// when nothing of it runs any more and all sockets are closed.
func (s *Server) Run(ctx context.Context) error {
	layer, stopLayer := context.WithCancel(context.Background())
	defer stopLayer()
	var serving sync.WaitGroup
	serving.Go(func() { s.layer.Run(layer) })

	var keepers sync.WaitGroup
	for _, c := range s.carriers {
		keepers.Go(func() { s.keep(ctx, c) })
	}
	<-ctx.Done()
	s.Drain()
	deadline := time.Now().Add(min(partingTime, 64*s.timers.T1))
	s.endAll()
	keepers.Wait() // they take the registrations back
	s.awaitLegs(deadline)
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	stopLayer()
	serving.Wait()
	s.releaseAll()
	s.crew.Close()
	return nil
}

// Drain refuses new calls in both directions from now on: carriers get 503 with
// Retry-After, Dial a fault.Unavailable. Live calls go on.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Counts is what a Server holds right now.
type Counts struct {
	Dialogs      int // legs whose SIP dialog or transaction of an INVITE still lives
	Sockets      int // RTP and RTCP sockets
	Transactions int // they outlive their dialogs by up to 64 T1
	Connections  int // TCP and TLS
}

// Open counts what the Server holds, for tests of leaks and for metrics.
func (s *Server) Open() Counts {
	tx, conns := s.layer.Open()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[*leg]bool{}
	for _, l := range s.legs {
		seen[l] = true
	}
	return Counts{Dialogs: len(seen), Sockets: s.sockets, Transactions: tx, Connections: conns}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *Server) allLegs() map[*leg]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[*leg]bool{}
	for _, l := range s.legs {
		all[l] = true
	}
	return all
}

func (s *Server) endAll() {
	for l := range s.allLegs() {
		l.End(call.Shutdown)
	}
}

// awaitLegs returns when every dialog is over or the time is up.
func (s *Server) awaitLegs(deadline time.Time) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(s.allLegs()) > 0 && time.Now().Before(deadline) {
		<-tick.C
	}
}

func (s *Server) releaseAll() {
	for l := range s.allLegs() {
		l.queue.Post(l.release)
	}
}

func dialogKey(callID, localTag string) string { return callID + "|" + localTag }

func (s *Server) addLeg(key string, l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legs[key] = l
}

func (s *Server) dropLeg(l *leg, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if s.legs[k] == l {
			delete(s.legs, k)
		}
	}
}

// legOf finds the leg that a request within a dialog belongs to.
func (s *Server) legOf(req *sip.Request) *leg {
	if req.To() == nil || req.CallID() == nil {
		return nil
	}
	tag, ok := req.To().Params.Get("tag")
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.legs[dialogKey(string(*req.CallID()), tag)]
}

// carrierAt returns the carrier that calls from the address: of several the one
// whose port it is, else the first.
func (s *Server) carrierAt(from netip.AddrPort) *carrier {
	var first *carrier
	for _, c := range s.carriers {
		if !c.knows(from.Addr()) {
			continue
		}
		if c.signalsFrom(from) {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}

// handler is the Server as its transaction layer sees it.
type handler Server

func (h *handler) server() *Server { return (*Server)(h) }

// Known implements transaction.Handler.
func (h *handler) Known(addr netip.Addr) bool {
	for _, c := range h.carriers {
		if c.knows(addr) {
			return true
		}
	}
	return false
}

// Admit implements transaction.Handler. A request within a dialog of ours may
// come from anywhere: nobody guesses our tag, and carriers' inner hosts are many.
func (h *handler) Admit(req *sip.Request, from transaction.Hop) bool {
	return h.Known(from.Addr.Addr()) || h.server().legOf(req) != nil
}

// SentBy implements transaction.Handler.
func (h *handler) SentBy(network string, remote netip.Addr) (string, int) {
	s := h.server()
	return s.announced(s.carrierAt(netip.AddrPortFrom(remote, 0)), network, remote)
}

// Dropped implements transaction.Handler.
func (h *handler) Dropped(why string, from transaction.Hop) {
	h.metrics.dropped.WithLabelValues(why, from.Network).Inc()
}

// Ack implements transaction.Handler.
func (h *handler) Ack(req *sip.Request, _ transaction.Hop) {
	if l := h.server().legOf(req); l != nil {
		l.queue.Post(func() { l.ack(req) })
	}
}

// Request implements transaction.Handler.
func (h *handler) Request(tx *transaction.Server) {
	s := h.server()
	req := tx.Request
	if l := s.legOf(req); l != nil {
		if req.IsInvite() {
			tx.Answer(sip.StatusTrying, "")
		}
		l.queue.Post(func() { l.inDialog(tx) })
		return
	}
	if _, within := req.To().Params.Get("tag"); within {
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	switch req.Method {
	case sip.INVITE:
		s.invited(tx)
	case sip.OPTIONS:
		s.options(tx)
	case sip.CANCEL:
		tx.Answer(sip.StatusCallTransactionDoesNotExists, newTag())
	case sip.BYE, sip.PRACK, sip.UPDATE, sip.INFO:
		tx.Answer(sip.StatusCallTransactionDoesNotExists, newTag())
	default:
		s.unsupported(tx)
	}
}

var _ switchboard.Dialer = (*Server)(nil)

// refusal maps why the Exchange refused a call to a status.
func refusal(err error) int {
	switch fault.KindOf(err) {
	case fault.TooMany, fault.Unavailable, fault.Conflict:
		return sip.StatusServiceUnavailable
	case fault.NotFound:
		return sip.StatusNotFound
	case fault.Forbidden, fault.Unauthenticated:
		return sip.StatusForbidden
	case fault.Invalid:
		return sip.StatusAddressIncomplete
	case fault.Internal:
	}
	return sip.StatusInternalServerError
}
