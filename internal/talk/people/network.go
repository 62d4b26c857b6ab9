package people

import "net/netip"

// network returns what failures from an address are counted under: the address,
// or the /64 of an IPv6 address, which one subscriber has to himself.
func network(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return remote
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return remote
	}
	return prefix.String()
}
