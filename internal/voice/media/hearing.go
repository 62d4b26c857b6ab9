package media

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/opus"
)

// maxPayload is the longest payload that can be transcoded: what fits into an
// Ethernet frame.
const maxPayload = 1500

// hearing is an endpoint's receiving side. The plain fields belong to the
// wire's reading goroutine.
type hearing struct {
	seq     sequence
	keys    keypad
	talking int // loud packets
	decode  chan []byte
	fwd     rtp.Header
	scratch [maxPayload]byte

	packets, lost atomic.Uint64
	last          atomic.Int64 // when a packet last arrived, nanoseconds since epoch
	gap           atomic.Int64 // longest, nanoseconds
	speech, heard atomic.Bool
	away          atomic.Bool // Lost(true) was told

	epoch time.Time // monotonic; of the first packet, written before watch is set
	mu    sync.Mutex
	watch *time.Timer
	told  sync.Mutex // serialises Hooks.Lost
}

func (i *hearing) stats() call.Media {
	return call.Media{
		PacketsIn: i.packets.Load(), Lost: i.lost.Load(),
		LongestGap: time.Duration(i.gap.Load()), SpeechIn: i.speech.Load(),
	}
}

// kind of what a packet carries.
type kind int

const (
	other kind = iota
	audio
	event
	noise // comfort noise (RFC 3389)
)

// noiseType is the static payload type of comfort noise. Some carriers send it
// unasked.
const noiseType = 13

// what tells what a payload type means. A static payload type speaks for itself
// even where another one was agreed: some far ends switch between PCMU and PCMA.
func (f Format) what(pt uint8) (kind, call.Codec) {
	switch {
	case pt == f.PayloadType:
		return audio, f.Codec
	case f.DTMF != 0 && pt == f.DTMF:
		return event, ""
	case pt == 0:
		return audio, call.PCMU
	case pt == 8:
		return audio, call.PCMA
	case pt == noiseType && lawOf(f.Codec) != nil:
		return noise, f.Codec
	}
	return other, ""
}

// hear takes one packet from the wire.
func (e *Endpoint) hear(h *rtp.Header, payload []byte) {
	f, ok := e.wire.Format()
	if !ok || e.closed.Load() {
		return
	}
	now := time.Now()
	k, codec := f.what(h.PayloadType)
	switch {
	case len(payload) == 0 || k == other:
		e.arrived(now) // keep-alives: the far end lives
		if k == other && e.in.seq.skip(h.SSRC, h.SequenceNumber) {
			e.leaveOut()
		}
		return
	case k == noise:
		e.arrived(now)
		if ext, fresh := e.in.seq.take(h.SSRC, h.SequenceNumber); fresh {
			e.hearNoise(codec, stamp{gen: e.in.seq.gen, seq: ext, ts: h.Timestamp, ticks: sampleRate / 50}, payload, now)
		}
		return
	}
	before := e.in.seq.missing
	ext, fresh := e.in.seq.take(h.SSRC, h.SequenceNumber)
	if !fresh {
		return
	}
	e.in.packets.Add(1)
	if e.in.seq.missing != before {
		e.in.lost.Store(e.in.seq.missing)
	}
	e.arrived(now)
	at := stamp{gen: e.in.seq.gen, seq: ext, ts: h.Timestamp, marker: h.Marker}
	if k == event {
		e.hearEvent(f, at, payload, now)
		return
	}
	e.hearAudio(f, codec, at, payload, now)
}

