// Package transaction carries SIP messages: its Layer owns the UDP sockets and
// the TCP and TLS connections (RFC 3261 18), reads them strictly, and keeps the
// client and server transactions (RFC 3261 17, with the accepted state of RFC 6026).
//
// sipgo's own transactions are not used, for four reasons: their timers are
// variables of the package, they handle every message on a goroutine of its own
// (so that a CANCEL may overtake its INVITE), they refuse to send what does not
// fit 1300 bytes, and they look at a message before anyone can say that its
// sender is a stranger.
//
// A Layer is safe for concurrent use. It calls its Handler and the callbacks of
// transactions on the goroutine that read the message or on a timer's; they must
// not block. Dialogs are not its business.
package transaction

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/message"
)

// What a client transaction ends with when no final response came.
var (
	ErrTimeout   = errors.New("no response in time")
	ErrTransport = errors.New("transport failed")
)

// Timers are RFC 3261's (17, table 4), from which all others follow. Zero fields
// take the RFC's values.
type Timers struct {
	T1 time.Duration // round trip estimate: 500 ms; transactions end after 64 of it
	T2 time.Duration // longest pause between retransmissions: 4 s
	T4 time.Duration // how long a message may stay in the network: 5 s
}

// Whole returns the timers with the RFC's values in place of zeros.
func (t Timers) Whole() Timers {
	if t.T1 == 0 {
		t.T1 = 500 * time.Millisecond
	}
	if t.T2 == 0 {
		t.T2 = 4 * time.Second
	}
	if t.T4 == 0 {
		t.T4 = 5 * time.Second
	}
	return t
}

// Networks a Hop can name.
const (
	UDP = "udp"
	TCP = "tcp"
	TLS = "tls"
)

// Hop is the other end of one SIP hop.
type Hop struct {
	Network string
	Addr    netip.AddrPort
	Name    string // the certificate's name for TLS; "": the address

	via  *socket // the UDP socket it came by
	flow *flow   // the connection it came by
}

// String returns "udp:192.0.2.1:5060".
func (h Hop) String() string { return h.Network + ":" + h.Addr.String() }

// Same reports whether both are the same address by the same network.
func (h Hop) Same(o Hop) bool { return h.Network == o.Network && h.Addr == o.Addr }

// Handler is the transaction user.
type Handler interface {
	// Admit says whether a request gets any answer at all. It is asked before
	// anything else is done with it.
	Admit(req *sip.Request, from Hop) bool
	// Known says whether the address is one of a configured peer; only those are
	// told what is wrong with what cannot be read, and only those may connect.
	Known(addr netip.Addr) bool
	// Request takes a new request. ACK and the CANCEL of a known INVITE are not given.
	Request(tx *Server)
	// Ack takes the ACK of a 2xx.
	Ack(req *sip.Request, from Hop)
	// SentBy returns what to write into Via for messages to the remote address.
	SentBy(network string, remote netip.Addr) (host string, port int)
	// Dropped is told of what was not answered ("stranger") or not readable ("malformed").
	Dropped(why string, from Hop)
}

// Options is what a Layer needs.
type Options struct {
	UDP       []net.PacketConn // closed by Run
	TCP       []net.Listener
	TLS       []net.Listener // plain listeners; TLSConfig is put over them
	TLSConfig *tls.Config    // certificates for incoming, roots for outgoing connections
	Timers    Timers
	Handler   Handler
	Log       *slog.Logger
}

// Layer carries messages until its Run ends.
type Layer struct {
	o      Options
	timers Timers
	log    *slog.Logger
	udp    []*socket
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	clients map[string]*Client
	servers map[string]*Server
	flows   map[string]*flow // by Hop.String
}

// New returns a Layer; nothing is read before Run.
func New(o Options) *Layer {
	l := &Layer{
		o: o, timers: o.Timers.Whole(), log: o.Log,
		clients: map[string]*Client{}, servers: map[string]*Server{}, flows: map[string]*flow{},
	}
	for _, c := range o.UDP {
		l.udp = append(l.udp, newSocket(c))
	}
	return l
}

