package trunk

import (
	"errors"
	"io"
	"net"
)

// Sockets are the SIP ports of a node, as Options takes them.
type Sockets struct {
	UDP []net.PacketConn
	TCP []net.Listener
	TLS []net.Listener
}

// Listen opens UDP and TCP on the same address and port and, unless tlsAddress is
// empty, a port for TLS. With port 0 UDP and TCP get the same free port.
func Listen(address, tlsAddress string) (s Sockets, err error) {
	defer func() {
		if err != nil {
			s.Close()
			s = Sockets{}
		}
	}()
	for range 20 {
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			return s, err
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			s.UDP, s.TCP = []net.PacketConn{udp}, []net.Listener{tcp}
			break
		}
		_ = udp.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" {
			return s, err
		}
	}
	if s.UDP == nil {
		return s, errors.New("trunk: no port is free for both UDP and TCP")
	}
	if tlsAddress != "" {
		ln, err := net.Listen("tcp", tlsAddress)
		if err != nil {
			return s, err
		}
		s.TLS = []net.Listener{ln}
	}
	return s, nil
}

// Close closes all sockets; for when no Server was made of them.
func (s Sockets) Close() {
	var all []io.Closer
	for _, c := range s.UDP {
		all = append(all, c)
	}
	for _, l := range append(append([]net.Listener(nil), s.TCP...), s.TLS...) {
		all = append(all, l)
	}
	for _, c := range all {
		_ = c.Close()
	}
}
