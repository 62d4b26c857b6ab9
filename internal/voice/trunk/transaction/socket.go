package transaction

import (
	"errors"
	"net"
	"net/netip"

	"dialtone/internal/voice/trunk/message"
)

// socket is one UDP port, or what a test injects in its place.
type socket struct {
	conn  net.PacketConn
	udp   *net.UDPConn // conn, when it is one: no allocation per packet
	local netip.AddrPort
}

func newSocket(c net.PacketConn) *socket {
	s := &socket{conn: c}
	s.udp, _ = c.(*net.UDPConn)
	s.local, _ = netip.ParseAddrPort(c.LocalAddr().String())
	return s
}

func (s *socket) write(raw []byte, to netip.AddrPort) error {
	var err error
	if s.udp != nil {
		_, err = s.udp.WriteToUDPAddrPort(raw, to)
	} else {
		_, err = s.conn.WriteTo(raw, net.UDPAddrFromAddrPort(to))
	}
	return err
}

func (s *socket) read(b []byte) (int, netip.AddrPort, error) {
	if s.udp != nil {
		n, from, err := s.udp.ReadFromUDPAddrPort(b)
		return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
	}
	n, addr, err := s.conn.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	from, err := netip.ParseAddrPort(addr.String())
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func (l *Layer) readUDP(s *socket) {
	buf := make([]byte, message.MaxSize+1)
	for {
		n, from, err := s.read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier packet, nothing of this one
		}
		if raw := message.TrimKeepAlive(buf[:n]); len(raw) > 0 {
			l.received(raw, Hop{Network: UDP, Addr: from, via: s})
		}
	}
}
