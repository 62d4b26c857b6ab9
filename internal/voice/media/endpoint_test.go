package media

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
)

func TestStreamGoesOnAcrossSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
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
		if want := 50 + 50 + 51 + 100; len(got) != want {
			t.Errorf("b heard %d packets, want %d", len(got), want)
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

// Within a source the receiver must see what the network did: the same losses,
// the same order; but no packet twice, and none from before it could hear.
func TestBridgeKeepsOrderAndLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		wb.format.PayloadType = 96
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		payload := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 160) }
		send := func(n int) {
			wa.receive(rtp.Header{Version: 2, SequenceNumber: uint16(65530 + n), Timestamp: uint32(160 * n), SSRC: 7}, payload(n))
			time.Sleep(20 * time.Millisecond)
		}
		send(8)
		send(9)
		Bridge(a, b)
		for _, n := range []int{11, 10, 11, 12, 14, 13, 13, 14, 17, 9, 18} {
			send(n)
		}
		got := wb.heard()
		want := []int{11, 12, 14, 13, 17, 18} // 10 and 9 are from before the first that b heard
		if len(got) != len(want) {
			t.Fatalf("%d packets, want %d", len(got), len(want))
		}
		for i, p := range got {
			d := want[i] - want[0]
			if !bytes.Equal(p.payload, payload(want[i])) || p.SequenceNumber-got[0].SequenceNumber != uint16(d) ||
				p.Timestamp-got[0].Timestamp != uint32(160*d) || p.PayloadType != 96 || p.Marker != (i == 0) {
				t.Errorf("packet %d: %+v, payload of %d, want %d", i, p.Header, p.payload[0], want[i])
			}
		}
		if s := a.Stats(); s.PacketsIn != 9 || s.Lost != 2 { // 8 to 18 but 15 and 16
			t.Errorf("stats %+v", s)
		}
	})
}

func TestOpusPassesUntouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.Opus), newFakeWire(call.Opus)
		wb.format.PayloadType = 96
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		for i := range 100 {
			wa.say(bytes.Repeat([]byte{byte(i)}, 40+i))
			time.Sleep(20 * time.Millisecond)
		}
		got := wb.heard()
		continuous(t, got, 48000)
		for i, p := range got {
			if p.PayloadType != 96 || !bytes.Equal(p.payload, bytes.Repeat([]byte{byte(i)}, 40+i)) {
				t.Fatalf("packet %d: %+v", i, p.Header)
			}
		}
		if len(got) != 100 {
			t.Errorf("%d packets", len(got))
		}
	})
}

func TestToneThroughATranscodingBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMA)
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		const there, back = 440.0, 1004.0
		go wb.talk(Tone(back, 10*time.Second).Samples)
		wa.talk(Tone(there, 10*time.Second).Samples)
		synctest.Wait()
		for _, x := range []struct {
			w  *fakeWire
			hz float64
		}{{wb, there}, {wa, back}} {
			heard := x.w.audio()
			if d := time.Duration(len(heard)) * time.Second / sampleRate; d < 9900*time.Millisecond {
				t.Errorf("heard %v of 10 s", d)
			}
			if got := dominant(heard); math.Abs(got-x.hz) > x.hz/100 {
				t.Errorf("dominant frequency %v, want %v", got, x.hz)
			}
			if gap := longestSilence(heard); gap > 60*time.Millisecond {
				t.Errorf("a gap of %v", gap)
			}
		}
		if s := a.Stats(); !s.SpeechIn || s.PacketsIn != 500 || s.Lost != 0 || s.LongestGap != 20*time.Millisecond {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMA)
		e := NewEndpoint(w, codecs, Hooks{})
		clip := Tone(440, 1030*time.Millisecond) // not whole packets
		done := make(chan time.Duration, 10)
		begin := time.Now()
		e.Play(clip, false, func() { done <- time.Since(begin) })
		if at := <-done; at != 1040*time.Millisecond {
			t.Errorf("done after %v", at)
		}
		got := w.heard()
		if len(got) != 52 {
			t.Errorf("%d packets", len(got))
		}
		for i, p := range got {
			if p.at-got[0].at != time.Duration(i)*20*time.Millisecond || p.at > time.Duration(i)*20*time.Millisecond {
				t.Fatalf("packet %d at %v", i, p.at)
			}
		}
		heard := w.audio()
		for i, s := range clip.Samples {
			if abs(int(heard[i])-int(s)) > 600 {
				t.Fatalf("sample %d is %d, want %d", i, heard[i], s)
			}
		}
		// Replaced and stopped clips are not done.
		not := func() { t.Error("done") }
		e.Play(clip, false, not)
		time.Sleep(500 * time.Millisecond)
		e.Play(clip, false, not)
		time.Sleep(500 * time.Millisecond)
		e.Stop()
		e.Play(Tone(440, 100*time.Millisecond), true, not)
		time.Sleep(5*time.Second + 10*time.Millisecond) // between two packets
		before := len(w.heard())
		e.Stop()
		time.Sleep(time.Second)
		if after := len(w.heard()); after != before {
			t.Errorf("%d packets after Stop", after-before)
		}
		e.Stop()
		// Nothing to play is done at once; done may play on, and close.
		begin = time.Now()
		e.Play(nil, true, nil)
		e.Play(&Clip{}, false, func() {
			e.Play(clip, false, func() {
				done <- time.Since(begin)
				e.Close()
				close(done)
			})
		})
		if at := <-done; at != 1040*time.Millisecond {
			t.Errorf("done after %v", at)
		}
		<-done
		e.Play(clip, false, not)
		continuous(t, w.heard(), 8000)
	})
}

