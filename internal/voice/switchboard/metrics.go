package switchboard

import (
	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/voice/call"
)

type metrics struct {
	calls    *prometheus.CounterVec
	answered *prometheus.HistogramVec
	talked   prometheus.Histogram
	refused  prometheus.Counter
	panics   prometheus.Counter
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
	active := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dialtone_calls_live", Help: "Calls right now.",
	}, func() float64 { return float64(live()) })
	if reg != nil {
		reg.MustRegister(m.calls, m.answered, m.talked, m.refused, m.panics, active)
	}
	return m
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
