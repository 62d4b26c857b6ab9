package trunk

import (
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/transaction"
)

// localTo returns our address as the remote sees it where no NAT is between.
func (s *Server) localTo(remote netip.Addr) netip.Addr {
	for _, c := range s.o.UDP {
		if a, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil && !a.Addr().IsUnspecified() {
			return a.Addr().Unmap()
		}
	}
	s.mu.Lock()
	local, ok := s.locals[remote]
	s.mu.Unlock()
	if ok {
		return local
	}
	// Connecting a UDP socket sends nothing; it asks the routing table.
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 9)))
	if err != nil {
		return netip.IPv4Unspecified()
	}
	defer conn.Close()
	a, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	local = a.Addr().Unmap()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.locals) > 1000 {
		clear(s.locals)
	}
	s.locals[remote] = local
	return local
}

// announced returns the host and port that the remote is to reach us at.
func (s *Server) announced(c *carrier, network string, remote netip.Addr) (string, int) {
	host := s.o.Config.Announce
	if c != nil {
		host = c.Announce
	}
	if host == "" {
		host = s.localTo(remote).String()
	}
	return strings.Trim(host, "[]"), s.port(network)
}

func (s *Server) port(network string) int {
	var addr net.Addr
	switch {
	case network == transaction.UDP && len(s.o.UDP) > 0:
		addr = s.o.UDP[0].LocalAddr()
	case network == transaction.TCP && len(s.o.TCP) > 0:
		addr = s.o.TCP[0].Addr()
	case network == transaction.TLS && len(s.o.TLS) > 0:
		addr = s.o.TLS[0].Addr()
	default:
		return defaultPort(network)
	}
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return defaultPort(network)
	}
	return int(a.Port())
}

// contact is where the carrier sends requests within a dialog.
func (s *Server) contact(c *carrier, hop transaction.Hop) *sip.ContactHeader {
	host, port := s.announced(c, hop.Network, hop.Addr.Addr())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u := sip.Uri{Scheme: "sip", User: c.contactUser(), Host: host, Port: port}
	if hop.Network != transaction.UDP {
		u.UriParams.Add("transport", hop.Network)
	}
	return &sip.ContactHeader{Address: u}
}

// mediaAddr is the address in our descriptions.
func (s *Server) mediaAddr(c *carrier, remote netip.Addr) netip.Addr {
	if c.AnnounceRTP.IsValid() {
		return c.AnnounceRTP
	}
	if a, err := netip.ParseAddr(strings.Trim(c.Announce, "[]")); err == nil {
		return a
	}
	if b := s.o.Config.RTPBind; b.IsValid() && !b.IsUnspecified() {
		return b
	}
	return s.localTo(remote)
}
