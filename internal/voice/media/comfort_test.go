package media

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

func TestComfortNoiseHasItsLevelAndSpectrum(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload []byte
		low     bool // more below 1 kHz than above 3
	}{
		{"white", []byte{40}, false},
		{"loud", []byte{20}, false},
		{"coloured", []byte{40, 127 - 102}, true}, // first reflection coefficient -0.8
		{"of high order", []byte{45, 90, 140, 120, 131, 127, 127, 127, 127, 127, 127, 127, 127}, false},
	} {
		var n comfort
		n.set(c.payload)
		s := make([]int16, 4*sampleRate)
		n.fill(s)
		level := 20 * math.Log10(rms(s)/32768)
		if want := -float64(c.payload[0]); math.Abs(level-want) > 1.5 {
			t.Errorf("%s: %.1f dBov, want %.0f", c.name, level, want)
		}
		band := func(from, to float64) (sum float64) {
			for hz := from; hz < to; hz += 50 {
				sum += power(s[:sampleRate], hz)
			}
			return sum
		}
		if low, high := band(100, 900), band(3100, 3900); low > 3*high != c.low {
			t.Errorf("%s: %.5f below 900 Hz, %.5f above 3100", c.name, low, high)
		}
	}
	var n comfort
	n.set(nil)
	s := []int16{1, 2, 3}
	if n.fill(s); s[0] != 0 || s[2] != 0 {
		t.Error("noise without a description")
	}
	n.set([]byte{0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0})
	n.fill(make([]int16, 8000)) // an unstable filter must not end in NaN or a crash
}

// A carrier that sends comfort noise in pauses: whoever records hears it, and the
// other end of the bridge hears a pause without a lost packet.
func TestComfortNoiseOfACarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		var r tape
		stop := a.Record(&r)
		wa.talk(Tone(440, time.Second).Samples)
		for range 5 { // every 200 ms
			wa.receive(rtp.Header{Version: 2, PayloadType: 13, SequenceNumber: wa.seq, Timestamp: wa.ts, SSRC: wa.ssrc}, []byte{40})
			wa.seq++
			wa.ts += 1600
			time.Sleep(200 * time.Millisecond)
		}
		wa.receive(rtp.Header{Version: 2, PayloadType: 77, SequenceNumber: wa.seq, Timestamp: wa.ts, SSRC: wa.ssrc}, []byte{1}) // whatever this is
		wa.seq++
		wa.talk(Tone(440, time.Second).Samples)
		stop()

		got := wb.heard()
		continuous(t, got, 8000)
		if len(got) != 100 {
			t.Errorf("%d packets, want 100", len(got))
		}
		for i, p := range got {
			if p.PayloadType != 0 || p.Marker != (i == 0 || i == 50) {
				t.Errorf("packet %d: %+v", i, p.Header)
			}
		}
		if gap := got[50].Timestamp - got[49].Timestamp; gap != 160+8000 {
			t.Errorf("the pause is %d ticks long", gap)
		}
		if s := a.Stats(); s.Lost != 0 || s.PacketsIn != 100 {
			t.Errorf("stats %+v", s)
		}
		if level := 20 * math.Log10(rms(r.samples[9000:15000])/32768); math.Abs(level+40) > 2 {
			t.Errorf("the recording has %.1f dBov in the pause, want -40", level)
		}
		if hz := dominant(r.samples[16500:]); hz != 440 || len(r.samples) != 24000 {
			t.Errorf("then %v Hz, %d samples", hz, len(r.samples))
		}
	})
}
