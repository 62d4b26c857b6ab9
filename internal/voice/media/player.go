package media

import (
	"sync"
	"time"

	"github.com/pion/rtp"
)

// Clip is audio to play: 16-bit samples at 8 kHz, mono. It must not change while
// it plays.
type Clip struct {
	Name    string
	Samples []int16
}

// Duration returns how long the clip plays.
func (c *Clip) Duration() time.Duration {
	return time.Duration(len(c.Samples)) * time.Second / sampleRate
}

// sampleRate of clips, recordings and G.711.
const sampleRate = 8000

// player plays a clip to one endpoint.
type player struct {
	clip *Clip
	loop bool
	once sync.Once
	quit chan struct{}
}

func (*player) source() {}

func (p *player) stop() { p.once.Do(func() { close(p.quit) }) }

// play is the goroutine of one clip. It keeps to the clock: frame n is due at
// start + n × 20 ms, however long each took.
func (e *Endpoint) play(p *player, done func()) {
	whole := e.playFrames(p)
	if whole {
		e.mu.Lock()
		if whole = e.source == p; whole {
			e.hearLocked(nil)
		}
		e.mu.Unlock()
	}
	// done may close the endpoint, which waits for its workers.
	e.workers.Done()
	if whole && done != nil {
		done()
	}
}

// playFrames returns true when the clip was played to its end.
func (e *Endpoint) playFrames(p *player) bool {
	const (
		late    = 200 * time.Millisecond
		patient = 3 * time.Second // for a wire that is not up yet
	)
	var (
		samples [60 * sampleRate / 1000]int16
		mouth   = mouth{codecs: e.codecs}
		mute    patience
		h       rtp.Header
		seq     uint64
		pos     int           // in the clip
		at      time.Duration // since the start
		begun   bool          // the clip is not held back any more
	)
	defer mouth.close()
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !p.over(pos) {
		select {
		case <-p.quit:
			return false
		case <-timer.C:
		}
		now := time.Now()
		if behind := now.Sub(start) - at; behind > late {
			start = start.Add(behind) // the machine slept: go on from here, no burst
		}
		f, ok := e.wire.Format()
		frame := f.frame()
		n := int(frame * sampleRate / time.Second)
		next, down := p.fill(samples[:n], pos), !ok
		if ok {
			payload, spoken := mouth.speak(f, samples[:n])
			if spoken {
				h = rtp.Header{Version: 2, PayloadType: f.PayloadType}
				seq++
				down = e.write(p, f, stamp{seq: seq, ts: f.ticks(at), ticks: f.ticks(frame)}, &h, payload, now) != nil
			}
			if mute.lost(!spoken, now) {
				e.untranslated()
			}
		}
		if begun = begun || !down || at >= patient; begun {
			pos = next
		}
		at += frame
		timer.Reset(time.Until(start.Add(at)))
	}
	select {
	case <-p.quit:
		return false
	case <-timer.C:
		return true
	}
}

func (p *player) over(pos int) bool {
	return pos >= len(p.clip.Samples) && (!p.loop || len(p.clip.Samples) == 0)
}

// fill copies the samples from pos on, round the end of a loop, with silence
// after the end of a clip that does not loop.
func (p *player) fill(dst []int16, pos int) int {
	for len(dst) > 0 {
		n := copy(dst, p.clip.Samples[pos:])
		dst, pos = dst[n:], pos+n
		if pos < len(p.clip.Samples) {
			break
		}
		if !p.loop {
			clear(dst)
			break
		}
		pos = 0
	}
	return pos
}
