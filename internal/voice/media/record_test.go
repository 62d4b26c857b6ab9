package media

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

// tape is a recorder in memory.
type tape struct {
	samples []int16
	fail    int // after so many samples; 0 never
}

func (r *tape) WriteSamples(s []int16) error {
	if r.fail > 0 && len(r.samples) >= r.fail {
		return errors.New("disk full")
	}
	r.samples = append(r.samples, s...)
	return nil
}

// numbered returns a packet that tells its number, up to 126.
func numbered(n int) []byte { return bytes.Repeat([]byte{0x80 | byte(n)}, 160) }

func (w *fakeWire) sayNumber(n int, seq uint16, ts uint32) {
	w.receive(rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: ts, SSRC: 7}, numbered(n))
}

// at returns which numbered packet is heard in the recording at a time, -1 for
// silence.
func (r *tape) at(d time.Duration) int {
	i := int(d * sampleRate / time.Second)
	if i >= len(r.samples) || r.samples[i] == 0 {
		return -1
	}
	return int(encodeMu(r.samples[i]) &^ 0x80)
}

func TestRecordingFollowsTime(t *testing.T) {
	const packet = 20 * time.Millisecond
	for name, c := range map[string]struct {
		play  func(say func(n int)) // says packet n, whose place is n*20 ms; time passes here
		check map[int]int           // packet's place → what is there
		total time.Duration
	}{
		"in order": {func(say func(int)) {
			for n := range 100 {
				say(n)
				time.Sleep(packet)
			}
		}, map[int]int{0: 0, 1: 1, 50: 50, 99: 99}, 2 * time.Second},
		"lost": {func(say func(int)) {
			for n := range 100 {
				if n%10 != 3 {
					say(n)
				}
				time.Sleep(packet)
			}
		}, map[int]int{2: 2, 3: 3, 4: 4, 93: 93, 99: 99} /* made up between its neighbours */, 2 * time.Second},
		"late and out of order": {func(say func(int)) {
			for n := 0; n < 100; n += 4 {
				time.Sleep(4 * packet)
				say(n + 3)
				say(n + 1)
				say(n)
				say(n + 2)
			}
		}, map[int]int{8: 8, 9: 9, 10: 10, 11: 11, 90: 90, 98: 98}, 2 * time.Second},
		"silence between words": {func(say func(int)) {
			for n := range 10 {
				say(n)
				time.Sleep(packet)
			}
			time.Sleep(80 * packet)
			for n := range 10 {
				say(90 + n)
				time.Sleep(packet)
			}
		}, map[int]int{9: 9, 10: 9, 14: -1, 88: -1, 90: 90, 99: 99}, 2 * time.Second},
		"says nothing": {func(func(int)) { time.Sleep(1234 * time.Millisecond) }, map[int]int{10: -1}, 1234 * time.Millisecond},
		"ends in silence": {func(say func(int)) {
			say(0)
			time.Sleep(time.Minute)
		}, map[int]int{0: 0, 1: -1, 1000: -1}, time.Minute},
		"a stall of the network": {func(say func(int)) {
			for n := range 100 {
				if n == 40 {
					time.Sleep(20 * packet)
				}
				say(n)
				if n < 40 || n >= 60 { // 40 to 59 come at once, most of them too late
					time.Sleep(packet)
				}
			}
		}, map[int]int{39: 39, 60: 60, 99: 99}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFakeWire(call.PCMU)
				e := NewEndpoint(w, codecs, Hooks{})
				defer e.Close()
				var r tape
				begin := time.Now()
				stop := e.Record(&r)
				first := time.Duration(-1)
				c.play(func(n int) {
					if first < 0 {
						first = max(time.Since(begin)-packet, 0) - time.Duration(n)*packet
						if name == "late and out of order" {
							first = packet // the fastest is the one that sets the place
						}
					}
					w.sayNumber(n, uint16(n), uint32(n*160)+4294967000)
				})
				took := time.Since(begin)
				stop()
				stop()
				if got := time.Duration(len(r.samples)) * time.Second / sampleRate; got < took || got > took+packet {
					t.Errorf("recorded %v in %v", got, took)
				}
				if took < c.total-packet || took > c.total+packet {
					t.Errorf("the test took %v", took)
				}
				for place, want := range c.check {
					if got := r.at(first + time.Duration(place)*packet + packet/2); got != want {
						t.Errorf("packet %d is heard in the place of %d, want %d", got, place, want)
					}
				}
			})
		})
	}
}

// A sender whose clock is not ours, and one that starts anew, are put right
// without losing more than a moment.
func TestRecordingOfAnotherClock(t *testing.T) {
	for name, ppm := range map[string]int{"slow": -1000, "fast": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFakeWire(call.PCMU)
				e := NewEndpoint(w, codecs, Hooks{})
				defer e.Close()
				var r tape
				stop := e.Record(&r)
				begin := time.Now()
				const n = 8 * 60 * 50
				for i := range n {
					w.sayNumber(i%100, uint16(i), uint32(i*160))
					time.Sleep(20*time.Millisecond - time.Duration(ppm)*20*time.Nanosecond)
				}
				took := time.Since(begin)
				stop()
				got := time.Duration(len(r.samples)) * time.Second / sampleRate
				if off := got - took; off < -20*time.Millisecond || off > 120*time.Millisecond {
					t.Errorf("recorded %v in %v", got, took)
				}
				var silent int
				for _, s := range r.samples {
					if s == 0 {
						silent++
					}
				}
				if d := time.Duration(silent) * time.Second / sampleRate; d > time.Second {
					t.Errorf("%v of silence in eight minutes of speech", d)
				}
			})
		})
	}
}

func TestRecordingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMA)
		e := NewEndpoint(w, codecs, Hooks{})
		full := &tape{fail: 4000}
		stop := e.Record(full)
		w.talk(Tone(440, 2*time.Second).Samples)
		stop()
		if n := len(full.samples); n < 4000 || n > 8000 {
			t.Errorf("%d samples after the error", n)
		}
		var first, second tape
		stopFirst := e.Record(&first)
		w.talk(Tone(440, time.Second).Samples)
		e.Record(&second) // ends the first
		w.talk(Tone(440, time.Second).Samples)
		stopFirst() // does not end the second
		w.talk(Tone(440, time.Second).Samples)
		e.Close()
		if n := len(first.samples); n != 8000 {
			t.Errorf("%d samples in the first recording", n)
		}
		if n := len(second.samples); n != 16000 || dominant(second.samples) != 440 {
			t.Errorf("%d samples in the second recording", n)
		}
		e.Record(&first)()
		if len(first.samples) != 8000 {
			t.Error("a closed endpoint was recorded")
		}
	})
}