// The end of a loop must meet its beginning: a tone of whole periods goes on.
func TestLoopHasNoSeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMU)
		e := NewEndpoint(w, codecs, Hooks{})
		defer e.Close()
		clip := &Clip{Samples: make([]int16, 1000)} // 6.25 packets, 50 periods of 400 Hz
		for i := range clip.Samples {
			clip.Samples[i] = int16(8000 * math.Sin(2*math.Pi*400*float64(i)/sampleRate))
		}
		e.Play(clip, true, nil)
		time.Sleep(10 * time.Second)
		heard := w.audio()
		if len(heard) < 79000 {
			t.Errorf("%d samples", len(heard))
		}
		for i, s := range heard {
			if want := clip.Samples[i%1000]; abs(int(s)-int(want)) > 300 {
				t.Fatalf("sample %d is %d, want %d", i, s, want)
			}
		}
	})
}

// A clip waits for the wire to come up, so that its first word is heard.
func TestClipWaitsForTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ up, done time.Duration }{{70 * time.Millisecond, 1080 * time.Millisecond}, {time.Hour, 4 * time.Second}} {
			w := newFakeWire(call.PCMU)
			w.down = true
			e := NewEndpoint(w, codecs, Hooks{})
			done := make(chan time.Duration)
			begin := time.Now()
			time.AfterFunc(c.up, func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.down = false
			})
			e.Play(Tone(440, time.Second), false, func() { done <- time.Since(begin) })
			if at := <-done; at != c.done {
				t.Errorf("done after %v, want %v", at, c.done)
			}
			if got := len(w.heard()); c.up < time.Second && got != 50 {
				t.Errorf("%d packets of 50 were heard", got)
			}
			e.Close()
		}
		// Before there is a format, it ends in its time all the same.
		for _, w := range []*fakeWire{{}} {
			e := NewEndpoint(w, codecs, Hooks{})
			done := make(chan struct{})
			e.Play(Silence(time.Second), false, func() { close(done) })
			<-done
			if len(w.heard()) != 0 {
				t.Error("something was sent")
			}
			e.Close()
		}
	})
}

// A clip replaces what is heard, not what is said.
func TestPlayDuringABridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		a.Play(Tone(1000, time.Minute), false, nil)
		go wb.talk(Tone(600, time.Second).Samples)
		wa.talk(Tone(440, time.Second).Samples)
		synctest.Wait()
		if hz := dominant(wb.audio()); hz != 440 {
			t.Errorf("b hears %v Hz", hz)
		}
		if hz := dominant(wa.audio()); hz != 1000 {
			t.Errorf("a hears %v Hz", hz)
		}
		b.Detach()
		before := len(wb.heard())
		n := len(wa.heard())
		wa.talk(Tone(440, time.Second).Samples)
		if len(wb.heard()) != before {
			t.Error("b hears a after Detach")
		}
		if len(wa.heard()) < n+49 {
			t.Error("the clip stopped with the bridge")
		}
	})
}

func TestBridgeReplacesBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w [3]*fakeWire
		var e [3]*Endpoint
		for i := range w {
			w[i] = newFakeWire(call.PCMU)
			e[i] = NewEndpoint(w[i], codecs, Hooks{})
			defer e[i].Close()
		}
		hears := func() (out string) {
			for from := range w {
				var before [3]int
				for i := range w {
					before[i] = len(w[i].heard())
				}
				w[from].say(make([]byte, 160))
				for to := range w {
					if len(w[to].heard()) > before[to] {
						out += string([]byte{'a' + byte(from), 'a' + byte(to), ' '})
					}
				}
			}
			return out
		}
		for i, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, ""},
			{func() { Bridge(e[0], e[1]) }, "ab ba "},
			{func() { Bridge(e[0], e[1]) }, "ab ba "},
			{func() { Bridge(e[1], e[2]) }, "bc cb "},
			{func() { Bridge(e[2], e[0]) }, "ac ca "},
			{func() { e[0].Detach() }, ""},
			{func() { Bridge(e[0], e[0]) }, "aa "}, // an echo
			{func() { Bridge(e[0], e[1]) }, "ab ba "},
			{func() { e[1].Close() }, ""},
			{func() { Bridge(e[0], e[1]) }, ""},
			{func() { Bridge(e[1], e[2]) }, ""},
			{func() { Bridge(e[0], e[2]) }, "ac ca "},
		} {
			step.do()
			if got := hears(); got != step.want {
				t.Errorf("step %d: %q, want %q", i, got, step.want)
			}
		}
	})
}

func TestHoldSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMU)
		lost := 0
		a, b := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{Lost: func(bool) { lost++ }})
		defer a.Close()
		defer b.Close()
		Bridge(a, b)
		voice := Tone(440, time.Second).Samples
		wb.say(make([]byte, 160))
		wa.talk(voice)
		wb.set(func(f *Format) { f.SendOnly = true })
		for range 10 {
			wa.talk(voice)
		}
		if lost != 0 {
			t.Error("silence on hold was taken for a loss")
		}
		if n := len(wb.heard()); n != 50 {
			t.Errorf("%d packets, want the 50 before the hold", n)
		}
		wb.set(func(f *Format) { f.SendOnly = false })
		wa.talk(voice)
		continuous(t, wb.heard(), 8000)
		if n := len(wb.heard()); n != 100 {
			t.Errorf("%d packets, want 100", n)
		}
	})
}

func TestHeardAndLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWire(call.PCMU)
		begin := time.Now()
		type told struct {
			at   time.Duration
			what string
		}
		var mu sync.Mutex
		var got []told
		tell := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, told{time.Since(begin), what})
		}
		e := NewEndpoint(w, codecs, Hooks{
			Heard: func() { tell("heard") },
			Lost: func(on bool) {
				tell(map[bool]string{true: "lost", false: "back"}[on])
			},
		})
		time.Sleep(time.Minute) // a leg that was never heard is not lost
		w.talk(Silence(time.Second).Samples)
		time.Sleep(LostAfter - 30*time.Millisecond)
		w.talk(Silence(time.Second).Samples)
		time.Sleep(time.Minute)
		w.say(make([]byte, 160))
		time.Sleep(LostAfter + time.Second)
		w.receive(rtp.Header{Version: 2, PayloadType: 13, SequenceNumber: w.seq, SSRC: w.ssrc}, []byte{70}) // comfort noise
		time.Sleep(time.Second)
		e.Close()
		time.Sleep(time.Minute)
		s := time.Second
		last := 60*s + s + LostAfter - 30*time.Millisecond + s - 20*time.Millisecond // when its last packet came
		want := []told{
			{60 * s, "heard"},
			{last + LostAfter, "lost"},
			{last + 20*time.Millisecond + 60*s, "back"},
			{last + 20*time.Millisecond + 60*s + LostAfter, "lost"},
			{last + 20*time.Millisecond + 61*s + LostAfter, "back"},
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
		if st := e.Stats(); st.SpeechIn || st.LongestGap != 60*s+20*time.Millisecond {
			t.Errorf("stats %+v", st)
		}
	})
}

