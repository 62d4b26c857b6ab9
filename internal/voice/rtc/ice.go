package rtc

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pion/stun/v4"
)

// check is an authenticated ICE connectivity check.
type check struct {
	from    path
	mine    string // our ufrag that it names
	theirs  string
	chosen  bool // USE-CANDIDATE
	arrived int64
}

// maxPaths is how many addresses of one browser are known at a time: more than
// an honest one has.
const maxPaths = 16

// stale is how long an address may be silent before another peer may take it
// over, or before an ICE restart may move away from it unasked.
const stale = 2 * time.Second

// receiveSTUN answers a connectivity check (RFC 8445, 7.3, as a lite agent). What
// does not name and prove our credentials gets no answer: we reflect nothing for
// strangers.
func (e *Engine) receiveSTUN(b []byte, from netip.AddrPort, control []byte, now int64) {
	m := &e.request
	m.Raw = append(m.Raw[:0], b...)
	if m.Decode() != nil || m.Type != stun.BindingRequest || stun.Fingerprint.Check(m) != nil {
		return
	}
	name, err := m.Get(stun.AttrUsername)
	if err != nil {
		return
	}
	mine, theirs, ok := strings.Cut(string(name), ":")
	if !ok {
		return
	}
	p, pwd := e.byUfrag(mine)
	if p == nil {
		return
	}
	integrity := stun.NewShortTermIntegrity(pwd)
	if integrity.Check(m) != nil {
		return
	}
	if !e.claim(p, from, now) {
		return
	}
	p.lives(now)
	to := path{to: from, from: sourceOf(control)}
	reply := []stun.Setter{m, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IP(from.Addr().AsSlice()), Port: int(from.Port())}}
	if m.Contains(stun.AttrICEControlled) {
		// Against a lite agent the browser controls (RFC 8445, 7.3.1.1).
		reply = []stun.Setter{m, stun.BindingError, stun.CodeRoleConflict}
	}
	if r, err := stun.Build(append(reply, integrity, stun.Fingerprint)...); err == nil {
		_ = e.send(r.Raw, &to) // lost or not: the browser asks again
	}
	if m.Contains(stun.AttrICEControlled) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check(check{from: to, mine: mine, theirs: theirs, chosen: m.Contains(stun.AttrUseCandidate), arrived: now})
}

// check takes an authenticated check: its address may become the path. Called
// with mu held.
func (p *Peer) check(c check) {
	if p.remote == nil {
		// The browser is faster than its answer. Its first chosen address is kept.
		if p.early == nil || c.chosen || !p.early.chosen {
			p.early = &c
		}
		return
	}
	if c.theirs != p.remote.ice.ufrag && c.mine == p.local[len(p.local)-1].ufrag {
		return // of another page than the one that we talk to
	}
	newest := c.mine == p.local[len(p.local)-1].ufrag
	now := p.path.Load()
	switch {
	case now == nil:
	case newest && p.reached != p.restart:
		if !c.chosen && time.Duration(c.arrived-p.alive.Load()) < stale && now.to != c.from.to {
			return // the old path still works: wait for the browser's choice
		}
	case !newest || !c.chosen || now.to == c.from.to:
		return
	}
	p.path.Store(&c.from)
	if newest && p.reached != p.restart {
		p.reached = p.restart
		if len(p.local) > 1 {
			p.local = p.local[len(p.local)-1:]
			p.engine.know(p, p.local)
		}
	}
	p.dtls.start()
	p.stir()
}

// claim makes the address the peer's; false if it is another's that lives.
func (e *Engine) claim(p *Peer, from netip.AddrPort, now int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner := e.addrs[from]
	if owner == p {
		return true
	}
	if _, known := e.peers[p]; !known {
		return false
	}
	if owner != nil {
		if time.Duration(now-owner.alive.Load()) < stale {
			return false
		}
		owner.forgetLocked(from)
	}
	if len(p.paths) >= maxPaths {
		oldest := 0
		if to := p.path.Load(); to != nil && p.paths[0] == to.to {
			oldest = 1
		}
		delete(e.addrs, p.paths[oldest])
		p.paths = slices.Delete(p.paths, oldest, oldest+1)
	}
	p.paths = append(p.paths, from)
	e.addrs[from] = p
	return true
}

// forgetLocked drops an address; the engine's mu is held.
func (p *Peer) forgetLocked(addr netip.AddrPort) {
	p.paths = slices.DeleteFunc(p.paths, func(a netip.AddrPort) bool { return a == addr })
}
