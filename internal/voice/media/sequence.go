package media

// sequence follows the sequence numbers of a far end's stream: it extends them
// beyond 16 bits, drops duplicates, counts what is missing, and notices when the
// stream starts anew (RFC 3550, appendix A.1).
type sequence struct {
	ssrc    uint32
	gen     uint32 // counts streams; 0 before the first packet
	newest  uint64
	seen    uint64 // bit n: newest-n has arrived
	strange uint16 // the number that would prove a restart
	odd     bool   // strange is set
	missing uint64 // holes that nothing filled
}

const (
	dropout  = 3000 // a larger step forward is a restart
	misorder = 64   // so far back a packet still counts as late
)

// take returns the packet's extended number; fresh is false for a duplicate, for
// one that is too late, and for a first stray that may belong to no stream.
func (s *sequence) take(ssrc uint32, seq uint16) (ext uint64, fresh bool) {
	if s.gen == 0 || ssrc != s.ssrc {
		s.restart(ssrc, seq)
		return s.newest, true
	}
	d := int(int16(seq - uint16(s.newest)))
	switch {
	case d > 0 && d < dropout:
		s.newest += uint64(d)
		s.seen = s.seen<<min(d, 64) | 1
		s.missing += uint64(d - 1)
		s.odd = false
		return s.newest, true
	case d <= 0 && d > -misorder:
		bit := uint64(1) << -d
		if s.seen&bit != 0 {
			return 0, false
		}
		s.seen |= bit
		if s.missing > 0 {
			s.missing--
		}
		return s.newest - uint64(-d), true
	case s.odd && seq == s.strange:
		s.restart(ssrc, seq)
		return s.newest, true
	}
	s.strange, s.odd = seq+1, true
	return 0, false
}

// skip counts a packet that is not ours to use, and reports whether it is one of
// the stream's that was not seen before.
func (s *sequence) skip(ssrc uint32, seq uint16) (fresh bool) {
	if s.gen != 0 && ssrc == s.ssrc {
		_, fresh = s.take(ssrc, seq)
	}
	return fresh
}

func (s *sequence) restart(ssrc uint32, seq uint16) {
	s.gen++
	s.ssrc, s.odd = ssrc, false
	s.newest = 1<<32 | uint64(seq) // room below for late packets
	s.seen = ^uint64(0)            // what came before the start is not awaited
}
