package media

import (
	"sync"
	"time"

	"github.com/pion/rtp"
)

// How long what is translated waits for packets that are late.
const (
	translateLeast = 20 * time.Millisecond
	translateMost  = 250 * time.Millisecond
	// A far end that says nothing for so long needs no translator.
	translateIdle = LostAfter
	// A key that was passed on silences the audio for so long (RFC 4733, 2.5.1).
	translateKey = 60 * time.Millisecond
)

// translator lets one end of a bridge hear the other in a codec of its own: what
// arrives is decoded, and encoded anew at a steady pace.
type translator struct {
	bridge   *bridge
	from, to *Endpoint
	start    time.Time
	gen      uint32 // of what it sends

	mu    sync.Mutex
	ear   *ear
	last  time.Time
	keyed time.Time
	over  bool

	sending sync.Mutex // held while a packet gets its number and goes out
	seq     uint64
}

// translate hands a packet of from's to its translator, which begins if there is
// none yet.
func (b *bridge) translate(from *Endpoint, p heard, now time.Time) {
	side := b.side(from)
	if t := side.Load(); t != nil && t.hear(p, now) {
		return
	}
	t := &translator{
		bridge: b, from: from, to: b.other(from), start: now, last: now,
		gen: 1<<31 | b.translators.Add(1), // not one of the far end's own
		ear: newEar(from.codecs, translateLeast, translateMost),
	}
	from.mu.Lock()
	if from.closed.Load() {
		from.mu.Unlock()
		return
	}
	from.workers.Add(1)
	from.mu.Unlock()
	t.hear(p, now)
	side.Store(t)
	if b.translating.Add(1) == 1 {
		b.a.codecs.translating(1)
	}
	go t.run(side.CompareAndSwap)
}

// hear returns false when the translator is over.
func (t *translator) hear(p heard, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	t.last = now
	t.ear.hear(p, now.Sub(t.start))
	return true
}

// press sends a packet of a key press among the others, and keeps the audio back.
func (t *translator) press(f Format, at stamp, h *rtp.Header, payload []byte, now time.Time) {
	t.mu.Lock()
	t.last, t.keyed = now, now
	t.mu.Unlock()
	t.send(f, at, h, payload, now)
}

func (t *translator) send(f Format, at stamp, h *rtp.Header, payload []byte, now time.Time) {
	t.sending.Lock()
	defer t.sending.Unlock()
	t.seq++
	at.gen, at.seq = t.gen, t.seq
	_ = t.to.write(t.bridge, f, at, h, payload, now)
}

// run is the translator's goroutine. Frame n is due at start + n × its length.
func (t *translator) run(forget func(was, is *translator) bool) {
	const late = 200 * time.Millisecond
	var (
		mouth   = mouth{codecs: t.to.codecs}
		samples [60 * sampleRate / 1000]int16
		at      time.Duration
		deaf    patience
		mute    patience
	)
	t.from.codecs.warm() // before the lock is taken that the wire's goroutine needs
	start := t.start
	timer := time.NewTimer(0)
	defer func() {
		timer.Stop()
		t.mu.Lock()
		t.over = true
		t.ear.close()
		t.mu.Unlock()
		mouth.close()
		forget(t, nil)
		if t.bridge.translating.Add(-1) == 0 {
			t.bridge.a.codecs.translating(-1)
		}
		t.from.workers.Done()
	}()
	for {
		select {
		case <-t.from.quit:
			return
		case <-timer.C:
		}
		now := time.Now()
		if behind := now.Sub(start) - at; behind > late {
			start = start.Add(behind) // the machine slept: go on from here, no burst
		}
		f, ok := t.to.wire.Format()
		frame := f.frame()
		n := int(frame * sampleRate / time.Second)
		t.mu.Lock()
		idle := now.Sub(t.last) > translateIdle
		keyed := now.Sub(t.keyed) < translateKey
		t.ear.listen(samples[:n], start.Add(at).Sub(t.start))
		unheard := t.ear.deaf
		t.mu.Unlock()
		if idle || t.bridge.over.Load() || t.to.closed.Load() {
			return
		}
		if deaf.lost(unheard, now) {
			t.from.untranslated()
		}
		if ok && !keyed {
			payload, spoken := mouth.speak(f, samples[:n])
			if spoken {
				h := rtp.Header{Version: 2, PayloadType: f.PayloadType}
				t.send(f, stamp{ts: f.ticks(at), ticks: f.ticks(frame)}, &h, payload, now)
			}
			if mute.lost(!spoken, now) {
				t.to.untranslated()
			}
		}
		at += frame
		timer.Reset(time.Until(start.Add(at)))
	}
}
