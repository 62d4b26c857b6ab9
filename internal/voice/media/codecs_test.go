package media

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/opus"
)

// small is one instance of libopus for all tests: compiling it takes long.
var small = sync.OnceValue(func() *opus.Library { return opus.NewLibrary(1) })

func smallCodecs(o CodecsOptions) *Codecs {
	c := NewCodecs(o)
	c.opus = small()
	return c
}

// exhausted returns codecs whose last stream is taken, and what gives one back.
func exhausted(t *testing.T, o CodecsOptions) (c *Codecs, release func()) {
	t.Helper()
	c = smallCodecs(o)
	var all []*opus.Decoder
	for range c.opus.Streams() {
		d, err := c.decoder()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	t.Cleanup(func() {
		for _, d := range all {
			d.Close()
		}
		if n := c.streams(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
	return c, func() {
		all[0].Close()
		all = all[1:]
		c.released()
	}
}

func measured(t *testing.T, r *prometheus.Registry, want string) {
	t.Helper()
	var names []string
	for line := range strings.Lines(want) {
		names = append(names, strings.Fields(line)[0])
	}
	got, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range got {
		if !slices.Contains(names, f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			fmt.Fprintf(&b, "%s %v\n", f.GetName(), m.GetGauge().GetValue()+m.GetCounter().GetValue())
		}
	}
	if b.String() != want {
		t.Errorf("metrics\n%swant\n%s", b.String(), want)
	}
}

// Where no stream is left the owner of the Opus leg is told, after the time that a
// transfer takes; the other leg goes on.
func TestOpusIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(opus, other *fakeWire, e, far *Endpoint)
	}{
		{"what it says", func(w, _ *fakeWire, e, far *Endpoint) {
			Bridge(e, far)
			w.talk(Tone(600, 5*time.Second).Samples)
		}},
		{"what it is to hear", func(_, w *fakeWire, e, far *Endpoint) {
			Bridge(far, e)
			w.talk(Tone(600, 5*time.Second).Samples)
		}},
		{"a clip", func(_, _ *fakeWire, e, _ *Endpoint) {
			e.Play(Tone(600, 5*time.Second), false, nil)
			time.Sleep(5 * time.Second)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			registry, board := prometheus.NewRegistry(), health.NewBoard()
			full, release := exhausted(t, CodecsOptions{Metrics: registry, Health: board})
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var told []time.Duration
				wire, other := newFakeWire(call.Opus), newFakeWire(call.PCMU)
				e := NewEndpoint(wire, full, Hooks{Untranslated: func() { told = append(told, time.Since(begin)) }})
				far := NewEndpoint(other, full, Hooks{Untranslated: func() { t.Error("the other leg is told") }})
				c.do(wire, other, e, far)
				synctest.Wait()
				if len(told) != 1 || told[0] < 2*time.Second || told[0] > 2100*time.Millisecond {
					t.Errorf("told at %v, want once after 2 s", told)
				}
				measured(t, registry, "dialtone_media_opus_refused_total 1\ndialtone_media_opus_streams 64\ndialtone_media_opus_streams_limit 64\n")
				if w := board.Warnings(); len(w) != 1 || w[0].Code != "opus_full" {
					t.Errorf("warnings: %+v", w)
				}
				e.Close()
				far.Close()
			})
			for range 8 {
				if len(board.Warnings()) != 1 {
					t.Error("the warning is gone while hardly a stream is free")
				}
				release()
			}
			if w := board.Warnings(); len(w) != 0 {
				t.Errorf("warnings when streams are free again: %+v", w)
			}
		})
	}
}

// A stream that comes free in time is taken, and nobody is told.
func TestOpusIsWaitedFor(t *testing.T) {
	full, release := exhausted(t, CodecsOptions{})
	synctest.Test(t, func(t *testing.T) {
		wire, other := newFakeWire(call.Opus), newFakeWire(call.PCMU)
		e := NewEndpoint(wire, full, Hooks{Untranslated: func() { t.Error("told") }})
		far := NewEndpoint(other, full, Hooks{})
		defer far.Close()
		defer e.Close()
		Bridge(e, far)
		time.AfterFunc(1500*time.Millisecond, release)
		wire.talk(Tone(600, 4*time.Second).Samples)
		synctest.Wait()
		if audio := other.audio(); power(audio[16000:24000], 600) < 0.3 {
			t.Errorf("after the wait %v Hz are heard at %.2f", dominant(audio), power(audio[16000:24000], 600))
		}
	})
}

// A recording of nothing but words that could not be decoded says so.
func TestOpusRecordingIsRefused(t *testing.T) {
	full, release := exhausted(t, CodecsOptions{})
	for _, later := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			wire := newFakeWire(call.Opus)
			e := NewEndpoint(wire, full, Hooks{})
			defer e.Close()
			var r tape
			stop := e.Record(&r)
			wire.talk(Tone(600, 3*time.Second).Samples)
			if later {
				release()
				wire.talk(Tone(600, 3*time.Second).Samples)
			}
			if err := stop(); later && err != nil || !later && fault.KindOf(err) != fault.TooMany {
				t.Errorf("a stream came free %v: %v", later, err)
			}
			if later && power(r.samples[32000:40000], 600) < 0.3 {
				t.Error("what was decoded is not recorded")
			}
		})
	}
}

// A bridge counts as translating as long as it does.
func TestTranslatingBridgesAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := smallCodecs(CodecsOptions{Metrics: registry})
	synctest.Test(t, func(t *testing.T) {
		wa, wb := newFakeWire(call.PCMU), newFakeWire(call.Opus)
		a, b := NewEndpoint(wa, c, Hooks{}), NewEndpoint(wb, c, Hooks{})
		Bridge(a, b)
		measured(t, registry, "dialtone_media_opus_streams 0\ndialtone_media_translating_bridges 0\n")
		go wa.talk(Tone(600, time.Second).Samples)
		wb.talk(Tone(600, time.Second).Samples)
		measured(t, registry, "dialtone_media_opus_streams 2\ndialtone_media_translating_bridges 1\n")
		a.Detach()
		time.Sleep(time.Second)
		measured(t, registry, "dialtone_media_opus_streams 0\ndialtone_media_translating_bridges 0\n")
		a.Close()
		b.Close()
	})
}
