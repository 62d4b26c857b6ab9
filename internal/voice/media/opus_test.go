package media

import (
	"sync"
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
			e := NewEndpoint(w, codecs, Hooks{})
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
			a := NewEndpoint(wa, codecs, Hooks{Digit: func(k byte, relayed bool) {
				if keys = append(keys, k); !relayed {
					t.Error("the key was not passed on")
				}
			}})
			b := NewEndpoint(wb, codecs, Hooks{})
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
		e := NewEndpoint(w, codecs, Hooks{})
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

// Whether an Opus leg speaks is told by its sound, not by its packets' size.
func TestSpeechOfOpus(t *testing.T) {
	hiss := make([]int16, 3*sampleRate)
	n := comfort{}
	n.set([]byte{55})
	n.fill(hiss)
	for _, c := range []struct {
		name    string
		samples []int16
		speech  bool
	}{
		{"silence", Silence(3 * time.Second).Samples, false},
		{"hiss", hiss, false},
		{"a click", append(Tone(500, 100*time.Millisecond).Samples, hiss...), false},
		{"speech", sentences(t)[:3*sampleRate], true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newFakeWire(call.Opus)
			e := NewEndpoint(w, codecs, Hooks{})
			defer e.Close()
			w.talk(c.samples)
			synctest.Wait()
			if got := e.Stats().SpeechIn; got != c.speech {
				t.Errorf("%s: speech %v", c.name, got)
			}
		})
	}
}

// Translators, recordings and clips come and go at once, for the race detector;
// nothing of libopus is left over.
func TestTranslatorsComeAndGo(t *testing.T) {
	var w [4]*fakeWire
	var e [4]*Endpoint
	for i := range w {
		w[i] = newFakeWire([]call.Codec{call.PCMU, call.Opus}[i%2])
		e[i] = NewEndpoint(w[i], codecs, Hooks{Digit: func(byte, bool) {}})
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	until := func(pause time.Duration, f func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(pause):
					f(i)
				}
			}
		})
	}
	m := mouth{codecs: codecs}
	voice, _ := m.speak(w[1].format, Tone(440, 20*time.Millisecond).Samples)
	m.close()
	for n := range w {
		until(time.Millisecond, func(i int) {
			switch {
			case i%20 == 0:
				w[n].receive(rtp.Header{PayloadType: w[n].format.DTMF, SequenceNumber: uint16(i), Timestamp: uint32(i), SSRC: 1}, []byte{1, 0, 0, byte(i)})
			case n%2 == 1:
				w[n].receive(rtp.Header{PayloadType: 111, SequenceNumber: uint16(i), Timestamp: uint32(960 * i), SSRC: 1}, voice)
			default:
				w[n].receive(rtp.Header{SequenceNumber: uint16(i), Timestamp: uint32(160 * i), SSRC: 1}, make([]byte, 160))
			}
		})
	}
	until(20*time.Millisecond, func(i int) { Bridge(e[i%4], e[(i+1)%4]) })
	until(30*time.Millisecond, func(i int) { Bridge(e[(i+3)%4], e[i%4]) })
	until(50*time.Millisecond, func(i int) { e[i%4].Detach() })
	until(40*time.Millisecond, func(i int) { e[i%4].Play(Tone(440, time.Second), false, nil) })
	until(20*time.Millisecond, func(i int) {
		halt := e[i%4].Record(discard{})
		time.Sleep(10 * time.Millisecond)
		halt()
	})
	time.Sleep(700 * time.Millisecond)
	for i := range e {
		all.Go(e[i].Close)
	}
	time.Sleep(20 * time.Millisecond)
	close(stop)
	all.Wait()
	for i := range e {
		e[i].Close()
		if len(w[i].heard()) == 0 {
			t.Errorf("endpoint %d heard nothing", i)
		}
	}
	if streams := codecs.streams(); streams != 0 {
		t.Errorf("%d streams of libopus are left", streams)
	}
}

// What a packet costs that is translated, both ways together.
func BenchmarkTranslate(b *testing.B) {
	for _, c := range []struct {
		name     string
		from, to call.Codec
	}{{"opus to PCMU", call.Opus, call.PCMU}, {"PCMU to opus", call.PCMU, call.Opus}} {
		b.Run(c.name, func(b *testing.B) {
			speech := sentences(b)
			in := network{law: c.from}.send(speech)
			to := Format{Codec: c.to}
			e := newEar(codecs, translateLeast, translateMost)
			defer e.close()
			m := mouth{codecs: codecs}
			defer m.close()
			var frame [160]int16
			b.ReportAllocs()
			n, round := 0, time.Duration(0)
			for b.Loop() {
				p := in[n]
				p.seq += uint64(round)
				e.hear(p.heard, p.at+round*time.Hour)
				e.listen(frame[:], p.at+round*time.Hour)
				if _, ok := m.speak(to, frame[:]); !ok {
					b.Fatal("not spoken")
				}
				if n++; n == len(in) {
					n, round = 0, round+1
				}
			}
		})
	}
}
