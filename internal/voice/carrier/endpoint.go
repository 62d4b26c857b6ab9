package carrier

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// allow names the methods the carrier understands.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, REGISTER"

// endpoint is the carrier's SIP side: one UDP socket with sipgo's transactions
// on it.
type endpoint struct {
	ua     *sipgo.UserAgent
	server *sipgo.Server
	conn   *noticedConn
	addr   netip.AddrPort // what Via and Contact say
}

// newEndpoint takes over the socket. peer only helps to choose an address of
// ours to name when the socket is bound to all. stray gets the responses that no
// transaction waits for any more.
func newEndpoint(conn net.PacketConn, peer string, stray func(*sip.Response)) (*endpoint, error) {
	addr, err := ownAddress(conn, peer)
	if err != nil {
		return nil, err
	}
	// sipgo's own log lines hold whole messages, and with them phone numbers.
	quiet := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgent("Dialtone simulated carrier"),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(stray),
		),
	)
	if err != nil {
		return nil, err
	}
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return nil, err
	}
	return &endpoint{ua: ua, server: server, conn: &noticedConn{PacketConn: conn, read: make(chan struct{})}, addr: addr}, nil
}

// serve reads until the socket is closed.
func (e *endpoint) serve() error { return e.server.ServeUDP(e.conn) }

// ready is closed once the socket is being read, from when on requests can be sent.
func (e *endpoint) ready() <-chan struct{} { return e.conn.read }

func (e *endpoint) close() {
	e.conn.Close()
	e.ua.Close()
}

// uri returns a SIP address at our own host.
func (e *endpoint) uri(user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: host(e.addr.Addr()), Port: int(e.addr.Port())}
}

func host(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func (e *endpoint) contact() sip.Header {
	return &sip.ContactHeader{Address: e.uri("carrier")}
}

// finish adds what every request of ours carries.
func (e *endpoint) finish(req *sip.Request, body []byte) {
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP",
		Host: host(e.addr.Addr()), Port: int(e.addr.Port()),
	}
	via.Params.Add("branch", sip.GenerateBranchN(16))
	via.Params.Add("rport", "")
	hops := sip.MaxForwardsHeader(70)
	req.PrependHeader(via, &hops)
	req.AppendHeader(e.contact())
	req.AppendHeader(sip.NewHeader("User-Agent", e.ua.Name()))
	req.AppendHeader(sip.NewHeader("Allow", allow))
	if body != nil {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	req.SetBody(body)
	req.SetTransport("UDP")
	local := e.conn.LocalAddr().(*net.UDPAddr)
	req.Laddr = sip.Addr{IP: local.IP, Port: local.Port}
}

// send starts a client transaction.
func (e *endpoint) send(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	return e.ua.TransactionLayer().Request(ctx, req)
}

// write sends a request that has no transaction: the ACK to a 2xx.
func (e *endpoint) write(req *sip.Request) error {
	return e.ua.TransportLayer().WriteMsg(req)
}

// respond answers a request, in a dialog with its tag.
func (e *endpoint) respond(tx sip.ServerTransaction, req *sip.Request, tag string, status int, reason string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	res := sip.NewResponseFromRequest(req, status, reason, nil)
	if to := res.To(); to != nil && tag != "" && status != 100 {
		to.Params.Add("tag", tag)
	}
	if req.IsInvite() || req.Method == sip.UPDATE {
		res.AppendHeader(e.contact())
	}
	res.AppendHeader(sip.NewHeader("Allow", allow))
	res.AppendHeader(sip.NewHeader("Server", e.ua.Name()))
	for _, h := range headers {
		res.AppendHeader(h)
	}
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	res.SetBody(body)
	return res, tx.Respond(res)
}

// ownAddress returns the address under which the peer can reach the socket.
func ownAddress(conn net.PacketConn, peer string) (netip.AddrPort, error) {
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("the socket's address is a %T, not of UDP", conn.LocalAddr())
	}
	addr := local.AddrPort()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.Addr().IsUnspecified() {
		return addr, nil
	}
	if peer == "" {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port()), nil
	}
	// Connecting a UDP socket sends nothing: it only chooses the route.
	c, err := net.Dial("udp", peer)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find the way to %s: %w", peer, err)
	}
	defer c.Close()
	way := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(way.Addr().Unmap(), addr.Port()), nil
}

// noticedConn tells when it is read for the first time: sipgo gives no other
// sign that it can send from this socket.
type noticedConn struct {
	net.PacketConn
	once sync.Once
	read chan struct{}
}

func (c *noticedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.read) })
	return c.PacketConn.ReadFrom(b)
}
