package media

import (
	"sync"
	"time"
)

// Recorder takes what a far end says as 16-bit samples at 8 kHz, in order; lost
// packets and silence gaps are filled so that length follows time. The samples
// are reused after the call.
type Recorder interface {
	WriteSamples(samples []int16) error
}

// Record copies what the far end says to r until r reports an error or the
// returned stop function was called, which waits until r has everything. One
// recorder at a time: a second Record stops the first. r is called on a goroutine
// of its own, some 0.2 s after the words; stop must not be called from there.
// Opus is recorded as silence for now.
func (e *Endpoint) Record(r Recorder) (stop func()) {
	rec := &recording{start: time.Now(), quit: make(chan struct{}), done: make(chan struct{})}
	e.mu.Lock()
	if e.closed.Load() {
		e.mu.Unlock()
		return func() {}
	}
	was := e.rec.Swap(rec)
	go rec.run(r)
	e.mu.Unlock()
	if was != nil {
		was.stop()
	}
	return func() {
		e.rec.CompareAndSwap(rec, nil)
		rec.stop()
	}
}

// recording puts arriving audio on a time line and hands it on when late packets
// had their chance.
type recording struct {
	start time.Time
	once  sync.Once
	quit  chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	ring   [recordRing]int16 // sample n of the recording is at n % len
	cursor int64             // the first sample that is not written out
	top    int64             // the end of what arrived
	gen    uint32            // of the stream that the anchor belongs to
	ts     uint32            // anchor: this timestamp …
	pos    int64             // … is this sample

	// How late packets come after their place, and the least of it in a while:
	// jitter can only add, so what is left is the difference of the clocks.
	lag     int64
	counted int
}

const (
	recordRing = 3 * sampleRate // a disk may stall for so long before audio is lost to silence
	recordHold = sampleRate / 5 // how late a packet may be
	recordTick = 100 * time.Millisecond
	recordJump = sampleRate           // timestamps so far from the clock are a restart
	recordLag  = sampleRate * 6 / 100 // so far the clocks may drift apart before the anchor moves
	recordSpan = 100                  // packets to look at
)

// now returns the sample of the time.
func (r *recording) now(t time.Time) int64 {
	return int64(t.Sub(r.start)) * sampleRate / int64(time.Second)
}

// add puts one packet's audio in its place.
func (r *recording) add(at stamp, l *law, payload []byte, t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, now := int64(len(payload)), r.now(t)
	pos := r.pos + int64(int32(at.ts-r.ts))
	if at.gen != r.gen || pos > now+recordJump || pos < now-recordRing {
		pos = max(now-n, r.cursor)
		r.gen, r.ts, r.pos = at.gen, at.ts, pos
		r.counted = 0
	}
	if pos > r.pos {
		r.ts, r.pos = at.ts, pos
	}
	if lag := now - pos - n; r.counted == 0 || lag < r.lag {
		r.lag = lag
	}
	if r.counted++; r.counted == recordSpan {
		if r.lag > recordLag || r.lag < -recordLag {
			r.pos, pos = r.pos+r.lag, pos+r.lag
		}
		r.counted = 0
	}
	for i, b := range payload {
		if p := pos + int64(i); p >= r.cursor && p < r.cursor+recordRing {
			r.ring[p%recordRing] = l.decode[b]
			r.top = max(r.top, p+1)
		}
	}
}

func (r *recording) run(to Recorder) {
	defer close(r.done)
	tick := time.NewTicker(recordTick)
	defer tick.Stop()
	for {
		select {
		case <-r.quit:
			_ = r.flush(to, max(r.now(time.Now()), r.reached()))
			return
		case <-tick.C:
			if r.flush(to, r.now(time.Now())-recordHold) != nil {
				return
			}
		}
	}
}

func (r *recording) reached() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.top
}

// flush hands on everything before the given sample.
func (r *recording) flush(to Recorder, upTo int64) error {
	var buf [1600]int16
	for {
		r.mu.Lock()
		n := min(upTo-r.cursor, int64(len(buf)))
		for i := range max(n, 0) {
			p := (r.cursor + i) % recordRing
			buf[i], r.ring[p] = r.ring[p], 0
		}
		r.cursor += max(n, 0)
		r.mu.Unlock()
		if n <= 0 {
			return nil
		}
		if err := to.WriteSamples(buf[:n]); err != nil {
			return err
		}
	}
}

// stop hands on the rest and waits for it.
func (r *recording) stop() {
	r.once.Do(func() { close(r.quit) })
	<-r.done
}
