package media

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

// Endpoint is a leg's audio: it sends what the leg is to hear from one source at
// a time (the other leg of a bridge, a clip, or nothing) with continuous sequence
// numbers and timestamps, and passes on what the leg says.
//
// What the leg hears and where its own words go are separate: Play on a bridged
// endpoint replaces what it hears, while the other leg goes on hearing it.
type Endpoint struct {
	wire   Wire
	codecs *Codecs
	hooks  Hooks

	in     hearing
	bridge atomic.Pointer[bridge] // where the far end's words go; stored under mu
	rec    atomic.Pointer[recording]
	out    atomic.Uint64 // packets sent

	closed  atomic.Bool // set under mu
	refused atomic.Bool // Hooks.Untranslated was called
	quit    chan struct{}
	workers sync.WaitGroup // the goroutines of clips and digits; added to under mu

	mu      sync.Mutex
	source  source  // what the far end hears, nil for nothing
	dialler *dialer // sends digits, ahead of the source
	stream  stream
}

// source is what an endpoint can hear: a *bridge, a *player or a *dialer.
type source interface{ source() }

// Hooks is what an Endpoint tells its owner. They must not block; nil hooks are
// skipped. Digit and Heard are called on the wire's reading goroutine; Lost(true)
// on a timer's, Lost(false) on the reading one, never both at once; Untranslated
// on any.
type Hooks struct {
	Digit func(digit byte, relayed bool) // a key was pressed at the far end (RFC 4733)
	Heard func()                         // the first audio packet arrived; once
	Lost  func(on bool)                  // no packet for LostAfter (on), or packets again

	// Untranslated: the far end speaks Opus and has to be translated, but for 2 s
	// nothing could be had to do it with, because too many calls are translated
	// already. It hears nothing, or is not heard. Once.
	Untranslated func()
}

// LostAfter is how long a leg that was heard may send nothing before Hooks.Lost.
// While the far end has us on hold (Format.SendOnly) silence is no loss.
const LostAfter = 5 * time.Second

// NewEndpoint returns the endpoint of the wire and starts to receive from it. c are
// the node's codecs; without them (nil) Opus passes between legs that both speak it.
func NewEndpoint(w Wire, c *Codecs, h Hooks) *Endpoint {
	e := &Endpoint{wire: w, codecs: c, hooks: h, quit: make(chan struct{})}
	e.stream.begin()
	w.OnRTP(e.hear)
	return e
}

// bridge joins two endpoints until it is over.
type bridge struct {
	a, b *Endpoint
	over atomic.Bool

	fromA, fromB atomic.Pointer[translator] // where the codecs differ
	translators  atomic.Uint32              // how many there were
	translating  atomic.Int32               // how many there are
}

func (*bridge) source() {}

func (b *bridge) other(e *Endpoint) *Endpoint {
	if e == b.a {
		return b.b
	}
	return b.a
}

// side returns where the translator of what e says is.
func (b *bridge) side(e *Endpoint) *atomic.Pointer[translator] {
	if e == b.a {
		return &b.fromA
	}
	return &b.fromB
}

// part ends the bridge at both ends. The order with Bridge makes it certain
// that no end keeps it: over is set first here, and read last there.
func (b *bridge) part() {
	b.over.Store(true)
	b.a.leave(b)
	b.b.leave(b)
}

// Bridge lets a and b hear each other, in place of what they heard before:
// packets of the same codec untouched but for their header, PCMU and PCMA
// transcoded where they pass, telephone-event with its payload type and rate
// translated. Between Opus and G.711 audio is decoded and encoded anew behind a
// jitter buffer of 20 to 250 ms, which costs some twenty times as much.
func Bridge(a, b *Endpoint) {
	l := &bridge{a: a, b: b}
	// One end's lock at a time: two bridges made at once across the same
	// endpoints cannot wait for each other.
	for _, old := range []*bridge{a.join(l), b.join(l)} {
		if old != nil && old != l {
			old.part()
		}
	}
	if l.over.Load() {
		l.part()
	}
}

// join makes the endpoint an end of the bridge and returns the one it was in.
func (e *Endpoint) join(l *bridge) (old *bridge) {
	e.mu.Lock()
	if e.closed.Load() {
		e.mu.Unlock()
		l.over.Store(true)
		return nil
	}
	old = e.bridge.Swap(l)
	was := e.hearLocked(l)
	e.mu.Unlock()
	stop(was)
	return old
}

