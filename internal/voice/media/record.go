package media

import (
	"sync"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/opus"
)

// Recorder takes what a far end says as 16-bit samples at 8 kHz, in order; lost
// packets are concealed and silence gaps filled so that length follows time. The samples
// are reused after the call.
type Recorder interface {
	WriteSamples(samples []int16) error
}

// Record copies what the far end says to r until r reports an error or the
// returned stop function was called, which waits until r has everything. One
// recorder at a time: a second Record stops the first. r is called on a goroutine
// of its own, some 0.2 s after the words; stop must not be called from there. Its
// error is fault.TooMany when nothing of what was said in Opus could be decoded,
// because too much is already.
func (e *Endpoint) Record(r Recorder) (stop func() error) {
	rec := &recording{
		start: time.Now(), quit: make(chan struct{}), done: make(chan struct{}),
		codecs: e.codecs, ear: newEar(e.codecs, recordHold, recordHold),
	}
	e.mu.Lock()
	if e.closed.Load() {
		e.mu.Unlock()
		return func() error { return nil }
	}
	was := e.rec.Swap(rec)
	go rec.run(r)
	e.mu.Unlock()
	if was != nil {
		_ = was.stop() // who began it asks, too
	}
	return func() error {
		e.rec.CompareAndSwap(rec, nil)
		return rec.stop()
	}
}

// recording puts arriving audio on a time line and hands it on when late packets
// had their chance.
type recording struct {
	start  time.Time
	codecs *Codecs
	once   sync.Once
	quit   chan struct{}
	done   chan struct{}
	lacks  bool // of a decoder, for long; read after done

	mu   sync.Mutex
	ear  *ear
	opus bool // has been heard
}

const (
	recordFrame = 20 * time.Millisecond
	recordHold  = 200 * time.Millisecond // how late a packet may be
	recordTick  = 100 * time.Millisecond
)

// add takes one packet.
func (r *recording) add(p heard, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opus = r.opus || p.codec == call.Opus
	r.ear.hear(p, now.Sub(r.start))
}

func (r *recording) needsOpus() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opus
}

func (r *recording) run(to Recorder) {
	defer close(r.done)
	defer r.ear.close()
	tick := time.NewTicker(recordTick)
	defer tick.Stop()
	var n time.Duration // frames written
	var missing patience
	write := func(until time.Duration) error {
		var frame [recordFrame * sampleRate / time.Second]int16
		for ; (n+1)*recordFrame <= until; n++ {
			if r.needsOpus() {
				r.codecs.warm() // here, for the wire's goroutine must not wait for it
			}
			// A packet that came at once is placed at the moment when it came.
			r.mu.Lock()
			r.ear.listen(frame[:], n*recordFrame+recordHold)
			deaf := r.ear.deaf
			r.mu.Unlock()
			if missing.lost(deaf, r.start.Add(n*recordFrame)) {
				r.codecs.refuse()
				r.lacks = true
			}
			if err := to.WriteSamples(frame[:]); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		select {
		case <-r.quit:
			_ = write(time.Since(r.start) + recordFrame - 1)
			return
		case <-tick.C:
			if write(time.Since(r.start)-recordHold) != nil {
				return
			}
		}
	}
}

// stop hands on the rest and waits for it.
func (r *recording) stop() error {
	r.once.Do(func() { close(r.quit) })
	<-r.done
	if r.lacks && !r.ear.had {
		return opus.ErrFull
	}
	return nil
}
