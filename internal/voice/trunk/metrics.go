package trunk

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/voice/srtp"
)

type metrics struct {
	calls         *prometheus.CounterVec // trunk, direction, status
	dropped       *prometheus.CounterVec // why, network
	rtpStrangers  prometheus.Counter
	srtpRefused   *prometheus.CounterVec // why
	registrations *prometheus.CounterVec // trunk, outcome
	registered    *prometheus.GaugeVec   // trunk
	reachable     *prometheus.GaugeVec   // trunk
}

func newMetrics(s *Server, r prometheus.Registerer) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_trunk_calls_total",
			Help: "Attempts to call over a trunk by final SIP status (0: none came), and calls from it by the status we gave.",
		}, []string{"trunk", "direction", "status"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_trunk_dropped_total",
			Help: "SIP messages not answered or not readable: from strangers, malformed, responses to nothing.",
		}, []string{"why", "network"}),
		rtpStrangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_trunk_rtp_strangers_total",
			Help: "RTP packets dropped because they came from somewhere else than the carrier.",
		}),
		srtpRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_trunk_srtp_refused_total",
			Help: "SRTP and SRTCP packets of carriers that were dropped: not with the agreed key (forged), seen before or too late (replayed), no packet (malformed).",
		}, []string{"why"}),
		registrations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_trunk_registrations_total",
			Help: "Registrations with carriers by final SIP status (0: none came).",
		}, []string{"trunk", "status"}),
		registered: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dialtone_trunk_registered", Help: "1 while the carrier has our registration.",
		}, []string{"trunk"}),
		reachable: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dialtone_trunk_reachable", Help: "1 while the carrier answers OPTIONS.",
		}, []string{"trunk"}),
	}
	gauge := func(name, help string, f func(Counts) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f(s.Open())) })
	}
	r.MustRegister(m.calls, m.dropped, m.rtpStrangers, m.srtpRefused, m.registrations, m.registered, m.reachable,
		gauge("dialtone_trunk_dialogs", "Carrier legs that hold a SIP dialog.", func(c Counts) int { return c.Dialogs }),
		gauge("dialtone_trunk_sockets", "RTP and RTCP sockets open.", func(c Counts) int { return c.Sockets }))
	return m
}

// refuse counts a packet that SRTP did not take.
func (m *metrics) refuse(err error) {
	why := "malformed"
	switch {
	case errors.Is(err, srtp.ErrForged):
		why = "forged"
	case errors.Is(err, srtp.ErrReplayed):
		why = "replayed"
	}
	m.srtpRefused.WithLabelValues(why).Inc()
}

func (m *metrics) call(trunk, direction string, status int) {
	m.calls.WithLabelValues(trunk, direction, strconv.Itoa(status)).Inc()
}
