package media

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

// ev is one telephone-event packet on its way in: after a wait, with timestamp,
// event code, duration, and 'm' (marker), 'e' (end), 'x' (lost on the way).
type ev struct {
	wait     int // ms
	ts       uint32
	code     byte
	duration uint16
	flags    string
}

func TestKeysAreReportedOnce(t *testing.T) {
	press := func(ts uint32, code byte) []ev { // as RFC 4733 wants it
		return []ev{
			{20, ts, code, 160, "m"},
			{20, ts, code, 320, ""},
			{20, ts, code, 480, ""},
			{20, ts, code, 640, "e"},
			{20, ts, code, 640, "e"},
			{20, ts, code, 640, "e"},
		}
	}
	without := func(evs []ev, lost ...int) []ev {
		for _, i := range lost {
			evs[i].flags += "x"
		}
		return evs
	}
	join := func(parts ...[]ev) (all []ev) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	noMarker := func(evs []ev) []ev {
		for i := range evs {
			evs[i].flags = string(bytes.ReplaceAll([]byte(evs[i].flags), []byte("m"), nil))
		}
		return evs
	}
	allMarked := func(evs []ev) []ev {
		for i := range evs {
			evs[i].flags += "m"
		}
		return evs
	}
	for name, c := range map[string]struct {
		evs  []ev
		want string
	}{
		"one":                       {press(1000, 5), "5"},
		"all keys":                  {join(press(1, 0), press(2000, 9), press(4000, 10), press(6000, 11), press(8000, 12), press(10000, 15)), "09*#AD"},
		"the same twice":            {join(press(1000, 5), press(3000, 5)), "55"},
		"no marker":                 {noMarker(join(press(1000, 5), press(3000, 5))), "55"},
		"all marked":                {allMarked(join(press(1000, 5), press(3000, 5))), "55"},
		"first packets lost":        {without(press(1000, 5), 0, 1, 2), "5"},
		"one end packet only":       {without(press(1000, 5), 0, 1, 2, 3, 4), "5"},
		"no end packet":             {join(without(press(1000, 5), 3, 4, 5), press(3000, 6)), "56"},
		"no end packet, same key":   {join(without(press(1000, 5), 3, 4, 5), press(3000, 5)), "55"},
		"two keys at once":          {join(without(press(1000, 1), 4, 5), press(1700, 2)), "12"},
		"flash is no key":           {press(1000, 16), ""},
		"wraps":                     {join(press(0xffffff00, 5), press(1600, 5)), "55"},
		"moving timestamps":         {[]ev{{20, 1000, 5, 160, ""}, {20, 1160, 5, 320, ""}, {20, 1320, 5, 480, ""}, {20, 1480, 5, 480, "e"}, {20, 1640, 5, 480, "e"}}, "5"},
		"a long press in segments":  {[]ev{{20, 1000, 5, 160, "m"}, {20, 1000, 5, 0xffff, ""}, {20, 1000 + 0xffff, 5, 160, ""}, {20, 1000 + 0xffff, 5, 800, "e"}}, "5"},
		"late packet of the former": {[]ev{{20, 1000, 5, 160, "m"}, {20, 1000, 5, 320, "e"}, {20, 3000, 6, 160, "m"}, {5, 1000, 5, 320, "e"}, {20, 3000, 6, 320, "e"}}, "56"},
		"the same timestamp again":  {[]ev{{20, 1000, 5, 320, "e"}, {11000, 1000, 5, 320, "e"}}, "55"},
		"another key, same time":    {[]ev{{20, 1000, 5, 320, "e"}, {200, 1000, 6, 320, "e"}}, "56"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFakeWire(call.PCMU)
				var got []byte
				e := NewEndpoint(w, codecs, Hooks{Digit: func(d byte, relayed bool) {
					if relayed {
						t.Error("relayed to nobody")
					}
					got = append(got, d)
				}})
				defer e.Close()
				for _, x := range c.evs {
					time.Sleep(time.Duration(x.wait) * time.Millisecond)
					w.seq++
					if bytes.ContainsRune([]byte(x.flags), 'x') {
						continue
					}
					var payload [4]byte
					keyEvent{code: x.code, end: bytes.ContainsRune([]byte(x.flags), 'e'), volume: 10, duration: x.duration}.put(payload[:])
					h := rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: w.seq, Timestamp: x.ts, SSRC: w.ssrc, Marker: bytes.ContainsRune([]byte(x.flags), 'm')}
					w.receive(h, payload[:])
					w.receive(h, payload[:]) // the network repeats it
				}
				if string(got) != c.want {
					t.Errorf("keys %q, want %q", got, c.want)
				}
			})
		})
	}
}

