package carrier

import (
	"bytes"
	_ "embed"
	"math"

	"dialtone/internal/voice/carrier/wav"
)

// clip is what the carrier says: two sentences of our own, spoken by espeak-ng
// and kept as µ-law at 8 kHz.
//
//go:embed clip.wav
var clip []byte

// Clip returns the spoken sentences: 8 kHz, about twelve seconds.
func Clip() []int16 {
	s, err := wav.Decode(bytes.NewReader(clip))
	if err != nil {
		panic("carrier: the embedded clip: " + err.Error())
	}
	return s.Samples
}

// voice is what a stream says: it fills the next frame. Only the stream's
// pacer calls it.
type voice interface {
	fill(frame []int16)
}

// silence says zeros: packets go on, nothing is heard.
type silence struct{}

func (silence) fill(frame []int16) { clear(frame) }

// loop says its samples over and over; once says them one time, then silence.
type loop struct {
	samples []int16
	pos     int
	once    bool
}

func (l *loop) fill(frame []int16) {
	for i := range frame {
		if l.pos == len(l.samples) && !l.once {
			l.pos = 0
		}
		if l.pos == len(l.samples) {
			frame[i] = 0
			continue
		}
		frame[i] = l.samples[l.pos]
		l.pos++
	}
}

// tone says a sine at −12 dBFS.
type tone struct {
	hz    float64
	phase float64
}

func (t *tone) fill(frame []int16) {
	for i := range frame {
		frame[i] = int16(math.Round(8192 * math.Sin(t.phase)))
		t.phase = math.Mod(t.phase+2*math.Pi*t.hz/rate, 2*math.Pi)
	}
}
