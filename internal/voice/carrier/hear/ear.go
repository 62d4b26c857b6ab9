// Package hear measures audio the way a careful listener would: how loud, at
// which frequency, and with which gaps.
//
// The functions are pure. An Ear listens to one live stream; all its methods
// are safe for concurrent use. The package never touches a network and never
// decodes: it is handed linear 16-bit mono samples.
package hear

import (
	"sync"
	"time"
)

// Heard is what an Ear knows at one moment.
type Heard struct {
	Level     float64 // root mean square of the last second, see Level
	Loudest   float64 // the highest level of any single frame
	Frequency float64 // Hz, strongest of the last second; 0 when that was silent
	Frames    uint64  // how many frames came in

	// LongestGap is the longest wait between two frames, and from the last
	// frame until now or the end, while frames were expected.
	LongestGap time.Duration
	// LongestQuiet is the longest run of silent frames between two that are
	// not: it shows a hole that someone filled with silent frames. Speech has
	// pauses of its own; judge tones by it.
	LongestQuiet time.Duration

	FirstFrame time.Time // zero: none yet
	FirstSound time.Time // the first frame that was not silent
}

// Ear listens to one stream of frames. The zero value is not usable: see NewEar.
type Ear struct {
	rate int

	mu     sync.Mutex
	ring   []int16 // the last second, oldest at pos once it is full
	pos    int
	filled bool
	last   time.Time // the latest frame; zero while none is expected
	ended  time.Time
	quiet  time.Duration // silent frames since the last sound
	heard  Heard
}

// NewEar returns an Ear for samples at rate Hz.
func NewEar(rate int) *Ear {
	return &Ear{rate: rate, ring: make([]int16, rate)}
}

// Frame tells of samples that arrived at a moment. After End it does nothing.
func (e *Ear) Frame(samples []int16, at time.Time) {
	level := Level(samples)
	length := time.Duration(len(samples)) * time.Second / time.Duration(e.rate)

	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended.IsZero() {
		return
	}
	h := &e.heard
	h.Frames++
	if h.FirstFrame.IsZero() {
		h.FirstFrame = at
	}
	if !e.last.IsZero() {
		h.LongestGap = max(h.LongestGap, at.Sub(e.last))
	}
	e.last = at
	if level < Silence {
		e.quiet += length
	} else {
		if h.FirstSound.IsZero() {
			h.FirstSound = at
		} else {
			h.LongestQuiet = max(h.LongestQuiet, e.quiet)
		}
		e.quiet = 0
	}
	h.Loudest = max(h.Loudest, level)
	for _, s := range samples {
		e.ring[e.pos] = s
		if e.pos++; e.pos == len(e.ring) {
			e.pos, e.filled = 0, true
		}
	}
}

// Pause says that no frames are expected until the next one comes, as on hold:
// the wait for it is no gap.
func (e *Ear) Pause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = time.Time{}
}

// End says that the stream is over; the wait since the last frame counts as a gap.
func (e *Ear) End(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended.IsZero() {
		return
	}
	e.ended = at
	if !e.last.IsZero() {
		e.heard.LongestGap = max(e.heard.LongestGap, at.Sub(e.last))
	}
}

// Heard returns what has been heard until now.
func (e *Ear) Heard(now time.Time) Heard {
	e.mu.Lock()
	h := e.heard
	if e.ended.IsZero() && !e.last.IsZero() {
		h.LongestGap = max(h.LongestGap, now.Sub(e.last))
	}
	var second []int16
	if e.filled {
		second = append(second, e.ring[e.pos:]...)
	}
	second = append(second, e.ring[:e.pos]...)
	e.mu.Unlock()

	h.Level = Level(second)
	h.Frequency = Frequency(second, e.rate)
	return h
}