// key lets the far end press a key for 100 ms.
func (w *fakeWire) key(code byte) {
	ts := w.ts
	per := w.format.DTMFRate / 50
	for i := range uint32(7) {
		var payload [4]byte
		keyEvent{code: code, end: i > 4, volume: 10, duration: uint16(min(i+1, 5) * per)}.put(payload[:])
		h := rtp.Header{Version: 2, PayloadType: w.format.DTMF, SequenceNumber: w.seq, Timestamp: ts, SSRC: w.ssrc, Marker: i == 0}
		w.seq++
		w.ts += w.format.ClockRate / 50
		w.receive(h, payload[:])
		time.Sleep(20 * time.Millisecond)
	}
}

func TestKeysCrossTheBridge(t *testing.T) {
	for name, c := range map[string]struct {
		a, b    func(*Format)
		relayed bool
		last    uint16 // duration
	}{
		"same":                {func(*Format) {}, func(*Format) {}, true, 800},
		"other payload type":  {func(f *Format) { f.DTMF = 126 }, func(f *Format) { f.DTMF = 96 }, true, 800},
		"to a faster clock":   {func(*Format) {}, func(f *Format) { f.DTMF, f.DTMFRate = 110, 48000 }, true, 4800},
		"from a faster clock": {func(f *Format) { f.DTMFRate = 48000 }, func(*Format) {}, true, 800},
		"not understood":      {func(*Format) {}, func(f *Format) { f.DTMF = 0 }, false, 0},
		"on hold":             {func(*Format) {}, func(f *Format) { f.SendOnly = true }, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMA)
				c.a(&wa.format)
				c.b(&wb.format)
				var digits []byte
				a := NewEndpoint(wa, codecs, Hooks{Digit: func(d byte, relayed bool) {
					if relayed != c.relayed {
						t.Errorf("relayed: %v, want %v", relayed, c.relayed)
					}
					digits = append(digits, d)
				}})
				b := NewEndpoint(wb, codecs, Hooks{})
				defer a.Close()
				defer b.Close()
				Bridge(a, b)
				voice := Tone(440, 200*time.Millisecond).Samples
				wa.talk(voice)
				wa.key(7)
				wa.talk(voice)
				if string(digits) != "7" {
					t.Errorf("digits %q", digits)
				}
				got := wb.heard()
				continuous(t, got, 8000)
				var events []heardPacket
				for _, p := range got {
					if p.PayloadType != 8 {
						events = append(events, p)
					}
				}
				if !c.relayed {
					if len(events) != 0 {
						t.Errorf("%d events arrived", len(events))
					}
					return
				}
				if len(events) != 7 {
					t.Fatalf("%d events arrived, want 7", len(events))
				}
				for i, p := range events {
					v, ok := parseKeyEvent(p.payload)
					if !ok || p.PayloadType != wb.format.DTMF || v.code != 7 || v.end != (i > 4) || p.Timestamp != events[0].Timestamp || p.Marker != (i == 0) {
						t.Errorf("event %d: %+v in %+v", i, v, p.Header)
					}
					if i == 6 && v.duration != c.last {
						t.Errorf("duration %d, want %d", v.duration, c.last)
					}
				}
			})
		})
	}
}

func TestSendDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		e, o := NewEndpoint(w, codecs, Hooks{}), NewEndpoint(other, codecs, Hooks{})
		defer e.Close()
		defer o.Close()
		Bridge(e, o)
		talker := make(chan struct{})
		go func() {
			other.talk(Tone(440, 3*time.Second).Samples)
			close(talker)
		}()
		time.Sleep(510 * time.Millisecond)
		e.SendDigits("1")
		e.SendDigits("x#w?9")
		<-talker
		got := w.heard()
		continuous(t, got, 8000)
		type press struct {
			code     byte
			begin    time.Duration
			packets  int
			ends     int
			duration uint16
			ts       uint32
		}
		var presses []press
		for _, p := range got {
			if p.PayloadType != 101 {
				continue
			}
			v, _ := parseKeyEvent(p.payload)
			if len(presses) == 0 || presses[len(presses)-1].ts != p.Timestamp {
				if !p.Marker {
					t.Error("the first packet of a press has no marker bit")
				}
				presses = append(presses, press{code: v.code, begin: p.at, ts: p.Timestamp})
			} else if p.Marker {
				t.Error("a later packet of a press has the marker bit")
			}
			x := &presses[len(presses)-1]
			if v.duration < x.duration || v.end && x.ends > 0 && v.duration != x.duration {
				t.Errorf("duration %d after %d", v.duration, x.duration)
			}
			x.packets++
			x.duration = v.duration
			if v.end {
				x.ends++
			}
		}
		want := []press{
			{1, 510 * time.Millisecond, 11, 3, 1280, 0},
			{11, 740 * time.Millisecond, 11, 3, 1280, 0},
			{9, 1470 * time.Millisecond, 11, 3, 1280, 0}, // after half a second's wait
		}
		for i := range presses {
			presses[i].ts = 0
		}
		if len(presses) != len(want) {
			t.Fatalf("%+v", presses)
		}
		for i := range want {
			if presses[i] != want[i] {
				t.Errorf("press %d: %+v, want %+v", i, presses[i], want[i])
			}
		}
		if first, last := got[0], got[len(got)-1]; first.PayloadType != 0 || last.PayloadType != 0 || last.at < 2900*time.Millisecond {
			t.Error("the other party is not heard again after the digits")
		}
	})
}

func TestDigitsInBand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMA)
		w.format.DTMF = 0
		e := NewEndpoint(w, codecs, Hooks{})
		defer e.Close()
		e.Play(Silence(3*time.Second), false, nil)
		time.Sleep(time.Second)
		e.SendDigits("5")
		time.Sleep(time.Second)
		continuous(t, w.heard(), 8000)
		tone := w.audio()[8000 : 8000+1280]
		for hz, on := range map[float64]bool{697: false, 770: true, 852: false, 941: false, 1209: false, 1336: true, 1477: false, 1633: false} {
			if p := power(tone, hz); on != (p > 0.05) {
				t.Errorf("%v Hz: level %.3f", hz, p)
			}
		}
	})
}

func TestManyDigitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMU)
		e := NewEndpoint(w, codecs, Hooks{})
		for range 1000 {
			e.SendDigits("0123456789")
		}
		time.Sleep(time.Minute)
		presses := map[uint32]bool{}
		for _, p := range w.heard() {
			presses[p.Timestamp] = true
		}
		if len(presses) < maxDigits || len(presses) > maxDigits+10 {
			t.Errorf("%d keys were sent", len(presses))
		}
		e.SendDigits("1234567890")
		e.Close() // does not wait until they are sent
		e.SendDigits("1")
	})
}

func FuzzKeyEvents(f *testing.F) {
	f.Add([]byte{5, 0x8a, 3, 0x20}, uint32(1000), true)
	f.Add([]byte{16, 0, 0, 0}, uint32(0), false)
	f.Add([]byte{1, 2}, uint32(0), false)
	f.Fuzz(func(t *testing.T, payload []byte, ts uint32, marker bool) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.Opus)
		presses := 0
		a := NewEndpoint(wa, codecs, Hooks{Digit: func(d byte, _ bool) {
			presses++
			if !bytes.ContainsRune([]byte(keys), rune(d)) {
				t.Errorf("key %q", d)
			}
		}})
		b := NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		for i := range uint16(3) { // the same packet with new numbers is the same press
			wa.receive(rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: i, Timestamp: ts, Marker: marker}, payload)
		}
		if presses > 1 {
			t.Errorf("%d presses of one event", presses)
		}
		for _, p := range wb.heard() {
			if len(p.payload) != 4 || p.PayloadType != 110 {
				t.Errorf("passed on %v of type %d", p.payload, p.PayloadType)
			}
		}
	})
}
