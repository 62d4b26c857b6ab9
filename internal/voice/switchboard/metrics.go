package switchboard

import (
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
)

type metrics struct {
	calls    *prometheus.CounterVec
	answered *prometheus.HistogramVec
	talked   prometheus.Histogram
	refused  prometheus.Counter
	panics   prometheus.Counter

	mos, loss, jitter *prometheus.HistogramVec
	roundTrip         *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, live func() int) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_calls_total", Help: "Calls that ended, by direction and cause.",
		}, []string{"direction", "cause"}),
		answered: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dialtone_call_answer_seconds", Help: "Offer to answer of answered calls.",
			Buckets: []float64{.02, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80},
		}, []string{"direction"}),
		talked: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dialtone_call_talked_seconds", Help: "Bridged time of calls that were bridged, hold left out.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600},
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_calls_refused_total", Help: "Calls refused because the node carried as many as it may.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_call_faults_total", Help: "Calls ended by a fault of ours.",
		}),
	}
	way := []string{"leg", "direction", "codec"}
	m.mos = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dialtone_leg_mos", Help: "Mean opinion score by the E-model of ten seconds of a leg's audio, each way.",
		Buckets: []float64{1.5, 2, 2.5, 3, 3.25, 3.5, 3.75, 4, 4.2, 4.35},
	}, way)
	m.loss = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dialtone_leg_loss_ratio", Help: "Packets lost of ten seconds of a leg's audio, each way.",
		Buckets: []float64{0, .001, .005, .01, .02, .05, .1, .2, .5},
	}, way)
	m.jitter = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dialtone_leg_jitter_seconds", Help: "Jitter of a leg's packets (RFC 3550), each way, every ten seconds.",
		Buckets: []float64{.001, .005, .01, .02, .03, .05, .1, .2},
	}, way)
	m.roundTrip = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dialtone_leg_round_trip_seconds", Help: "Round trip to a leg's far end by RTCP, every ten seconds.",
		Buckets: []float64{.005, .02, .05, .1, .2, .3, .4, .6, 1},
	}, []string{"leg"})
	active := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dialtone_calls_live", Help: "Calls right now.",
	}, func() float64 { return float64(live()) })
	if reg != nil {
		reg.MustRegister(m.calls, m.answered, m.talked, m.refused, m.panics, active, m.mos, m.loss, m.jitter, m.roundTrip)
	}
	return m
}

// heard counts a sample of a leg. Ways of too few packets to tell are left out.
func (m *metrics) heard(q event.LegQuality) {
	codec := q.Codec
	switch call.Codec(codec) {
	case call.PCMU, call.PCMA, call.Opus:
	default:
		codec = "other"
	}
	for direction, w := range map[string]event.WayQuality{"in": q.In, "out": q.Out} {
		if w.MOS == 0 {
			continue
		}
		labels := []string{string(q.Kind), direction, codec}
		m.mos.WithLabelValues(labels...).Observe(w.MOS)
		m.loss.WithLabelValues(labels...).Observe(float64(w.Lost) / float64(w.Packets+w.Lost))
		m.jitter.WithLabelValues(labels...).Observe(w.Jitter.Seconds())
	}
	if q.RTT > 0 {
		m.roundTrip.WithLabelValues(string(q.Kind)).Observe(q.RTT.Seconds())
	}
}

func (m *metrics) ended(r call.CallRecord) {
	m.calls.WithLabelValues(string(r.Direction), string(r.Cause)).Inc()
	if !r.Answered.IsZero() {
		m.answered.WithLabelValues(string(r.Direction)).Observe(r.Answered.Sub(r.Offered).Seconds())
	}
	if !r.Bridged.IsZero() {
		m.talked.Observe(r.Talked.Seconds())
	}
}
