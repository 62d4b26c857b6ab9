package audio

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// port is one UDP port, or what a test injects in its place.
type port struct {
	conn  net.PacketConn
	udp   *net.UDPConn // conn, when it is one: no allocation per packet
	local netip.AddrPort
}

func newPort(c net.PacketConn) *port {
	p := &port{conn: c}
	p.udp, _ = c.(*net.UDPConn)
	p.local, _ = netip.ParseAddrPort(c.LocalAddr().String())
	return p
}

func (p *port) read(b []byte) (int, netip.AddrPort, error) {
	if p.udp != nil {
		n, from, err := p.udp.ReadFromUDPAddrPort(b)
		return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
	}
	n, addr, err := p.conn.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	from, err := netip.ParseAddrPort(addr.String())
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func (p *port) write(b []byte, to netip.AddrPort) error {
	var err error
	if p.udp != nil {
		_, err = p.udp.WriteToUDPAddrPort(b, to)
	} else {
		_, err = p.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}
	return err
}

func (p *port) deadline(t time.Time) { _ = p.conn.SetReadDeadline(t) }

func (p *port) close() { _ = p.conn.Close() }

// bindTries is how often a free pair of ports is looked for where the range does
// not say how many there are.
const bindTries = 64

// bind finds an even port for RTP whose next is free for RTCP (RFC 3550 11).
func bind(o Options) (*port, *port, error) {
	listen := func(n int) (*port, error) {
		host := ""
		if o.Bind.IsValid() {
			host = o.Bind.String()
		}
		c, err := o.Listen("udp", net.JoinHostPort(host, fmt.Sprint(n)))
		if err != nil {
			return nil, err
		}
		return newPort(c), nil
	}
	low, pairs := (o.Low+1)&^1, bindTries
	if o.High > 0 {
		pairs = (o.High - low + 1) / 2
	}
	first := 0
	if pairs > 0 {
		first = rand.IntN(pairs) // a port just left is not taken again at once
	}
	var failed error
	for i := range pairs {
		n := 0
		if o.High > 0 {
			n = low + 2*((first+i)%pairs)
		}
		a, err := listen(n)
		if err != nil {
			failed = err
			continue
		}
		if a.local.Port()%2 != 0 {
			// An odd one cannot be RTP's: it is RTCP's if its even neighbour is free.
			if b, err := listen(int(a.local.Port()) - 1); err == nil {
				return b, a, nil
			}
			a.close()
			continue
		}
		b, err := listen(int(a.local.Port()) + 1)
		if err == nil {
			return a, b, nil
		}
		failed = err
		a.close()
	}
	return nil, nil, fmt.Errorf("audio: no free pair of RTP ports: %w", failed)
}
