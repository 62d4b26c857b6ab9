package media

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

// sentences returns 21 s of speech (testdata/speech.wav, made by espeak-ng).
func sentences(t testing.TB) []int16 {
	t.Helper()
	f, err := os.Open("testdata/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	clip, err := ReadWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	n := len(clip.Samples) / 160 * 160
	return slices.Repeat(clip.Samples[:n], 2)
}

// network is what happens to packets on their way.
type network struct {
	name  string
	loss  float64       // share of packets
	burst float64       // how many are lost at a time, on average; 0: one by one
	delay time.Duration // added at random, up to this: reorders
	twice float64       // share that comes twice
	ppm   float64       // by how much the sender's clock is fast
	gone  time.Duration // from 10 s on nothing comes for so long: lost …
	stuck time.Duration // … or kept back
	law   call.Codec

	// What must be: the least correlation of the recording and of what is heard
	// live, and how much of the speech may be missing.
	recorded, live, gaps float64
}

type arrival struct {
	at time.Duration
	heard
}

// send lets the speech pass the network, in the order of arrival.
func (n network) send(speech []int16) (out []arrival) {
	r := rand.New(rand.NewPCG(7, 9))
	f := Format{Codec: cmp.Or(n.law, call.PCMU)}
	m := mouth{codecs: codecs}
	defer m.close()
	var losing bool
	for i := range len(speech) / 160 {
		payload, _ := m.speak(f, speech[160*i:160*i+160])
		ticks := f.ticks(20 * time.Millisecond)
		sent := time.Duration(float64(i) * 20 * float64(time.Millisecond) / (1 + n.ppm/1e6))
		p := arrival{at: sent + 50*time.Millisecond, heard: heard{
			stamp: stamp{gen: 1, seq: uint64(i + 100), ts: uint32(i)*ticks + 4294900000, ticks: ticks},
			codec: f.Codec, rate: f.clockRate(), payload: slices.Clone(payload),
		}}
		if n.burst > 1 { // Gilbert: from good to bad so often that the share is right
			if losing {
				losing = r.Float64() >= 1/n.burst
			} else {
				losing = r.Float64() < n.loss/(1-n.loss)/n.burst
			}
		} else {
			losing = r.Float64() < n.loss
		}
		p.at += time.Duration(r.Float64() * float64(n.delay))
		again := r.Float64() < n.twice
		if away := sent - 10*time.Second; away >= 0 && away < n.gone || losing {
			continue
		} else if away >= 0 && away < n.stuck {
			p.at += n.stuck - away
		}
		out = append(out, p)
		if again {
			p.at += time.Duration(r.Float64() * float64(40*time.Millisecond))
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return out
}

// through returns what an ear makes of it, 20 ms at a time, up to a second after the end.
func through(e *ear, in []arrival, length int) (out []int16, worst time.Duration) {
	defer e.close()
	var frame [160]int16
	for now := time.Duration(0); len(out) < length+sampleRate; now += 20 * time.Millisecond {
		for len(in) > 0 && in[0].at <= now {
			e.hear(in[0].heard, in[0].at)
			in = in[1:]
		}
		e.listen(frame[:], now)
		out = append(out, frame[:]...)
		if e.buffer != nil {
			worst = max(worst, e.buffer.Delay())
		}
	}
	return out, worst
}

// plain is the same path without jitter buffer and concealment: what arrives is
// heard when it arrives.
func plain(in []arrival, length int) []int16 {
	out := make([]int16, length+2*sampleRate)
	e := newEar(codecs, 0, 0)
	defer e.close()
	for _, p := range in {
		at := int(p.at * sampleRate / time.Second)
		var s []int16
		if l := lawOf(p.codec); l != nil {
			for _, b := range p.payload {
				s = append(s, l.decode[b])
			}
		} else {
			s, _ = e.opus().Decode(nil, p.payload)
		}
		if at < len(out) {
			copy(out[at:], s)
		}
	}
	return out
}

// likeness is how a signal compares with the speech that it was: in windows of
// 200 ms that have speech in them, the correlation at the best shift within 300
// ms, the shifts, and the share of loud 10 ms frames that are silent.
type likeness struct {
	correlation float64
	shift       int // median, samples
	spread      int // of the middle 90 % of shifts, of windows that are alike
	gaps        float64
}

func (l likeness) String() string {
	return fmt.Sprintf("%.3f (%3d ms ± %2d, gaps %4.1f %%)", l.correlation, l.shift/8, l.spread/16, 100*l.gaps)
}

func compare(speech, out []int16) (l likeness) {
	const window, reach, coarse = 1600, 2400, 4
	thin := func(s []int16) []float64 {
		t := make([]float64, len(s)/coarse-1)
		for i := range t {
			for _, v := range s[coarse*i : coarse*i+2*coarse] { // the crudest of low-passes
				t[i] += float64(v)
			}
		}
		return t
	}
	wide := func(s []int16) []float64 {
		w := make([]float64, len(s))
		for i, v := range s {
			w[i] = float64(v)
		}
		return w
	}
	ts, to, all := thin(speech), thin(out), wide(out)
	match := func(a, b []float64) float64 {
		var ab, aa, bb float64
		for i, x := range a {
			y := b[i]
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		return ab / math.Sqrt(aa*bb+1)
	}
	var shifts []int
	var sum float64
	var windows, silent, loud int
	for at := 0; at+window+reach+coarse < min(len(speech)+sampleRate, len(out)) && at+window <= len(speech); at += 2 * window {
		if rms(speech[at:at+window]) < 400 {
			continue
		}
		// The best few of a coarse search are compared exactly.
		var rough [reach / coarse]struct {
			r float64
			d int
		}
		for d := range rough {
			rough[d].r, rough[d].d = match(ts[at/coarse:(at+window)/coarse], to[at/coarse+d:]), d*coarse
		}
		slices.SortFunc(rough[:], func(a, b struct {
			r float64
			d int
		},
		) int {
			return cmp.Compare(b.r, a.r)
		})
		fine, shift := 0.0, 0
		here := wide(speech[at : at+window])
		for _, c := range rough[:5] {
			for d := max(0, c.d-coarse); d <= c.d+coarse; d++ {
				if r := match(here, all[at+d:at+d+window]); r > fine {
					fine, shift = r, d
				}
			}
		}
		windows++
		sum += fine
		if fine > 0.7 {
			shifts = append(shifts, shift)
		}
		for i := at; i < at+window; i += 80 {
			if rms(speech[i:i+80]) > 800 {
				loud++
				if rms(out[i+shift:i+shift+80]) < 40 {
					silent++
				}
			}
		}
	}
	slices.Sort(shifts)
	if n := len(shifts); n > 0 {
		l.shift, l.spread = shifts[n/2], shifts[n*95/100]-shifts[n*5/100]
	}
	l.correlation, l.gaps = sum/float64(windows), float64(silent)/float64(max(loud, 1))
	return l
}

func rms(s []int16) float64 {
	var sum float64
	for _, v := range s {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(s)))
}

// Speech over bad networks, as a recording keeps it and as a translated leg hears
// it: aligned, concealed, better than without, and never later than the bound.
func TestSpeechOverBadNetworks(t *testing.T) {
	speech := sentences(t)
	ms := time.Millisecond
	for _, n := range []network{
		{name: "good", recorded: 0.995, live: 0.995, gaps: 0.001},
		{name: "loss 5 %", loss: 0.05, recorded: 0.97, live: 0.97, gaps: 0.005},
		{name: "loss 10 %", loss: 0.10, recorded: 0.95, live: 0.95, gaps: 0.005},
		{name: "loss 20 %", loss: 0.20, recorded: 0.91, live: 0.91, gaps: 0.005},
		{name: "bursts of 3, 10 %", loss: 0.10, burst: 3, recorded: 0.92, live: 0.92, gaps: 0.04},
		{name: "bursts of 5, 20 %", loss: 0.20, burst: 5, recorded: 0.83, live: 0.83, gaps: 0.12},
		{name: "jitter 50 ms", delay: 50 * ms, recorded: 0.98, live: 0.98, gaps: 0.005},
		{name: "jitter 200 ms", delay: 200 * ms, recorded: 0.97, live: 0.97, gaps: 0.01},
		{name: "twice 20 %, jitter 30 ms", twice: 0.2, delay: 30 * ms, recorded: 0.99, live: 0.99, gaps: 0.001},
		{name: "clock 200 ppm fast", ppm: 200, recorded: 0.98, live: 0.98, gaps: 0.001},
		{name: "clock 200 ppm slow", ppm: -200, recorded: 0.98, live: 0.98, gaps: 0.001},
		{name: "3 s lost", gone: 3 * time.Second, recorded: 0.82, live: 0.82, gaps: 0.16},
		{name: "3 s late", stuck: 3 * time.Second, recorded: 0.82, live: 0.82, gaps: 0.16},
		{name: "all of it", loss: 0.05, delay: 100 * ms, twice: 0.05, ppm: 200, gone: time.Second, recorded: 0.9, live: 0.9, gaps: 0.06},
		{name: "Opus, good", law: call.Opus, recorded: 0.94, live: 0.94, gaps: 0.001},
		{name: "Opus, loss 10 %", law: call.Opus, loss: 0.10, recorded: 0.92, live: 0.92, gaps: 0.005},
		{name: "Opus, loss 20 %", law: call.Opus, loss: 0.20, recorded: 0.89, live: 0.89, gaps: 0.005},
		{name: "Opus, jitter 200 ms, loss 5 %", law: call.Opus, loss: 0.05, delay: 200 * ms, recorded: 0.92, live: 0.92, gaps: 0.005},
	} {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			in := n.send(speech)
			tape, _ := through(newEar(codecs, recordHold, recordHold), in, len(speech))
			spoken, delay := through(newEar(codecs, translateLeast, translateMost), in, len(speech))
			without := compare(speech, plain(in, len(speech)))
			recorded, live := compare(speech, tape), compare(speech, spoken)
			t.Logf("recorded %v · live %v, delay up to %v · without %v", recorded, live, delay, without)
			if recorded.correlation < n.recorded || live.correlation < n.live {
				t.Errorf("correlation %.3f recorded, %.3f live; want %.2f and %.2f", recorded.correlation, live.correlation, n.recorded, n.live)
			}
			if worst := max(recorded.gaps, live.gaps); worst > n.gaps {
				t.Errorf("%.1f %% of the speech is silence, want at most %.1f", 100*worst, 100*n.gaps)
			}
			// In a long burst there is nothing to guess: what counts is that it is no hole.
			if floor := without.correlation - min(n.burst, 1)*0.01; n.loss+float64(n.delay) > 0 && min(recorded.correlation, live.correlation) <= floor {
				t.Errorf("correlation %.3f recorded, %.3f live is no better than %.3f without", recorded.correlation, live.correlation, without.correlation)
			}
			if n.loss+float64(n.delay) > 0 && max(recorded.gaps, live.gaps) > 0.6*without.gaps {
				t.Errorf("%.3f of the speech missing recorded, %.3f live, %.3f without", recorded.gaps, live.gaps, without.gaps)
			}
			added := time.Duration(live.shift+live.spread)*time.Second/sampleRate - 50*ms
			if bound := translateMost + 40*ms; delay > translateMost || added > bound {
				t.Errorf("a delay of %v, %v in what is heard; want at most %v", delay, added, bound)
			}
			if recorded.spread > 30*sampleRate/1000 {
				t.Errorf("the recording is not aligned: shifts within %d ms", recorded.spread/8)
			}
		})
	}
}
