package media

import (
	"strings"
	"time"

	"github.com/pion/rtp"
)

// dialer sends digits to one endpoint, ahead of its source.
type dialer struct {
	queue []byte // guarded by Endpoint.mu
}

func (*dialer) source() {}

const (
	maxDigits  = 64 // waiting; more are dropped
	keyDown    = 160 * time.Millisecond
	keyGap     = 70 * time.Millisecond
	keyPause   = 500 * time.Millisecond // of a 'w' or ','
	keyVolume  = 10                     // dBm0 below zero, as browsers send
	endPackets = 3

	agreeWithin = 3 * time.Second // as long as a clip is held back
	agreeStep   = 10 * time.Millisecond
)

// SendDigits sends DTMF by RFC 4733, 160 ms a key and 70 ms between, ahead of
// the source's audio. Without a telephone-event format it sends the tones in
// band. Digits are 0–9, *, #, A–D; w and , wait half a second; others are
// left out. It returns at once; digits of later calls follow the earlier ones.
func (e *Endpoint) SendDigits(digits string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return
	}
	d := e.dialler
	if d == nil {
		d = &dialer{}
	}
	for _, c := range []byte(strings.ToUpper(digits)) {
		if len(d.queue) < maxDigits && (strings.IndexByte(keys, c) >= 0 || c == 'W' || c == ',') {
			d.queue = append(d.queue, c)
		}
	}
	if e.dialler == nil && len(d.queue) > 0 {
		e.dialler = d
		e.stream.resync = true
		e.workers.Add(1)
		go e.dial(d)
	}
}

// dial is the goroutine that sends the waiting digits.
func (e *Endpoint) dial(d *dialer) {
	defer e.workers.Done()
	c := clock{quit: e.quit, at: time.Now(), timer: time.NewTimer(0)}
	defer c.timer.Stop()
	<-c.timer.C
	for {
		key, more := e.nextKey(d)
		switch {
		case !more:
			return
		case key == 'W' || key == ',':
			more = c.wait(keyPause)
		default:
			var f Format
			var ok bool
			if f, ok, more = e.agreed(&c); !more {
				break
			}
			if ok && f.DTMF != 0 {
				more = e.sendEvent(d, &c, f, byte(strings.IndexByte(keys, key)))
			} else {
				more = e.sendTones(d, &c, f, ok, key)
			}
		}
		if !more { // closed
			e.mu.Lock()
			e.dialler = nil
			e.mu.Unlock()
			return
		}
	}
}

// agreed waits for the wire's format, but not for ever: keys that are pressed as
// a leg is being answered are not lost. more is false when the endpoint closes.
func (e *Endpoint) agreed(c *clock) (f Format, ok, more bool) {
	for waited := time.Duration(0); ; waited += agreeStep {
		if f, ok = e.wire.Format(); ok || waited >= agreeWithin {
			return f, ok, true
		}
		if !c.wait(agreeStep) {
			return f, false, false
		}
	}
}

// nextKey takes a digit; with none left the source is heard again.
func (e *Endpoint) nextKey(d *dialer) (key byte, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stream.resync = true // each key is a run of its own
	if len(d.queue) == 0 {
		e.dialler = nil
		return 0, false
	}
	key, d.queue = d.queue[0], d.queue[1:]
	return key, true
}

// sendEvent sends one key as telephone-event packets: the same timestamp, a
// growing duration, the last one three times (RFC 4733, 2.5.1).
func (e *Endpoint) sendEvent(d *dialer, c *clock, f Format, code byte) bool {
	frame := f.frame()
	perFrame := uint32(int64(frame) * int64(f.dtmfRate()) / int64(time.Second))
	frames := int(keyDown / frame)
	var payload [4]byte
	for i := range frames + endPackets {
		v := keyEvent{code: code, end: i >= frames, volume: keyVolume}
		v.duration = uint16(min(uint32(min(i+1, frames))*perFrame, 0xffff))
		v.put(payload[:])
		h := rtp.Header{Version: 2, PayloadType: f.DTMF}
		covered := uint32(int64(frame) * int64(min(i+1, frames)) * int64(f.clockRate()) / int64(time.Second))
		_ = e.write(d, f, stamp{seq: uint64(i) + 1, ticks: covered, marker: i == 0}, &h, payload[:], time.Now())
		if !c.wait(frame) {
			return false
		}
	}
	return c.wait(keyGap - endPackets*frame)
}

// sendTones sends one key as audio.
func (e *Endpoint) sendTones(d *dialer, c *clock, f Format, ok bool, key byte) bool {
	frame := f.frame()
	n := int(frame * sampleRate / time.Second)
	tone := KeyTone(key, keyDown)
	mouth := mouth{codecs: e.codecs}
	defer mouth.close()
	samples := make([]int16, n)
	for pos := 0; pos < len(tone.Samples); pos += n {
		clear(samples[copy(samples, tone.Samples[pos:]):])
		if ok {
			if payload, spoken := mouth.speak(f, samples); spoken {
				at := time.Duration(pos) * time.Second / sampleRate
				h := rtp.Header{Version: 2, PayloadType: f.PayloadType}
				_ = e.write(d, f, stamp{seq: uint64(pos/n) + 1, ts: f.ticks(at), ticks: f.ticks(frame)}, &h, payload, time.Now())
			}
		}
		if !c.wait(frame) {
			return false
		}
	}
	return c.wait(keyGap)
}

// clock paces a goroutine without drift.
type clock struct {
	at    time.Time // what has been waited for so far
	timer *time.Timer
	quit  <-chan struct{}
}

// wait returns d after the last wait's end, false at once when quit is closed.
func (c *clock) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	c.at = c.at.Add(d)
	c.timer.Reset(time.Until(c.at))
	select {
	case <-c.quit:
		return false
	case <-c.timer.C:
		return true
	}
}
