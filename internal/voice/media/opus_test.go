package media

import (
	"testing"
	"testing/synctest"
	"time"

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
