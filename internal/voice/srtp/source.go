package srtp

import "math"

// source is what is known of one SSRC. An index of RTP is the roll-over counter
// and the sequence number (RFC 3711, 3.3.1).
type source struct {
	ssrc    uint32
	packets window
	reports window
	used    uint64 // when last, for the choice of whom to forget
}

// Width is how many packets behind the newest one a late packet is still taken.
const Width = 128

// window is the newest index and which of the last ones were seen (RFC 3711, 3.3.2).
type window struct {
	begun  bool
	newest uint64
	seen   [Width / 64]uint64 // bit n: newest-n
}

// fresh reports whether the index was not seen and is not too old to tell.
func (w *window) fresh(index uint64) bool {
	if !w.begun || index > w.newest {
		return true
	}
	d := w.newest - index
	return d < Width && w.seen[d/64]>>(d%64)&1 == 0
}

// note makes the index a seen one. It is fresh.
func (w *window) note(index uint64) {
	switch {
	case !w.begun:
		*w = window{begun: true, newest: index, seen: [2]uint64{1}}
	case index > w.newest:
		switch d := index - w.newest; {
		case d < 64:
			w.seen[1] = w.seen[1]<<d | w.seen[0]>>(64-d)
			w.seen[0] = w.seen[0]<<d | 1
		case d < Width:
			w.seen[1] = w.seen[0] << (d - 64)
			w.seen[0] = 1
		default:
			w.seen = [2]uint64{1}
		}
		w.newest = index
	default:
		d := w.newest - index
		w.seen[d/64] |= 1 << (d % 64)
	}
}

// The last indices under one key (RFC 3711, 9.2).
const (
	maxIndex       = 1<<48 - 1
	maxReportIndex = 1<<31 - 1
)

// estimate returns the index that a sequence number stands for: the one nearest to
// the newest (RFC 3711, 3.3.1), within the first round if that would lie before the
// beginning. It may be more than maxIndex.
func (w *window) estimate(seq uint16) uint64 {
	if !w.begun {
		return uint64(seq)
	}
	i := int64(w.newest) + int64(int16(seq-uint16(w.newest)))
	if i < 0 {
		i += 1 << 16
	}
	return uint64(i)
}

// MaxSources is how many SSRCs one key serves at a time, in each direction.
const MaxSources = 32

// sources are all SSRCs of a key. Browsers and carriers use one and change it now
// and then.
type sources struct {
	list  []*source
	clock uint64
}

// find returns the SSRC's source, nil if it is new.
func (s *sources) find(ssrc uint32) *source {
	for _, c := range s.list {
		if c.ssrc == ssrc {
			return c
		}
	}
	return nil
}

// touch notes that the source sent something that is true.
func (s *sources) touch(c *source) {
	s.clock++
	c.used = s.clock
}

// add takes a new SSRC up; with all places taken, in place of the one that was
// silent for longest if it may be forgotten, else not at all.
func (s *sources) add(ssrc uint32, forget bool) *source {
	n := &source{ssrc: ssrc}
	s.touch(n)
	if len(s.list) < MaxSources {
		s.list = append(s.list, n)
		return n
	}
	if !forget {
		return nil
	}
	oldest, at := uint64(math.MaxUint64), 0
	for i, c := range s.list {
		if c.used < oldest {
			oldest, at = c.used, i
		}
	}
	s.list[at] = n
	return n
}
