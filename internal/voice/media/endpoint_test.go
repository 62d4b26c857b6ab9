package media

import (
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/voice/call"
)

func TestStreamGoesOnAcrossSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		a, b := NewEndpoint(wa, Hooks{}), NewEndpoint(wb, Hooks{})
		defer a.Close()
		defer b.Close()
		voice := Tone(440, time.Second).Samples

		Bridge(a, b)
		wa.talk(voice)
		time.Sleep(137 * time.Millisecond)
		b.Play(Tone(1000, time.Second), false, nil)
		wa.talk(voice[:4000]) // not heard: b hears the clip
		time.Sleep(2 * time.Second)
		b.Play(Tone(1000, time.Second), true, nil)
		time.Sleep(1010 * time.Millisecond)
		Bridge(a, b)
		wa.ssrc, wa.seq, wa.ts = 99, 40000, 12345 // the far end starts anew
		wa.talk(voice)
		wa.talk(voice)
		b.Detach()
		wa.talk(voice)

		got := wb.heard()
		if len(got) < 50+50+51+100 || len(got) > 255 {
			t.Errorf("b heard %d packets", len(got))
		}
		continuous(t, got, 8000)
		var spurts int
		for _, p := range got {
			if p.Marker {
				spurts++
			}
		}
		if spurts != 4 {
			t.Errorf("%d talk spurts, want 4: bridge, clip, clip, bridge", spurts)
		}
		if s := b.Stats(); s.PacketsOut != uint64(len(got)) || s.Codec != call.PCMU {
			t.Errorf("stats %+v for %d packets", s, len(got))
		}
	})
}
