package rtc

import (
	"net"
	"net/netip"
	"slices"
)

// maxAddresses is how many candidates an SDP carries; each costs the browser checks.
const maxAddresses = 16

// addresses returns what goes into our SDP as candidates, best first.
func (e *Engine) addresses() []netip.Addr {
	if len(e.announce) > 0 {
		return e.announce[:min(len(e.announce), maxAddresses)]
	}
	bound := e.listen.Addr()
	if bound.IsValid() && !bound.IsUnspecified() {
		return []netip.Addr{bound.WithZone("")}
	}
	found := localAddresses(bound.Is6() && !bound.Is4In6())
	if len(found) == 0 {
		found = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return found[:min(len(found), maxAddresses)]
}

// localAddresses returns the addresses that a socket bound to all of them has:
// IPv4, with both also IPv6, loopback last. Link-local ones need a zone, which
// SDP cannot carry.
func localAddresses(both bool) []netip.Addr {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, n := range nets {
		ipn, ok := n.(*net.IPNet)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(ipn.IP)
		a = a.Unmap()
		if !ok || a.IsLinkLocalUnicast() || a.IsMulticast() || a.Is6() && !both {
			continue
		}
		out = append(out, a)
	}
	rank := func(a netip.Addr) int {
		switch {
		case a.IsLoopback() && a.Is6():
			return 3
		case a.IsLoopback():
			return 2
		case a.Is6():
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	return out
}
