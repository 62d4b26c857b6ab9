package media

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtp"
)

// keyEvent is the payload of a telephone-event packet (RFC 4733, 2.3).
type keyEvent struct {
	code     byte // 0–9, 10 '*', 11 '#', 12–15 A–D; others are no keys
	end      bool
	volume   byte   // power below 0 dBm0, 0–63
	duration uint16 // so far, in ticks of the event's clock rate
}

const keys = "0123456789*#ABCD"

// parseKeyEvent reads a telephone-event payload. Of several events in one
// packet, which nobody sends, only the first is read.
func parseKeyEvent(b []byte) (v keyEvent, ok bool) {
	if len(b) < 4 {
		return keyEvent{}, false
	}
	return keyEvent{code: b[0], end: b[1]&0x80 != 0, volume: b[1] & 0x3f, duration: binary.BigEndian.Uint16(b[2:])}, true
}

// put writes the payload into b, which must be 4 bytes long.
func (v keyEvent) put(b []byte) {
	b[0], b[1] = v.code, v.volume&0x3f
	if v.end {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], v.duration)
}

// keypad makes single key presses of the packets that describe them.
type keypad struct {
	pressed bool // some key was pressed in this stream
	last    keyEvent
	gen     uint32
	ts      uint32
	at      time.Time
}

// press takes a packet and reports whether it is the first of a key press. RFC
// 4733 tells presses apart by timestamp; the marker bit, which should be on the
// first packet, and the end packets may be missing. Some gateways move the
// timestamp with every packet of one press, and long presses come in segments
// that follow each other without an end: both go on with the event and a growing
// or full duration.
func (k *keypad) press(at stamp, v keyEvent, now time.Time) bool {
	same := k.pressed && at.gen == k.gen
	gone := now.Sub(k.at)
	switch {
	case same && at.ts == k.ts && v.code == k.last.code && gone < 10*time.Second:
		v.end = v.end || k.last.end
		v.duration = max(v.duration, k.last.duration)
	case same && int32(at.ts-k.ts) < 0 && gone < time.Second:
		return false // a late packet of the press before
	case same && v.code == k.last.code && !at.marker && gone < 100*time.Millisecond && k.goesOn(v):
		k.ts = at.ts
	default:
		*k = keypad{pressed: true, last: v, gen: at.gen, ts: at.ts, at: now}
		return true
	}
	k.last, k.at = v, now
	return false
}

func (k *keypad) goesOn(v keyEvent) bool {
	if k.last.end {
		return v.end && v.duration == k.last.duration
	}
	return v.duration > k.last.duration || v.end && v.duration == k.last.duration || k.last.duration >= 0xff00
}

// hearEvent passes on a telephone-event packet and tells the owner of new keys.
func (e *Endpoint) hearEvent(f Format, at stamp, payload []byte, now time.Time) {
	v, ok := parseKeyEvent(payload)
	if !ok || int(v.code) >= len(keys) {
		return
	}
	relayed := e.passKey(f, at, v, now)
	if e.in.keys.press(at, v, now) && e.hooks.Digit != nil {
		e.hooks.Digit(keys[v.code], relayed)
	}
}

// passKey sends an event to the other end of the bridge and reports whether that
// one understands it.
func (e *Endpoint) passKey(f Format, at stamp, v keyEvent, now time.Time) bool {
	b := e.bridge.Load()
	if b == nil {
		return false
	}
	to := b.other(e)
	g, ok := to.wire.Format()
	if !ok || g.DTMF == 0 || g.SendOnly || !to.hears(b) {
		to.pause(b)
		return false
	}
	in, out := f.dtmfRate(), g.dtmfRate()
	t := b.side(e).Load()
	if t != nil || in != f.clockRate() || out != g.clockRate() || in != out {
		// The two clocks differ: only the event's own start can be placed.
		at.ts = to.stampEvent(b, at, g, now)
		v.duration = uint16(min(uint64(v.duration)*uint64(out)/uint64(in), 0xffff))
	}
	at.ticks = uint32(uint64(v.duration) * uint64(g.clockRate()) / uint64(out))
	v.put(e.in.scratch[:4])
	e.in.fwd = rtp.Header{Version: 2, PayloadType: g.DTMF}
	if t != nil {
		t.press(g, at, &e.in.fwd, e.in.scratch[:4], now)
		return true
	}
	_ = to.write(b, g, at, &e.in.fwd, e.in.scratch[:4], now)
	return true
}

// hears reports whether the far end hears that bridge now.
func (e *Endpoint) hears(b *bridge) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.source == b && e.dialler == nil
}

// pause notes that packets of the bridge are left out on purpose, so that the
// far end does not take them for lost.
func (e *Endpoint) pause(b *bridge) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.source == b && e.dialler == nil {
		e.stream.resync = true
	}
}

// stampEvent returns the timestamp of an event in the clock of the bridge's
// audio as the source counts it: the moment that its first packet arrived.
func (e *Endpoint) stampEvent(b *bridge, at stamp, g Format, now time.Time) uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.stream
	if s.eventSet && s.eventIn == at.ts && s.eventGen == at.gen {
		return s.eventOut - s.tsOff
	}
	s.eventSet, s.eventIn, s.eventGen = true, at.ts, at.gen
	s.eventOut = s.due(g.clockRate(), now)
	return s.eventOut - s.tsOff
}