// Everything at once, for the race detector and against deadlock. The wires
// echo within WriteRTP, as a far end in the same process may.
func TestEverythingAtOnce(t *testing.T) {
	var w [4]*echoWire
	var e [4]*Endpoint
	for i := range w {
		w[i] = &echoWire{fakeWire: newFakeWire([]call.Codec{call.PCMU, call.PCMA}[i%2])}
		e[i] = NewEndpoint(w[i], codecs, Hooks{Digit: func(byte, bool) {}, Heard: func() {}, Lost: func(bool) {}})
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	until := func(f func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	for n := range w {
		until(func(i int) {
			if i%10 == 0 {
				w[n].receive(rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: uint16(i), Timestamp: uint32(i), SSRC: 1}, []byte{1, 0, 0, byte(i)})
			} else {
				w[n].receive(rtp.Header{Version: 2, PayloadType: w[n].format.PayloadType, SequenceNumber: uint16(i), Timestamp: uint32(160 * i), SSRC: 1}, make([]byte, 160))
			}
			time.Sleep(50 * time.Microsecond)
		})
	}
	clip := Tone(440, 30*time.Millisecond)
	until(func(i int) { Bridge(e[i%4], e[(i+1)%4]) })
	until(func(i int) { Bridge(e[(i+2)%4], e[(i+1)%4]) })
	until(func(i int) {
		e[i%4].Detach()
		time.Sleep(20 * time.Microsecond)
	})
	until(func(i int) {
		e[i%4].Play(clip, i%3 == 0, func() { e[i%4].Stop() })
		time.Sleep(time.Millisecond)
	})
	until(func(i int) {
		e[i%4].SendDigits("1")
		e[i%4].Stats()
		halt := e[i%4].Record(discard{})
		time.Sleep(time.Millisecond)
		halt()
	})
	time.Sleep(300 * time.Millisecond)
	for i := range e {
		all.Go(e[i].Close)
		all.Go(e[i].Close)
	}
	time.Sleep(50 * time.Millisecond)
	close(stop)
	all.Wait()
	for i := range e {
		if e[i].bridge.Load() != nil || e[i].source != nil {
			t.Errorf("endpoint %d still hears %v", i, e[i].source)
		}
	}
}

type discard struct{}

func (discard) WriteSamples([]int16) error { return nil }

// echoWire speaks back what it hears, at once.
type echoWire struct {
	*fakeWire
	busy sync.Mutex
}

func (w *echoWire) receive(h rtp.Header, payload []byte) {
	w.busy.Lock()
	defer w.busy.Unlock()
	w.fakeWire.receive(h, payload)
}

func (w *echoWire) WriteRTP(h *rtp.Header, payload []byte) error {
	if w.busy.TryLock() { // else its reading goroutine is at work
		w.fakeWire.receive(*h, payload)
		w.busy.Unlock()
	}
	return nil
}

// Whatever packets arrive, in whatever order: nothing crashes, and the far end
// of the bridge never gets a number twice for different packets.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 160, 1, 2, 0, 1, 0, 0, 1, 64, 3, 101, 0, 2, 0, 0, 0, 0, 4})
	f.Add(bytes.Repeat([]byte{8, 255, 255, 0, 128, 0, 7, 40}, 20))
	f.Fuzz(func(t *testing.T, in []byte) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.PCMA)
		a, b := NewEndpoint(wa, codecs, Hooks{Digit: func(byte, bool) {}}), NewEndpoint(wb, codecs, Hooks{})
		defer a.Close()
		defer b.Close()
		stop := a.Record(discard{})
		Bridge(a, b)
		// Eight bytes a packet: type, sequence, timestamp, length and source.
		for n := 0; len(in) >= 8; in, n = in[8:], n+1 {
			h := rtp.Header{
				Version: 2, Marker: in[0]&0x80 != 0, PayloadType: in[0] & 0x7f, SequenceNumber: uint16(in[1])<<8 | uint16(in[2]),
				Timestamp: uint32(in[3])<<24 | uint32(in[4])<<16 | uint32(in[5])<<8 | uint32(in[6]), SSRC: uint32(in[7] >> 7),
			}
			payload := bytes.Repeat([]byte{in[7]}, int(in[7]&0x7f)*16)
			if len(payload) >= 4 {
				payload[2], payload[3] = byte(n>>8), byte(n)
			}
			wa.receive(h, payload)
		}
		stop()
		seen := map[uint16][]byte{}
		for i, p := range wb.heard() {
			if was, twice := seen[p.SequenceNumber]; twice && i < 60000 {
				t.Fatalf("number %d carries %x and %x", p.SequenceNumber, was, p.payload)
			}
			seen[p.SequenceNumber] = p.payload
		}
		if s := a.Stats(); s.PacketsIn < b.Stats().PacketsOut {
			t.Errorf("%d in, %d out", s.PacketsIn, b.Stats().PacketsOut)
		}
	})
}

// quickWire is a far end that costs nothing.
type quickWire struct {
	f  Format
	on func(*rtp.Header, []byte)
}

func (w *quickWire) Format() (Format, bool)             { return w.f, true }
func (w *quickWire) WriteRTP(*rtp.Header, []byte) error { return nil }
func (w *quickWire) OnRTP(f func(*rtp.Header, []byte))  { w.on = f }

// What a packet costs between two wires.
func BenchmarkForward(b *testing.B) {
	for _, c := range []struct {
		name string
		to   call.Codec
	}{{"untouched", call.PCMU}, {"transcoded", call.PCMA}} {
		b.Run(c.name, func(b *testing.B) {
			wa, wb := &quickWire{f: Format{Codec: call.PCMU}}, &quickWire{f: Format{Codec: c.to, PayloadType: 8}}
			x, y := NewEndpoint(wa, codecs, Hooks{}), NewEndpoint(wb, codecs, Hooks{})
			defer x.Close()
			defer y.Close()
			Bridge(x, y)
			payload := make([]byte, 160)
			h := rtp.Header{Version: 2}
			b.ReportAllocs()
			for b.Loop() {
				wa.on(&h, payload)
				h.SequenceNumber++
				h.Timestamp += 160
			}
		})
	}
}
