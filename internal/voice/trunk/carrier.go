package trunk

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"dialtone/internal/voice/trunk/transaction"
)

// Resolver looks names up; net.DefaultResolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

const (
	resolveEvery   = time.Minute
	resolveSoon    = 5 * time.Second // while a name was never resolved
	resolveTimeout = 5 * time.Second
)

// carrier is what is known of one trunk's other end right now.
type carrier struct {
	Trunk

	mu      sync.Mutex
	hops    []transaction.Hop // where requests go, the best first; empty until resolved
	sources []netip.Prefix    // where it calls from
	down    bool              // does not answer OPTIONS
	calls   int
}

func newCarrier(t Trunk) *carrier {
	c := &carrier{Trunk: t}
	host, port := c.nextHop()
	if addr, err := netip.ParseAddr(host); err == nil {
		c.hops = []transaction.Hop{c.hop(addr.Unmap(), port)}
	}
	c.setSources(nil)
	return c
}

// nextHop is the host that requests go to, and its port or 0.
func (c *carrier) nextHop() (string, int) {
	if c.Proxy != "" {
		if host, port, err := splitHostPort(c.Proxy); err == nil {
			return host, port
		}
	}
	return strings.Trim(c.Host, "[]"), c.Port
}

func (c *carrier) hop(addr netip.Addr, port int) transaction.Hop {
	if port == 0 {
		port = defaultPort(c.Transport)
	}
	name := c.TLSName
	if name == "" {
		name, _ = c.nextHop()
	}
	return transaction.Hop{Network: c.Transport, Addr: netip.AddrPortFrom(addr, uint16(port)), Name: name}
}

func defaultPort(network string) int {
	if network == transaction.TLS {
		return 5061
	}
	return 5060
}

// setSources joins the literal sources with what names resolved to.
func (c *carrier) setSources(resolved []netip.Addr) {
	var list []netip.Prefix
	for _, s := range c.Sources {
		if p, ok := parsePrefix(s); ok {
			list = append(list, p)
		}
	}
	if len(c.Sources) == 0 {
		for _, h := range c.hops {
			resolved = append(resolved, h.Addr.Addr())
		}
		if a, err := netip.ParseAddr(strings.Trim(c.Host, "[]")); err == nil {
			resolved = append(resolved, a)
		}
	}
	for _, a := range resolved {
		a = a.Unmap()
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	c.sources = list
}

// resolve looks up every name of the trunk and keeps what it knew of those that
// cannot be looked up now.
func (c *carrier) resolve(ctx context.Context, r Resolver) error {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	host, port := c.nextHop()
	var hops []transaction.Hop
	var failed error
	if _, err := netip.ParseAddr(host); err != nil {
		hops, failed = c.lookup(ctx, r, host, port)
	}
	var addrs []netip.Addr
	names := c.Sources
	if len(names) == 0 {
		names = []string{strings.Trim(c.Host, "[]")}
	}
	for _, name := range names {
		if _, ok := parsePrefix(name); ok {
			continue
		}
		found, err := r.LookupNetIP(ctx, "ip", name)
		if err != nil && len(hops) == 0 {
			failed = err
		}
		addrs = append(addrs, found...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(hops) > 0 {
		// The address that answered last stays first.
		if i := slices.IndexFunc(hops, func(h transaction.Hop) bool { return len(c.hops) > 0 && h.Same(c.hops[0]) }); i > 0 {
			hops[0], hops[i] = hops[i], hops[0]
		}
		c.hops = hops
	}
	if failed == nil || len(addrs) > 0 {
		c.setSources(addrs)
	}
	return failed
}

// lookup follows RFC 3263 as far as a trunk needs it: SRV when no port is set,
// else addresses.
func (c *carrier) lookup(ctx context.Context, r Resolver, host string, port int) ([]transaction.Hop, error) {
	type target struct {
		host string
		port int
	}
	targets := []target{{host, port}}
	if port == 0 {
		service, proto := "sip", c.Transport
		if c.Transport == transaction.TLS {
			service, proto = "sips", transaction.TCP
		}
		if _, srv, err := r.LookupSRV(ctx, service, proto, host); err == nil && len(srv) > 0 {
			targets = targets[:0]
			for _, s := range srv {
				targets = append(targets, target{strings.TrimSuffix(s.Target, "."), int(s.Port)})
			}
		}
	}
	var hops []transaction.Hop
	var failed error
	for _, t := range targets {
		addrs, err := r.LookupNetIP(ctx, "ip", t.host)
		if err != nil {
			failed = err
			continue
		}
		for _, a := range addrs {
			hops = append(hops, c.hop(a.Unmap(), t.port))
		}
	}
	if len(hops) > 0 {
		return hops, nil
	}
	return nil, failed
}

// target returns where requests go now; ok is false while the name is not resolved.
func (c *carrier) target() (transaction.Hop, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hops) == 0 {
		return transaction.Hop{}, false
	}
	return c.hops[0], true
}

// maxHops is how many of a carrier's addresses are tried for one call.
const maxHops = 3

// targets returns the addresses that requests may go to, the best first.
func (c *carrier) targets() []transaction.Hop {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hops[:min(len(c.hops), maxHops)])
}

// prefer puts an address that answers before the others.
func (c *carrier) prefer(hop transaction.Hop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.hops, hop.Same); i > 0 {
		hops := slices.Clone(c.hops)
		hops[0], hops[i] = hops[i], hops[0]
		c.hops = hops
	}
}

// knows reports whether the address is one that the carrier calls from.
func (c *carrier) knows(addr netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.sources {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// signalsFrom reports whether requests to the carrier go to exactly this address.
func (c *carrier) signalsFrom(addr netip.AddrPort) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hops {
		if h.Addr == addr {
			return true
		}
	}
	return false
}

func (c *carrier) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}

// enter takes one of the carrier's places for a call; with force also beyond the last.
func (c *carrier) enter(force bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.MaxCalls > 0 && c.calls >= c.MaxCalls && !force {
		return false
	}
	c.calls++
	return true
}

func (c *carrier) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
}
