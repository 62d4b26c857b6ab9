package media

import (
	"math/rand/v2"
	"time"
)

// stream is the one RTP stream that a far end receives, whatever its source.
// Within a source, sequence numbers and timestamps keep the distances that the
// source gave them, so that the receiver's jitter buffer sees real losses and
// real order. Between sources the sequence goes on without a hole, the timestamp
// by the time that passed, and the marker bit says that a talk spurt begins
// (RFC 3550, 5.1; RFC 3551, 4.1).
type stream struct {
	seq    uint16    // of the newest packet
	ts     uint32    // its timestamp
	ticks  uint32    // how much it covers
	at     time.Time // when that timestamp was first used
	resync bool      // the next packet comes from a source that was not heard just now

	gen    uint32 // of the source's stream
	base   uint64 // the source's first packet that may go out
	newest uint64
	seqOff uint16
	tsOff  uint32

	// The event that is being passed on between different clock rates.
	eventSet          bool
	eventGen          uint32
	eventIn, eventOut uint32
}

// stamp is a packet's place in its source's stream.
type stamp struct {
	gen    uint32 // changes when the source starts counting afresh
	seq    uint64 // extended sequence number
	ts     uint32
	ticks  uint32 // duration
	marker bool
}

// begin starts at a random place, as SRTP's and RTP's unpredictability want it.
func (s *stream) begin() {
	s.seq, s.ts = uint16(rand.Uint32()>>17), rand.Uint32() // the first half: no early roll-over to guess
	s.resync = true
}

// jump is how far a source's timestamps may run from the clock between two
// packets before they are taken for a restart. A receiver would take the
// difference for a pause or an overlap of that length.
const jump = 2 * time.Second

// due returns the timestamp of what begins now: where the clock is, but not
// before the newest packet's end.
func (s *stream) due(rate uint32, now time.Time) uint32 {
	next := s.ts + s.ticks
	if s.at.IsZero() {
		return next
	}
	if clock := s.ts + uint32(int64(now.Sub(s.at))*int64(rate)/int64(time.Second)); int32(clock-next) > 0 {
		return clock
	}
	return next
}

// place gives a packet its place in the stream; ok is false for one that is too
// late to have a place of its own.
func (s *stream) place(p stamp, rate uint32, now time.Time) (seq uint16, ts uint32, marker, ok bool) {
	if !s.resync && p.gen == s.gen && p.seq > s.newest {
		ahead := int64(int32(p.ts + s.tsOff - s.ts))
		off := time.Duration(ahead)*time.Second/time.Duration(rate) - now.Sub(s.at)
		s.resync = off > jump || off < -jump
	}
	marker = p.marker
	if s.resync || p.gen != s.gen {
		next := s.due(rate, now)
		s.gen, s.base, s.newest = p.gen, p.seq, p.seq
		s.seqOff, s.tsOff = s.seq+1-uint16(p.seq), next-p.ts
		s.resync, marker = false, true
	}
	// Packets from before the source was heard would take numbers that are used
	// already; two packets under one number would break SRTP.
	if p.seq < s.base {
		return 0, 0, false, false
	}
	seq, ts = uint16(p.seq)+s.seqOff, p.ts+s.tsOff
	if p.seq >= s.newest {
		s.newest, s.seq, s.ticks = p.seq, seq, p.ticks
		if ts != s.ts || s.at.IsZero() {
			s.ts, s.at = ts, now
		}
	}
	return seq, ts, marker, true
}
