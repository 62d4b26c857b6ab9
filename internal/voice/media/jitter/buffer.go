// Package jitter puts the packets of one RTP stream back into order and time: it
// holds each for as long as the network's jitter asks, within bounds, and says
// what is missing.
//
// A Buffer is pure: it takes the time, has no goroutine, and is not for concurrent
// use. The reader pulls at the pace of its own clock; the difference of the two
// ends' clocks shows as skew, which the reader takes out by shortening what it
// plays and by the Wait pieces that it is given. Whatever arrives, in whatever
// order: what is pulled never goes back in time, at most maxHeld packets are kept,
// and the delay stays within Options.Max and one piece.
package jitter

import (
	"math"
	"time"
)

// Options of a buffer.
type Options struct {
	Rate int // RTP ticks a second
	// Min and Max bound the delay that is put on the fastest packets. With both the
	// same the buffer does not adapt.
	Min, Max time.Duration
}

// Packet is one packet of the stream.
type Packet struct {
	Gen     uint32 // changes when the stream begins anew
	Seq     uint64 // extended sequence number
	TS      uint32
	Ticks   uint32 // how long it is
	Tag     int    // the reader's own
	Noise   bool   // comfort noise: silence until the next packet is no loss
	Payload []byte // copied
}

// Kind of a Piece.
type Kind int

// The kinds of pieces.
const (
	None  Kind = iota // nothing to play yet
	Audio             // a packet
	Lost              // a packet that did not come in time, or not at all
	Pause             // the far end says nothing here
	Wait              // nothing yet, though it is time: time that is put in, not taken from the stream
)

// Piece is the next stretch of the stream.
type Piece struct {
	Kind
	Ticks   uint32
	Skip    uint32 // ticks at the packet's beginning that were played already
	Tag     int
	Noise   bool   // the packet describes comfort noise
	Payload []byte // of the packet; good until the next Push or Pull
	Next    []byte // with Lost: the packet right after the gap, which may repeat what is missing; nil without
	NextTag int
}

const (
	maxHeld  = 256
	binSize  = 10 * time.Millisecond
	memory   = 0.998 // what is kept of a delay's weight with each packet: some ten seconds
	onTime   = 0.98  // share of the packets that the delay waits for
	missing  = 0.01  // weight of the latest piece in the share of those that are missing
	lossy    = 0.01  // the share from which on the delay has room for one packet more
	refSpan  = 2 * time.Second
	leap     = time.Second // a packet so much faster than all others is of another clock
	patience = 10          // packets out of bounds before the clock is taken for another
	calm     = time.Second // after so long a silence the first one is enough
)

// Buffer is a jitter buffer.
type Buffer struct {
	o        Options
	min, max int64 // ticks
	piece    int64 // ticks of a piece that is missing

	begun bool
	next  int64 // what is pulled next, in extended ticks

	known   bool // gen, last and the reference are set
	gen     uint32
	last    uint32 // timestamp
	lastExt int64  // the same, extended
	arrived int64  // ticks

	// The fastest packet's transit (arrival less timestamp) of this span and the one before.
	fast, faster int64
	span         int64 // when this span began
	strange      int

	bins  []float64 // lateness
	lossy float64   // share of pieces that are missing
	delay int64

	held    []held
	free    [][]byte
	current []byte // lent to the reader
	seq     uint64 // of the packet pulled last
	quiet   bool   // it was comfort noise

	counts Counts
}

type held struct {
	ext     int64
	ticks   uint32
	seq     uint64
	tag     int
	noise   bool
	payload []byte
}

// Counts is what became of the packets, and what was pulled.
type Counts struct {
	Packets, Late, Duplicate, Overflow uint64
	Lost, Waited                       uint64 // pieces
	Resets                             uint64
}

// New returns an empty buffer.
func New(o Options) *Buffer {
	b := &Buffer{o: o}
	b.min, b.max = b.ticks(o.Min), b.ticks(o.Max)
	b.piece = b.ticks(20 * time.Millisecond)
	b.bins = make([]float64, int(o.Max/binSize)+1)
	b.delay = b.min
	return b
}

func (b *Buffer) ticks(d time.Duration) int64 {
	return int64(math.Round(float64(d) * float64(b.o.Rate) / float64(time.Second)))
}

// Counts returns the counts so far.
func (b *Buffer) Counts() Counts { return b.counts }

// Held returns how many packets wait.
func (b *Buffer) Held() int { return len(b.held) }

// Delay returns what is put on the fastest packets now.
func (b *Buffer) Delay() time.Duration {
	return time.Duration(b.delay) * time.Second / time.Duration(b.o.Rate)
}

// Push takes a packet that arrived now, a time on any clock that never goes back.
func (b *Buffer) Push(p Packet, now time.Duration) {
	at := b.ticks(now)
	b.counts.Packets++
	if p.Ticks == 0 || int64(p.Ticks) > 6*b.piece {
		b.counts.Late++
		return
	}
	if !b.known || p.Gen != b.gen {
		b.reset(p, at)
	}
	ext := b.lastExt + int64(int32(p.TS-b.last))
	late := at - ext - b.reference()
	if late > b.max || late < -b.ticks(leap) {
		b.strange++
		if b.strange < patience && at-b.arrived < b.ticks(calm) {
			b.counts.Late++
			return
		}
		b.reset(p, at)
		ext, late = b.lastExt, 0
	}
	b.strange, b.arrived = 0, at
	if ext > b.lastExt {
		b.last, b.lastExt = p.TS, ext
	}
	b.learn(at, at-ext, max(late, 0))
	if b.begun && ext+int64(p.Ticks) <= b.next {
		b.counts.Late++
		b.quiet = b.quiet || p.Noise && p.Seq > b.seq // late, but true
		return
	}
	b.insert(p, ext)
}