func (e *Endpoint) leave(l *bridge) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bridge.CompareAndSwap(l, nil)
	if e.source == l {
		e.hearLocked(nil)
	}
}

// hearLocked changes the source and returns the one before, to be stopped
// without the lock.
func (e *Endpoint) hearLocked(s source) (was source) {
	was, e.source = e.source, s
	e.stream.resync = true
	return was
}

func stop(s source) {
	if p, ok := s.(*player); ok {
		p.stop()
	}
}

// Detach parts e from the endpoint it is bridged with, in both directions. A
// clip that plays on either goes on.
func (e *Endpoint) Detach() {
	if l := e.bridge.Load(); l != nil {
		l.part()
	}
}

// Play lets the far end hear the clip, in place of what it heard before. done is
// called once when the clip was heard to its end; not when it was replaced,
// stopped, or looped. done may call any method; it must not block.
//
// A clip begins when its first packet could be sent, but not later than 3 s from
// now: a greeting that is played while a browser's DTLS comes up keeps its first
// word.
func (e *Endpoint) Play(c *Clip, loop bool, done func()) {
	if c == nil {
		c = &Clip{}
	}
	p := &player{clip: c, loop: loop, quit: make(chan struct{})}
	e.mu.Lock()
	if e.closed.Load() {
		e.mu.Unlock()
		return
	}
	was := e.hearLocked(p)
	e.workers.Add(1)
	e.mu.Unlock()
	stop(was)
	go e.play(p, done)
}

// Stop ends the clip; the far end hears nothing.
func (e *Endpoint) Stop() {
	e.mu.Lock()
	p, ok := e.source.(*player)
	if ok {
		e.hearLocked(nil)
	}
	e.mu.Unlock()
	if ok {
		p.stop()
	}
}

// Close ends everything and waits for it; the wire is the leg's to close. It
// must not be called from a Recorder.
func (e *Endpoint) Close() {
	e.mu.Lock()
	first := !e.closed.Swap(true)
	was := e.hearLocked(nil)
	e.mu.Unlock()
	if first {
		e.wire.OnRTP(nil)
		close(e.quit)
		e.in.unwatch()
	}
	stop(was)
	e.Detach()
	if r := e.rec.Swap(nil); r != nil {
		_ = r.stop()
	}
	e.workers.Wait()
}

// write sends one packet in the name of the source, if the far end hears that
// source now and wants to hear us. h and payload may be reused afterwards. The
// error is the wire's; a packet that it cannot send is lost, as on any network.
func (e *Endpoint) write(s source, f Format, at stamp, h *rtp.Header, payload []byte, now time.Time) error {
	e.mu.Lock()
	heard := e.source
	if e.dialler != nil {
		heard = e.dialler
	}
	ok := s == heard && !e.closed.Load()
	switch {
	case ok && f.SendOnly:
		e.stream.resync, ok = true, false // it speaks, but nobody listens
	case ok:
		h.SequenceNumber, h.Timestamp, h.Marker, ok = e.stream.place(at, f.clockRate(), now)
	}
	e.mu.Unlock()
	if !ok {
		return nil
	}
	err := e.wire.WriteRTP(h, payload)
	if err == nil {
		e.out.Add(1)
	}
	return err
}

func (f Format) clockRate() uint32 {
	switch {
	case f.ClockRate != 0:
		return f.ClockRate
	case f.Codec == call.Opus:
		return 48000
	}
	return 8000
}

func (f Format) dtmfRate() uint32 {
	if f.DTMFRate != 0 {
		return f.DTMFRate
	}
	return 8000
}

// ticks returns a duration in the format's clock.
func (f Format) ticks(d time.Duration) uint32 {
	return uint32(int64(d) * int64(f.clockRate()) / int64(time.Second))
}

// frame returns how much audio goes into one packet that we make.
func (f Format) frame() time.Duration {
	if f.Ptime >= 10 && f.Ptime <= 60 && f.Ptime%10 == 0 && (f.Codec != call.Opus || f.Ptime != 30 && f.Ptime != 50) {
		return time.Duration(f.Ptime) * time.Millisecond
	}
	return 20 * time.Millisecond
}