// Run reads until ctx is done, then closes every socket and ends every
// transaction without a word. It returns when nothing of the Layer runs any more.
func (l *Layer) Run(ctx context.Context) {
	for _, s := range l.udp {
		l.wg.Go(func() { l.readUDP(s) })
	}
	for _, ln := range l.o.TCP {
		l.wg.Go(func() { l.accept(ln, TCP) })
	}
	for _, ln := range l.o.TLS {
		l.wg.Go(func() { l.accept(ln, TLS) })
	}
	<-ctx.Done()
	l.close()
	l.wg.Wait()
}

func (l *Layer) close() {
	for _, s := range l.udp {
		_ = s.conn.Close()
	}
	for _, ln := range append(append([]net.Listener(nil), l.o.TCP...), l.o.TLS...) {
		_ = ln.Close()
	}
	l.mu.Lock()
	l.closed = true
	clients, servers, flows := l.clients, l.servers, l.flows
	l.clients, l.servers, l.flows = map[string]*Client{}, map[string]*Server{}, map[string]*flow{}
	l.mu.Unlock()
	for _, c := range clients {
		c.end()
	}
	for _, s := range servers {
		s.end()
	}
	for _, f := range flows {
		f.close()
	}
}

// Open returns how many transactions and connections are held right now.
func (l *Layer) Open() (transactions, connections int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients) + len(l.servers), len(l.flows)
}

// received takes one whole message as it came.
func (l *Layer) received(raw []byte, from Hop) {
	msg, rej := message.Parse(raw)
	if rej != nil {
		l.o.Handler.Dropped("malformed", from)
		l.refuse(rej, raw, from)
		return
	}
	switch m := msg.(type) {
	case *sip.Request:
		if !l.o.Handler.Admit(m, from) {
			l.o.Handler.Dropped("stranger", from)
			return
		}
		if rej := message.Check(m); rej != nil {
			l.o.Handler.Dropped("malformed", from)
			l.refuse(rej, raw, from)
			return
		}
		noteSource(m, from)
		l.request(m, from)
	case *sip.Response:
		l.response(m, from)
	}
}

func (l *Layer) refuse(rej *message.Rejection, raw []byte, from Hop) {
	if !l.o.Handler.Known(from.Addr.Addr()) {
		return
	}
	if answer, ok := rej.Reply(raw); ok {
		_ = l.write(answer, from)
	}
}

// noteSource adds received and rport to the top Via (RFC 3261 18.2.1, RFC 3581 4).
func noteSource(req *sip.Request, from Hop) {
	via := req.Via()
	ip := from.Addr.Addr().String()
	rport, ok := via.Params.Get("rport")
	if ok && rport == "" {
		via.Params.Add("rport", strconv.Itoa(int(from.Addr.Port())))
		via.Params.Add("received", ip)
	} else if via.Host != ip {
		via.Params.Add("received", ip)
	}
}

// answerHop says where responses go (RFC 3261 18.2.2, RFC 3581 4).
func answerHop(req *sip.Request, from Hop) Hop {
	if from.Network != UDP {
		return from
	}
	via := req.Via()
	if via.Params.Has("rport") {
		return from
	}
	port := uint16(5060)
	if via.Port > 0 {
		port = uint16(via.Port)
	}
	from.Addr = netip.AddrPortFrom(from.Addr.Addr(), port)
	return from
}

func (l *Layer) request(req *sip.Request, from Hop) {
	key := serverKey(req)
	l.mu.Lock()
	tx := l.servers[key]
	invite := tx
	if req.IsCancel() {
		invite = l.servers[cancelledKey(req)]
	}
	if tx == nil && !req.IsAck() && !l.closed {
		tx = &Server{Request: req, From: from, layer: l, key: key, to: answerHop(req, from)}
		if !req.IsCancel() || invite == nil {
			l.servers[key] = tx
		}
		l.mu.Unlock()
		if req.IsCancel() && invite != nil {
			l.cancel(req, tx, invite)
			return
		}
		l.o.Handler.Request(tx)
		return
	}
	l.mu.Unlock()
	switch {
	case req.IsAck() && (tx == nil || tx.acknowledged()):
		l.o.Handler.Ack(req, from)
	case tx != nil && !req.IsAck():
		tx.again()
	}
}

// cancel answers a CANCEL of a known INVITE. Its own transaction is not kept: a
// repeated CANCEL gets the same answer.
func (l *Layer) cancel(req *sip.Request, tx, invite *Server) {
	res := NewResponse(req, sip.StatusOK, "")
	res.SetBody(nil)
	_ = l.write([]byte(res.String()), tx.to)
	invite.cancelled()
}

