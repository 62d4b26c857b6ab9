package media

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/opus"
)

// One for all tests: compiling libopus takes most of a second.
var codecs = NewCodecs(CodecsOptions{})

// fakeWire is a far end in memory: what is written to it is kept with its time.
type fakeWire struct {
	mu     sync.Mutex
	format Format
	up     bool // formats are agreed
	down   bool // but packets cannot be sent
	got    []heardPacket
	on     func(*rtp.Header, []byte)
	begin  time.Time

	// The far end's own stream.
	seq  uint16
	ts   uint32
	ssrc uint32
}

type heardPacket struct {
	rtp.Header
	payload []byte
	at      time.Duration
}

func newFakeWire(c call.Codec) *fakeWire {
	f := Format{Codec: c, ClockRate: 8000, DTMF: 101, DTMFRate: 8000}
	switch c {
	case call.PCMU:
	case call.PCMA:
		f.PayloadType = 8
	case call.Opus:
		f.PayloadType, f.ClockRate, f.DTMF, f.DTMFRate = 111, 48000, 110, 48000
	}
	return &fakeWire{format: f, up: true, begin: time.Now(), seq: 65530, ts: 4294967000, ssrc: 7}
}

func (w *fakeWire) Format() (Format, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.format, w.up
}

func (w *fakeWire) set(f func(*Format)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.format)
}

func (w *fakeWire) WriteRTP(h *rtp.Header, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return errors.New("not up")
	}
	w.got = append(w.got, heardPacket{*h, slices.Clone(payload), time.Since(w.begin)})
	return nil
}

func (w *fakeWire) OnRTP(f func(*rtp.Header, []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = f
}

// receive lets one packet arrive.
func (w *fakeWire) receive(h rtp.Header, payload []byte) {
	w.mu.Lock()
	on := w.on
	w.mu.Unlock()
	if on != nil {
		on(&h, payload)
	}
}

// say lets the next 20 ms of the far end arrive.
func (w *fakeWire) say(payload []byte) {
	h := rtp.Header{Version: 2, PayloadType: w.format.PayloadType, SequenceNumber: w.seq, Timestamp: w.ts, SSRC: w.ssrc}
	w.seq++
	w.ts += w.format.ClockRate / 50
	w.receive(h, payload)
}

// talk says the samples in time.
func (w *fakeWire) talk(samples []int16) {
	m := mouth{codecs: codecs}
	defer m.close()
	for len(samples) >= 160 {
		p, _ := m.speak(w.format, samples[:160])
		samples = samples[160:]
		w.say(slices.Clone(p))
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *fakeWire) heard() []heardPacket {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

// audio decodes what arrived and puts it on a line by its timestamps.
func (w *fakeWire) audio() []int16 {
	var out, samples []int16
	l := lawOf(w.format.Codec)
	var d *opus.Decoder
	if l == nil {
		d, _ = codecs.decoder()
		defer d.Close()
	}
	got := w.heard()
	for _, p := range got {
		if p.PayloadType != w.format.PayloadType {
			continue
		}
		samples = samples[:0]
		if l != nil {
			for _, b := range p.payload {
				samples = append(samples, l.decode[b])
			}
		} else {
			samples, _ = d.Decode(samples, p.payload)
		}
		at := int(int64(int32(p.Timestamp-got[0].Timestamp)) * sampleRate / int64(w.format.ClockRate))
		for len(out) < at+len(samples) {
			out = append(out, 0)
		}
		copy(out[at:], samples)
	}
	return out
}

// continuous checks that packets follow each other as one stream: no number
// twice or left out, timestamps by the clock.
func continuous(t *testing.T, got []heardPacket, rate float64) {
	t.Helper()
	for i := 1; i < len(got); i++ {
		a, b := got[i-1], got[i]
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Fatalf("packet %d: sequence %d after %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		moved := float64(int32(b.Timestamp-a.Timestamp)) / rate
		if moved < 0 {
			t.Fatalf("packet %d: timestamp goes back by %f s", i, -moved)
		}
		all := float64(int32(b.Timestamp-got[0].Timestamp)) / rate
		if off := all - (b.at - got[0].at).Seconds(); off > 0.05 || off < -0.21 {
			t.Fatalf("packet %d at %v: timestamps are %f s from the clock", i, b.at, off)
		}
	}
}

// dominant returns the strongest frequency in a second from the middle of the
// samples, in steps of 1 Hz.
func dominant(samples []int16) float64 {
	if from := len(samples)/2 - sampleRate/2; from > 0 {
		samples = samples[from:][:sampleRate]
	}
	strongest := func(s []int16, from, to, step float64) (at float64) {
		var best float64
		for hz := from; hz < to; hz += step {
			if p := power(s, hz); p > best {
				best, at = p, hz
			}
		}
		return at
	}
	// A quarter of a second tells frequencies 4 Hz apart.
	rough := strongest(samples[:min(len(samples), sampleRate/4)], 200, 3800, 3)
	return strongest(samples, rough-6, rough+7, 1)
}

// power returns how strong one frequency is (Goertzel), relative to full scale.
func power(samples []int16, hz float64) float64 {
	c := 2 * math.Cos(2*math.Pi*hz/sampleRate)
	var a, b float64
	for _, s := range samples {
		a, b = float64(s)+c*a-b, a
	}
	n := float64(len(samples))
	return math.Sqrt(max(0, a*a+b*b-c*a*b)) * 2 / n / 32768
}

// longestSilence returns the longest run of samples near zero.
func longestSilence(samples []int16) time.Duration {
	var run, longest int
	for _, s := range samples {
		if run++; s > 200 || s < -200 {
			run = 0
		}
		longest = max(longest, run)
	}
	return time.Duration(longest) * time.Second / sampleRate
}
