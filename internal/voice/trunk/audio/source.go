package audio

import (
	"net/netip"
	"time"

	"github.com/pion/rtp"
)

const (
	// learnAfter is how many packets in order a source must send before it is
	// believed without being the one that the far end named.
	learnAfter = 3
	// relearnAfter is how long the learnt source must be silent before another may
	// take its place: a NAT that rebinds, a gateway that moves.
	relearnAfter = 2 * time.Second
)

// source learns where the far end's packets come from and keeps strangers out.
// The address that the far end named is believed at once and always; another
// only from an allowed place, while the named one does not send.
type source struct {
	locked netip.AddrPort
	last   time.Time // when the locked one was heard

	candidate netip.AddrPort
	ssrc      uint32
	seq       uint16
	run       int
}

func (s *source) take(far *Far, h *rtp.Header, from netip.AddrPort, now time.Time) bool {
	switch {
	case from == s.locked:
		s.last = now
		return true
	case from == far.Addr:
		s.lock(from, now)
		return true
	case s.locked.IsValid() && now.Sub(s.last) < relearnAfter, !far.allows(from.Addr()):
		return false
	}
	if from == s.candidate && h.SSRC == s.ssrc && h.SequenceNumber == s.seq+1 {
		s.run++
	} else {
		s.candidate, s.ssrc, s.run = from, h.SSRC, 1
	}
	s.seq = h.SequenceNumber
	if s.run < learnAfter {
		return false
	}
	s.lock(from, now)
	return true
}

func (s *source) lock(from netip.AddrPort, now time.Time) {
	*s = source{locked: from, last: now}
}

func (f *Far) allows(addr netip.Addr) bool {
	if addr == f.Addr.Addr() {
		return true
	}
	for _, p := range f.Allowed {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
