package sdk

import "github.com/prometheus/client_golang/prometheus"

// metrics never label by identity, number or address.
type metrics struct {
	connections   prometheus.Gauge
	registered    prometheus.Gauge
	legs          *prometheus.GaugeVec   // direction as the device sees it
	registrations *prometheus.CounterVec // outcome, reason (of voice/token), way
	fallbacks     *prometheus.CounterVec // failed, saved
	turnedAway    *prometheus.CounterVec // why: origin, full, address, stopping, upgrade
	closed        *prometheus.CounterVec // why
	frames        prometheus.Counter
	refused       *prometheus.CounterVec // frames, by why
	slow          prometheus.Counter
	ended         *prometheus.CounterVec // direction, cause
	posts         *prometheus.CounterVec // kind, outcome
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "dialtone", Subsystem: "sdk", Name: name, Help: help}
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), labels)
	}
	m := &metrics{
		connections:   prometheus.NewGauge(prometheus.GaugeOpts(opts("connections", "Signalling connections of devices."))),
		registered:    prometheus.NewGauge(prometheus.GaugeOpts(opts("registered_devices", "Connections that can be called."))),
		legs:          prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("legs", "Legs of calls at devices.")), []string{"direction"}),
		registrations: counters("registrations_total", "Verdicts on tokens and registrations.", "outcome", "reason", "way"),
		fallbacks:     counters("fallbacks_total", "Devices that one way in refused and another let in soon after.", "failed", "saved"),
		turnedAway:    counters("connections_refused_total", "Connections that were not accepted.", "why"),
		closed:        counters("connections_closed_total", "Connections that we closed.", "why"),
		frames:        prometheus.NewCounter(prometheus.CounterOpts(opts("frames_total", "Frames of devices, heartbeats included."))),
		refused:       counters("frames_refused_total", "Frames of devices that were not understood or not allowed.", "why"),
		slow:          prometheus.NewCounter(prometheus.CounterOpts(opts("slow_devices_total", "Devices that were cut off because they did not read."))),
		ended:         counters("legs_ended_total", "Legs of calls at devices that ended.", "direction", "cause"),
		posts:         counters("event_posts_total", "Posts to the event gateway.", "kind", "outcome"),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.connections, m.registered, m.legs, m.registrations, m.fallbacks, m.turnedAway, m.closed, m.frames, m.refused, m.slow, m.ended, m.posts,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
