// Package carrier is a simulated phone carrier: real SIP and real RTP over UDP,
// for the demo, drills and tests. It takes calls to numbers with a fixed
// behaviour each (see numbers.go), makes calls into a node, and measures what it
// hears.
//
// A Carrier owns its SIP socket and one RTP socket per call; all its methods are
// safe for concurrent use. It shares no code with the node's own SIP, RTP and
// codecs, so that a mistake there is not repeated here. It never authenticates
// the node unless told to, and must not be reachable from a real network.
package carrier

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Options say how a Carrier behaves. Conn is required.
type Options struct {
	// Conn is the UDP socket for SIP. The Carrier takes it over: Run closes it.
	Conn net.PacketConn

	// Node is the node's SIP address, host:port: where CallIn calls when its own
	// options name none.
	Node string

	Log *slog.Logger // nil: nothing is logged

	// ListenRTP opens the socket for one call's audio; nil: a free UDP port at
	// the address that Conn is reached by.
	ListenRTP func() (net.PacketConn, error)

	// Ring is how long a number rings before it answers; 0: 300 ms, negative:
	// it answers at once, without a 180.
	Ring time.Duration

	// Step is the pause between the steps of the numbers that do things by
	// themselves (…106 to …109); 0: 2 s.
	Step time.Duration

	// Users, by name with their passwords, are who may REGISTER; nil: everyone
	// may, unasked.
	Users map[string]string

	// Challenge asks for one of Users' credentials (407) at INVITE too.
	Challenge bool

	// MaxCalls bounds the calls at one time, more get 503; 0: 1000. Keep bounds the
	// ended calls that Calls still shows, the oldest goes first; 0: 200.
	MaxCalls, Keep int
}

// Carrier is a simulated carrier. Make it with New; it works while Run runs.
type Carrier struct {
	o   Options
	log *slog.Logger
	end *endpoint

	secret uint32 // of the nonces

	// work counts what must be over before Run returns: handlers and calls.
	work sync.WaitGroup

	mu            sync.Mutex
	closing       bool
	running       map[string]*call // by dialog
	order         []*call          // running and ended ones, oldest first
	registrations map[string]Registration
}

// New returns a Carrier on o.Conn, which it owns from then on, also when it
// fails.
func New(o Options) (*Carrier, error) {
	if o.Conn == nil {
		return nil, errors.New("carrier: no socket given")
	}
	c := &Carrier{secret: random32(), running: map[string]*call{}, registrations: map[string]Registration{}}
	end, err := newEndpoint(o.Conn, o.Node, c.strayResponse)
	if err != nil {
		o.Conn.Close()
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ListenRTP == nil {
		at := net.UDPAddr{IP: end.addr.Addr().AsSlice(), Zone: end.addr.Addr().Zone()}
		o.ListenRTP = func() (net.PacketConn, error) { return net.ListenUDP("udp", &at) }
	}
	if o.Ring == 0 {
		o.Ring = 300 * time.Millisecond
	}
	if o.Step == 0 {
		o.Step = 2 * time.Second
	}
	if o.MaxCalls == 0 {
		o.MaxCalls = 1000
	}
	if o.Keep == 0 {
		o.Keep = 200
	}
	c.o, c.log, c.end = o, o.Log, end
	for method, handle := range map[sip.RequestMethod]func(*sip.Request, sip.ServerTransaction){
		sip.INVITE: c.invite, sip.ACK: c.ack, sip.BYE: c.bye, sip.UPDATE: c.update,
		sip.OPTIONS: c.options, sip.REGISTER: c.register, sip.INFO: c.inDialog, sip.PRACK: c.prack,
		sip.CANCEL: c.strayCancel,
	} {
		end.server.OnRequest(method, c.tracked(handle))
	}
	return c, nil
}

// Addr returns the address that the carrier's SIP socket is reached by.
func (c *Carrier) Addr() string { return c.end.addr.String() }

// Run serves until the context ends, then hangs up every call, closes the
// socket and waits for all that it started. It returns nil after a stop by
// context, else why the socket failed. It may be called once.
func (c *Carrier) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- c.end.serve() }()

	var failed error
	select {
	case <-ctx.Done():
	case err := <-served:
		failed = errors.Join(errors.New("carrier: the SIP socket closed"), err)
		served <- err
	}

	c.mu.Lock()
	c.closing = true
	for _, call := range c.running {
		call.hangUp(EndedHere)
	}
	c.mu.Unlock()
	c.work.Wait()
	c.end.close()
	<-served // with the error of the socket that we closed
	return failed
}