func (e *Endpoint) hearAudio(f Format, codec call.Codec, at stamp, payload []byte, now time.Time) {
	if !e.in.heard.Load() {
		e.in.heard.Store(true)
		if e.hooks.Heard != nil {
			e.hooks.Heard()
		}
	}
	l := lawOf(codec)
	if l != nil {
		at.ticks = uint32(len(payload))
	} else {
		long, _ := opus.Duration(payload)
		at.ticks = f.ticks(long)
	}
	if !e.in.speech.Load() {
		e.listenForSpeech(l, payload)
	}
	p := heard{stamp: at, codec: codec, rate: f.clockRate(), payload: payload}
	if l != nil {
		p.rate = sampleRate
	}
	if r := e.rec.Load(); r != nil {
		r.add(p, now)
	}
	b := e.bridge.Load()
	if b == nil {
		return
	}
	to := b.other(e)
	g, ok := to.wire.Format()
	if !ok {
		return
	}
	if codec != g.Codec {
		if l == nil || lawOf(g.Codec) == nil {
			b.translate(e, p, now)
			return
		}
		if len(payload) > maxPayload {
			return
		}
		for i, s := range payload {
			e.in.scratch[i] = l.other[s]
		}
		payload = e.in.scratch[:len(payload)]
	}
	e.in.fwd = rtp.Header{Version: 2, PayloadType: g.PayloadType}
	_ = to.write(b, g, at, &e.in.fwd, payload, now)
}

// hearNoise takes the description of the noise that is to be heard while the far
// end sends nothing. Whoever decodes makes it; to others it is not passed on, since
// nobody agreed on it: the pause is in the timestamps, as in any talk.
func (e *Endpoint) hearNoise(codec call.Codec, at stamp, payload []byte, now time.Time) {
	p := heard{stamp: at, codec: codec, rate: sampleRate, noise: true, payload: payload}
	if r := e.rec.Load(); r != nil {
		r.add(p, now)
	}
	if b := e.bridge.Load(); b != nil {
		if t := b.side(e).Load(); t != nil {
			t.hear(p, now)
			return
		}
	}
	e.leaveOut()
}

// leaveOut notes that a packet is not passed on although nothing is lost: what the
// other end of the bridge receives goes on without a hole.
func (e *Endpoint) leaveOut() {
	if b := e.bridge.Load(); b != nil {
		b.other(e).pause(b)
	}
}

// Speech is 200 ms of sound in total.
const enoughSound = 10

// listenForSpeech looks for speech. G.711 is measured where it passes; what Opus
// says must be decoded, which is not done on the wire's goroutine.
func (e *Endpoint) listenForSpeech(l *law, payload []byte) {
	if l == nil {
		e.overhear(payload)
		return
	}
	if l.loud(payload) {
		if e.in.talking++; e.in.talking >= enoughSound {
			e.in.speech.Store(true)
		}
	}
}

// arrived notes that the far end lives.
func (e *Endpoint) arrived(now time.Time) {
	i := &e.in
	if i.epoch.IsZero() {
		i.epoch = now
		i.mu.Lock()
		if !e.closed.Load() {
			i.watch = time.AfterFunc(LostAfter, e.missed)
		}
		i.mu.Unlock()
		return
	}
	t := int64(now.Sub(i.epoch))
	gap := t - i.last.Load()
	i.last.Store(t)
	if gap > i.gap.Load() {
		i.gap.Store(gap)
	}
	if i.away.Load() {
		i.told.Lock()
		defer i.told.Unlock()
		i.away.Store(false)
		i.rearm(LostAfter)
		if e.hooks.Lost != nil && !e.closed.Load() {
			e.hooks.Lost(false)
		}
	}
}

// missed runs when a packet may have been missing for too long.
func (e *Endpoint) missed() {
	i := &e.in
	i.told.Lock()
	defer i.told.Unlock()
	idle := time.Since(i.epoch) - time.Duration(i.last.Load())
	if f, ok := e.wire.Format(); ok && f.SendOnly {
		i.rearm(LostAfter)
		return
	}
	if idle < LostAfter {
		i.rearm(LostAfter - idle)
		return
	}
	i.away.Store(true)
	if e.hooks.Lost != nil && !e.closed.Load() {
		e.hooks.Lost(true)
	}
}

func (i *hearing) rearm(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watch != nil {
		i.watch.Reset(d)
	}
}

func (i *hearing) unwatch() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watch != nil {
		i.watch.Stop()
		i.watch = nil
	}
}
