package switchboard_test

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/reports"
	"dialtone/internal/voice/switchboard"
)

// booked is a wire whose far end talks, listens and reports.
type booked struct {
	deafWire
	codec call.Codec
	*reports.Ledger
}

func (b booked) Format() (media.Format, bool) { return media.Format{Codec: b.codec}, true }

// talk lets the far end talk and listen until done: a packet in every lost is
// missing on the way to us (0: none), and it reports every 5 s on what it got.
func (b booked) talk(lost int, done <-chan struct{}) {
	far := reports.New(9)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range 1 << 20 {
		select {
		case <-done:
			return
		case now := <-tick.C:
			h := rtp.Header{SSRC: 9, SequenceNumber: uint16(i), Timestamp: uint32(i) * 160}
			b.Sent(h.Timestamp, 160)
			far.Sent(h.Timestamp, 160)
			if lost == 0 || i%lost != 1 {
				b.Received(&h, now)
			}
			h.SSRC = 7
			far.Received(&h, now)
			if i%250 == 249 {
				_ = far.Take(b.Report(now), now)
				time.Sleep(10 * time.Millisecond)
				_ = b.Take(far.Report(now), time.Now())
			}
		}
	}
}

func newBooked(c call.Codec) (booked, *fakeLeg) {
	b := booked{codec: c, Ledger: reports.New(7)}
	return b, &fakeLeg{endpoint: media.NewEndpoint(b, nil, media.Hooks{})}
}

// one is a Dialer of one leg, which answers at once.
type one struct{ leg *fakeLeg }

func (d one) Dial(_ call.ID, _ call.Dial, report switchboard.Reporter) (switchboard.Leg, error) {
	d.leg.mu.Lock()
	d.leg.report = report
	d.leg.mu.Unlock()
	report(call.Up{Codec: call.Opus})
	return d.leg, nil
}

// Both legs of a call tell how they fare, while they live and at their end.
func TestQualityIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, registry := &kept{}, prometheus.NewRegistry()
		carrier, caller := newBooked(call.PCMU)
		device, agent := newBooked(call.Opus)
		s := switchboard.New(switchboard.Options{
			Director: keeper{dialling, k}, Devices: one{agent}, Events: k, Metrics: registry, Log: slog.New(slog.DiscardHandler),
		})
		id := call.NewLegID()
		caller.mu.Lock()
		var err error
		caller.report, err = s.Offer(call.Offer{Call: call.ID(id), Leg: id, Trunk: "one", Account: "AC1", At: time.Now()}, caller)
		caller.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var talkers sync.WaitGroup
		talkers.Go(func() { carrier.talk(20, over) })
		talkers.Go(func() { device.talk(0, over) })
		time.Sleep(34*time.Second + time.Millisecond)
		close(over)
		talkers.Wait()
		agent.End(call.Completed)
		synctest.Wait()

		samples := map[event.LegKind][]event.LegQuality{}
		for _, e := range k.events {
			if q, ok := e.(event.LegQuality); ok {
				samples[q.Kind] = append(samples[q.Kind], q)
			}
		}
		for kind, of := range samples {
			if len(of) != 4 || !of[3].Last || of[2].Last {
				t.Fatalf("%s: %+v", kind, of)
			}
			var came, lost uint64
			for i, q := range of {
				came, lost = came+q.In.Packets, lost+q.In.Lost
				if q.Account != "AC1" || q.Call != string(id) || q.RTT < 9*time.Millisecond || q.RTT > 11*time.Millisecond {
					t.Errorf("%s: %+v", kind, q)
				}
				if i < 3 && (q.In.Packets+q.In.Lost < 490 || q.In.Packets+q.In.Lost > 510) {
					t.Errorf("%s: a sample of %d packets", kind, q.In.Packets+q.In.Lost)
				}
				if q.Out.MOS < 4.2 || q.Out.Lost != 0 {
					t.Errorf("%s: %+v", kind, q.Out)
				}
			}
			if came+lost < 1690 || came+lost > 1701 {
				t.Errorf("%s: the samples are of %d packets", kind, came+lost)
			}
		}
		phone, browser := samples[event.CarrierLeg], samples[event.DeviceLeg]
		if len(phone) == 0 || len(browser) == 0 {
			t.Fatalf("%+v", k.events)
		}
		if q := phone[1]; q.Trunk != "one" || q.Codec != "PCMU" || q.Leg != string(id) || q.In.MOS > 4.1 || q.In.MOS < 3.9 || q.In.Bursts != q.In.Lost {
			t.Errorf("%+v", q)
		}
		if q := browser[1]; q.Trunk != "" || q.Codec != "opus" || q.In.MOS < 4.2 || q.In.Lost != 0 {
			t.Errorf("%+v", q)
		}
		legs := k.records[0].Legs
		if m := legs[0].Media; m.MOS > 4.1 || m.MOS < 3.9 || m.FarMOS < 4.4 || m.Bursts == 0 || m.RoundTrip == 0 {
			t.Errorf("%+v", m)
		}
		if m := legs[1].Media; m.MOS < 4.2 || m.FarMOS < 4.2 || m.Bursts != 0 || m.RoundTrip == 0 {
			t.Errorf("%+v", m)
		}
		counted(t, registry)
	})
}

// counted checks that the samples are in the histograms, under few labels.
func counted(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				counts[f.GetName()] += int(h.GetSampleCount())
			}
			if f.GetName() == "dialtone_leg_mos" && len(f.GetMetric()) != 4 {
				t.Errorf("%v", f)
			}
		}
	}
	if counts["dialtone_leg_mos"] != 16 || counts["dialtone_leg_loss_ratio"] != 16 || counts["dialtone_leg_jitter_seconds"] != 16 ||
		counts["dialtone_leg_round_trip_seconds"] != 8 {
		t.Errorf("%v", counts)
	}
}