// reset begins with a new clock. What was pulled stays pulled: next goes on from
// where the new clock says that we are.
func (b *Buffer) reset(p Packet, at int64) {
	if b.known {
		b.counts.Resets++
	}
	for _, h := range b.held {
		b.free = append(b.free, h.payload)
	}
	b.held = b.held[:0]
	// The new timestamps are placed after everything that was before.
	ext := max(b.lastExt, b.next) + b.ticks(time.Hour)
	b.known, b.gen, b.last, b.lastExt, b.arrived = true, p.Gen, p.TS, ext, at
	b.fast, b.faster, b.span = at-ext, at-ext, at
	b.strange, b.begun, b.quiet = 0, false, false
	b.seq = p.Seq - 1
}

func (b *Buffer) reference() int64 { return min(b.fast, b.faster) }

// learn follows the network: the fastest transit is the reference, and the delay
// is what all but a few packets come later than that.
func (b *Buffer) learn(at, transit, late int64) {
	if at-b.span >= b.ticks(refSpan) {
		b.faster, b.fast, b.span = b.fast, transit, at
	}
	b.fast = min(b.fast, transit)
	if b.min == b.max {
		return
	}
	total := 0.0
	for i := range b.bins {
		b.bins[i] *= memory
		total += b.bins[i]
	}
	bin := b.ticks(binSize)
	b.bins[min(int(late/bin), len(b.bins)-1)]++
	total++
	sum, want := 0.0, b.max
	for i, n := range b.bins {
		if sum += n; sum >= onTime*total {
			want = int64(i+1) * bin
			break
		}
	}
	if want = max(want, b.min); b.lossy > lossy {
		want += b.piece // to have what comes after a gap when it is filled
	}
	b.delay = min(b.max, want)
}

func (b *Buffer) insert(p Packet, ext int64) {
	at := len(b.held)
	for at > 0 && b.held[at-1].ext > ext {
		at--
	}
	if at > 0 && b.held[at-1].ext == ext {
		b.counts.Duplicate++
		return
	}
	if len(b.held) == maxHeld {
		b.counts.Overflow++
		if at == 0 {
			return
		}
		b.drop()
		at--
	}
	var payload []byte
	if n := len(b.free); n > 0 {
		payload, b.free = b.free[n-1], b.free[:n-1]
	}
	h := held{ext: ext, ticks: p.Ticks, seq: p.Seq, tag: p.Tag, noise: p.Noise, payload: append(payload[:0], p.Payload...)}
	b.held = append(b.held, h)
	copy(b.held[at+1:], b.held[at:])
	b.held[at] = h
}

// drop forgets the first packet.
func (b *Buffer) drop() {
	b.free = append(b.free, b.held[0].payload)
	b.held = b.held[:copy(b.held, b.held[1:])]
}

// want returns what should be played at the time.
func (b *Buffer) want(now time.Duration) int64 {
	return b.ticks(now) - b.reference() - b.delay
}

// Skew returns how many ticks what is pulled next is behind: more than nothing is
// delay that the reader may take out by playing faster.
func (b *Buffer) Skew(now time.Duration) int64 {
	if !b.begun {
		return 0
	}
	return b.want(now) - b.next
}

// Pull returns what is to be played at the time now.
func (b *Buffer) Pull(now time.Duration) Piece {
	if b.current != nil {
		b.free, b.current = append(b.free, b.current), nil
	}
	want := int64(0)
	if b.known {
		want = b.want(now)
	}
	if !b.begun {
		if len(b.held) == 0 || want < b.held[0].ext {
			return Piece{Kind: None, Ticks: uint32(b.piece)}
		}
		b.begun, b.next = true, max(b.held[0].ext, want)
	}
	if behind := want - b.next; behind > b.max-b.delay+b.piece {
		b.next = want // the bound of the delay
	} else if behind <= -b.piece {
		b.counts.Waited++
		return Piece{Kind: Wait, Ticks: uint32(b.piece)}
	}
	for len(b.held) > 0 && b.held[0].ext+int64(b.held[0].ticks) <= b.next {
		b.counts.Late++
		b.drop()
	}
	if len(b.held) > 0 && b.held[0].ext <= b.next {
		return b.take()
	}
	p := Piece{Kind: Lost, Ticks: uint32(b.piece)}
	if len(b.held) > 0 {
		h := &b.held[0]
		if gap := h.ext - b.next; gap <= b.piece {
			p.Ticks, p.Next, p.NextTag = uint32(gap), h.payload, h.tag
		}
		if h.noise {
			p.Next = nil
		}
		if h.seq == b.seq+1 {
			p.Kind = Pause
		}
	}
	switch {
	case b.quiet:
		p.Kind = Pause
	case p.Kind == Lost:
		b.counts.Lost++
		b.lossy += (1 - b.lossy) * missing
	}
	b.next += int64(p.Ticks)
	return p
}

func (b *Buffer) take() Piece {
	h := b.held[0]
	b.held = b.held[:copy(b.held, b.held[1:])]
	p := Piece{Kind: Audio, Skip: uint32(b.next - h.ext), Tag: h.tag, Noise: h.noise, Payload: h.payload}
	p.Ticks = h.ticks - p.Skip
	b.current, b.seq, b.quiet = h.payload, h.seq, h.noise
	b.lossy *= 1 - missing
	b.next = h.ext + int64(h.ticks)
	return p
}
