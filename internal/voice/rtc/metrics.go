package rtc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/voice/srtp"
)

// metrics are the port's counters.
type metrics struct {
	forged, replayed, malformed, strange prometheus.Counter
	changes                              prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dialtone_rtc_dropped_total",
		Help: "RTP and RTCP packets to the browsers' port that were dropped: not the browser's (forged), seen before or too late (replayed), no packet (malformed), from nobody that is known (stranger).",
	}, []string{"why"})
	m := &metrics{
		forged: dropped.WithLabelValues("forged"), replayed: dropped.WithLabelValues("replayed"),
		malformed: dropped.WithLabelValues("malformed"), strange: dropped.WithLabelValues("stranger"),
		changes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_rtc_ssrc_changes_total", Help: "Changes of a browser's SSRC within a call.",
		}),
	}
	if r != nil {
		r.MustRegister(dropped, m.changes)
	}
	return m
}

// refuse counts a packet that SRTP did not take.
func (m *metrics) refuse(err error) {
	switch {
	case errors.Is(err, srtp.ErrForged):
		m.forged.Inc()
	case errors.Is(err, srtp.ErrReplayed):
		m.replayed.Inc()
	default:
		m.malformed.Inc()
	}
}