// tracked makes Run wait for a handler, and refuses work once it stops.
func (c *Carrier) tracked(handle func(*sip.Request, sip.ServerTransaction)) func(*sip.Request, sip.ServerTransaction) {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		c.mu.Lock()
		// A BYE and an ACK must get through to the calls that are being hung up.
		refused := c.closing && req.Method != sip.BYE && req.Method != sip.ACK
		if !refused {
			c.work.Add(1)
		}
		c.mu.Unlock()
		if refused {
			c.refuse(req, tx, 503, "Service Unavailable")
			return
		}
		defer c.work.Done()
		handle(req, tx)
	}
}

// refuse answers with a final status; an ACK is never answered.
func (c *Carrier) refuse(req *sip.Request, tx sip.ServerTransaction, status int, reason string, headers ...sip.Header) {
	if req.IsAck() {
		return
	}
	if _, err := c.end.respond(tx, req, "", status, reason, nil, headers...); err != nil {
		c.log.Debug("response not sent", "status", status, "error", err)
	}
}

func (c *Carrier) options(req *sip.Request, tx sip.ServerTransaction) {
	c.refuse(req, tx, 200, "OK", sip.NewHeader("Accept", "application/sdp"))
}

func (c *Carrier) strayCancel(req *sip.Request, tx sip.ServerTransaction) {
	c.refuse(req, tx, 481, "Call/Transaction Does Not Exist")
}

// add takes a call in, unless there are too many or the carrier stops.
func (c *Carrier) add(call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || len(c.running) >= c.o.MaxCalls {
		return false
	}
	c.work.Add(1) // done by forget
	c.running[call.dialog.id] = call
	c.order = append(c.order, call)
	return true
}

// forget moves a call that is over to the ended ones.
func (c *Carrier) forget(call *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[call.dialog.id] != call {
		return
	}
	delete(c.running, call.dialog.id)
	ended := len(c.order) - len(c.running)
	for i := 0; ended > c.o.Keep; {
		if c.running[c.order[i].dialog.id] == c.order[i] {
			i++
			continue
		}
		c.order = append(c.order[:i], c.order[i+1:]...)
		ended--
	}
	c.work.Done()
}

// find returns the call of a request within a dialog.
func (c *Carrier) find(req *sip.Request) *call {
	id, to := req.CallID(), req.To()
	if id == nil || to == nil {
		return nil
	}
	tag, _ := to.Params.Get("tag")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[dialogID(id.Value(), tag)]
}

// Calls returns the calls there are and the latest that ended, oldest first.
func (c *Carrier) Calls() []Report {
	c.mu.Lock()
	calls := append([]*call(nil), c.order...)
	c.mu.Unlock()
	reports := make([]Report, len(calls))
	for i, call := range calls {
		reports[i] = call.report()
	}
	return reports
}

// Await returns the first call, oldest first, for which ok is true, as soon as
// there is one; or the context's error.
func (c *Carrier) Await(ctx context.Context, ok func(Report) bool) (Report, error) {
	// What a call heard changes with every packet: there is no event to wait for.
	look := time.NewTicker(2 * frameTime)
	defer look.Stop()
	for {
		for _, r := range c.Calls() {
			if ok(r) {
				return r, nil
			}
		}
		select {
		case <-ctx.Done():
			return Report{}, ctx.Err()
		case <-look.C:
		}
	}
}

func random32() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}