func (l *Layer) response(res *sip.Response, from Hop) {
	via, cseq := res.Via(), res.CSeq()
	if via == nil || cseq == nil || res.To() == nil || res.CallID() == nil {
		l.o.Handler.Dropped("malformed", from)
		return
	}
	branch, _ := via.Params.Get("branch")
	l.mu.Lock()
	tx := l.clients[clientKey(branch, cseq.MethodName)]
	l.mu.Unlock()
	if tx == nil {
		l.o.Handler.Dropped("stray response", from)
		return
	}
	tx.received(res)
}

func clientKey(branch string, method sip.RequestMethod) string { return branch + "|" + string(method) }

// serverKey matches requests to transactions (RFC 3261 17.2.3). An ACK has the key
// of its INVITE.
func serverKey(req *sip.Request) string {
	method := req.Method
	if method == sip.ACK {
		method = sip.INVITE
	}
	return keyOf(req, method)
}

func cancelledKey(req *sip.Request) string { return keyOf(req, sip.INVITE) }

func keyOf(req *sip.Request, method sip.RequestMethod) string {
	via := req.Via()
	branch, _ := via.Params.Get("branch")
	var key strings.Builder
	key.WriteString(via.SentBy())
	key.WriteByte('|')
	key.WriteString(string(method))
	key.WriteByte('|')
	key.WriteString(branch)
	// A client of RFC 2543 has no branch that tells its requests apart; "z9hG4bK"
	// and nothing more is no better (RFC 4475 3.2.1).
	if !strings.HasPrefix(branch, sip.RFC3261BranchMagicCookie) || len(branch) == len(sip.RFC3261BranchMagicCookie) {
		tag, _ := req.From().Params.Get("tag")
		key.WriteByte('|')
		key.WriteString(string(*req.CallID()))
		key.WriteByte('|')
		key.WriteString(tag)
		key.WriteByte('|')
		key.WriteString(strconv.FormatUint(uint64(req.CSeq().SeqNo), 10))
	}
	return key.String()
}

// write sends bytes to a hop. Errors of UDP show as missing answers.
func (l *Layer) write(raw []byte, to Hop) error {
	if to.Network == UDP {
		s := to.via
		if s == nil {
			s = l.socketFor(to.Addr.Addr())
		}
		if s == nil {
			return ErrTransport
		}
		return s.write(raw, to.Addr)
	}
	f := to.flow
	if f == nil || f.isClosed() {
		var err error
		if f, err = l.flowTo(to); err != nil {
			return err
		}
	}
	return f.write(raw)
}

func (l *Layer) socketFor(addr netip.Addr) *socket {
	for _, s := range l.udp {
		if local := s.local.Addr(); !local.IsValid() || local.Is4() == addr.Is4() || local.Is6() && local.IsUnspecified() {
			return s
		}
	}
	return nil
}

// Write sends a request outside of a transaction: the ACK of a 2xx. It adds Via.
// The written bytes can be sent again with Rewrite.
func (l *Layer) Write(req *sip.Request, to Hop) (raw []byte, err error) {
	l.addVia(req, to, newBranch())
	raw = []byte(req.String())
	return raw, l.write(raw, to)
}

// Rewrite sends bytes once more.
func (l *Layer) Rewrite(raw []byte, to Hop) { _ = l.write(raw, to) }

func newBranch() string { return sip.RFC3261BranchMagicCookie + rand.Text() }

func (l *Layer) addVia(req *sip.Request, to Hop, branch string) {
	host, port := l.o.Handler.SentBy(to.Network, to.Addr.Addr())
	req.PrependHeader(&sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(to.Network), Host: host, Port: port,
		Params: sip.HeaderParams{{K: "branch", V: branch}, {K: "rport"}},
	})
}

// Alive reports whether the connection that a hop came by still stands. It is
// true for UDP.
func (h Hop) Alive() bool {
	return h.Network == UDP || h.flow != nil && !h.flow.isClosed()
}

// On returns h, sent from the UDP socket that the other hop's messages came by:
// carriers filter by our port too.
func (h Hop) On(o Hop) Hop {
	if h.Network == UDP && o.Network == UDP {
		h.via = o.via
	}
	return h
}
