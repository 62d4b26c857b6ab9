package media

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

// A leg that speaks Opus hears prompts and tones as any other.
func TestOpusHearsClipsAndKeys(t *testing.T) {
	for _, ptime := range []int{0, 10, 30, 40, 60} {
		synctest.Test(t, func(t *testing.T) {
			w := newFakeWire(call.Opus)
			w.format.Ptime = ptime
			e := NewEndpoint(w, Hooks{})
			defer e.Close()
			done := make(chan struct{})
			begin := time.Now()
			e.Play(Tone(1000, 3*time.Second), false, func() { close(done) })
			<-done
			if d := time.Since(begin); d != 3*time.Second {
				t.Errorf("ptime %d: three seconds took %v", ptime, d)
			}
			got := w.heard()
			if want := int(3 * time.Second / w.format.frame()); len(got) != want {
				t.Errorf("ptime %d: %d packets, want %d", ptime, len(got), want)
			}
			continuous(t, got, 48000)
			audio := w.audio()
			if hz := dominant(audio); hz != 1000 || power(audio[8000:16000], 1000) < 0.3 {
				t.Errorf("ptime %d: %v Hz at %.2f", ptime, hz, power(audio[8000:16000], 1000))
			}
			if gap := longestSilence(audio); gap > 15*time.Millisecond {
				t.Errorf("ptime %d: silent for %v", ptime, gap)
			}
			e.SendDigits("5")
			time.Sleep(time.Second)
			w.set(func(f *Format) { f.DTMF = 0 })
			before := len(w.audio())
			e.SendDigits("5")
			time.Sleep(time.Second)
			if key := w.audio()[before:]; power(key, 770) < 0.01 || power(key, 1336) < 0.01 {
				t.Errorf("ptime %d: a key in band has %.3f and %.3f", ptime, power(key, 770), power(key, 1336))
			}
			if ptime <= 20 { // the end of an event is said three times, under its beginning's timestamp
				continuous(t, w.heard(), 48000)
			}
		})
	}
}

// Between Opus and G.711 each hears the other, and keys pass among the audio.
func TestTranslatingBridge(t *testing.T) {
	for _, law := range []call.Codec{call.PCMU, call.PCMA} {
		synctest.Test(t, func(t *testing.T) {
			wa, wb := newFakeWire(call.Opus), newFakeWire(law)
			var keys []byte
			a := NewEndpoint(wa, Hooks{Digit: func(k byte, relayed bool) {
				if keys = append(keys, k); !relayed {
					t.Error("the key was not passed on")
				}
			}})
			b := NewEndpoint(wb, Hooks{})
			Bridge(a, b)
			go wb.talk(Tone(600, 5*time.Second).Samples)
			wa.talk(Tone(1000, 2*time.Second).Samples)
			for i := range 10 { // a key of 200 ms
				v := keyEvent{code: 5, volume: 10, end: i >= 8, duration: uint16(960 * min(i+1, 8))}
				var p [4]byte
				v.put(p[:])
				wa.receive(rtp.Header{Version: 2, PayloadType: 110, SequenceNumber: wa.seq, Timestamp: wa.ts, SSRC: wa.ssrc, Marker: i == 0}, p[:])
				wa.seq++
				time.Sleep(20 * time.Millisecond)
			}
			wa.ts += 10 * 960
			wa.talk(Tone(1000, 2800*time.Millisecond).Samples)
			time.Sleep(time.Second)
			stats, other := a.Stats(), b.Stats()
			a.Close()
			b.Close()

			var events []heardPacket
			got := wb.heard()
			for i, p := range got {
				if p.PayloadType == 101 {
					events = append(events, p)
				}
				if i > 0 && p.SequenceNumber != got[i-1].SequenceNumber+1 {
					t.Fatalf("sequence %d after %d", p.SequenceNumber, got[i-1].SequenceNumber)
				}
				if i > 0 && p.PayloadType != 101 {
					if moved := time.Duration(p.Timestamp-got[i-1].Timestamp) * time.Second / sampleRate; moved > 400*time.Millisecond {
						t.Errorf("packet %d at %v: timestamps leap by %v", i, p.at, moved)
					}
				}
			}
			if string(keys) != "5" || len(events) != 10 {
				t.Errorf("keys %q, %d packets of them", keys, len(events))
			}
			for _, p := range events {
				if p.Timestamp != events[0].Timestamp {
					t.Errorf("one key has timestamps %d and %d", events[0].Timestamp, p.Timestamp)
				}
			}
			continuous(t, wa.heard(), 48000)
			heardA, heardB := wa.audio(), wb.audio()
			if hz := dominant(heardA); hz != 600 || power(heardA[16000:24000], 600) < 0.3 {
				t.Errorf("the Opus leg hears %v Hz", hz)
			}
			if hz := dominant(heardB[:16000]); hz != 1000 || power(heardB[4000:12000], 1000) < 0.3 {
				t.Errorf("the %s leg hears %v Hz", law, hz)
			}
			if gap := longestSilence(heardA[800:36000]); gap > 15*time.Millisecond {
				t.Errorf("the Opus leg hears nothing for %v", gap)
			}
			if stats.PacketsIn != 250 || other.PacketsIn != 250 || other.PacketsOut < 240 {
				t.Errorf("stats %+v and %+v", stats, other)
			}
		})
	}
}

// Recordings, too, hear Opus.
func TestRecordingOfOpus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.Opus)
		e := NewEndpoint(w, Hooks{})
		defer e.Close()
		var r tape
		stop := e.Record(&r)
		w.talk(Tone(700, 3*time.Second).Samples)
		stop()
		if hz := dominant(r.samples); len(r.samples) != 24000 || hz != 700 || power(r.samples[8000:16000], 700) < 0.3 {
			t.Errorf("%d samples of %v Hz", len(r.samples), hz)
		}
	})
}
