package media

import (
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/voice/call"
)

// Keys that come as a leg is being answered wait until it has agreed on formats.
func TestDigitsWaitForTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMU)
		w.up = false
		e := NewEndpoint(w, codecs, Hooks{})
		defer e.Close()
		e.SendDigits("5")
		time.Sleep(500 * time.Millisecond)
		w.mu.Lock()
		w.up = true
		w.mu.Unlock()
		time.Sleep(time.Second)
		packets := 0
		for _, p := range w.heard() {
			if v, ok := parseKeyEvent(p.payload); p.PayloadType == 101 && ok && v.code == 5 {
				packets++
			}
		}
		if packets != 11 {
			t.Errorf("%d packets of the key, want 11", packets)
		}
	})
}

// A wire that never comes up holds a key back for a while only, and Close not at all.
func TestDigitsOfADeadWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMU)
		w.up = false
		e := NewEndpoint(w, codecs, Hooks{})
		e.SendDigits("5")
		time.Sleep(agreeWithin + time.Second)
		e.SendDigits("6")
		at := time.Now()
		e.Close()
		if took := time.Since(at); took > 0 {
			t.Errorf("Close took %v", took)
		}
	})
}
