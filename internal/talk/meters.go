package talk

import "github.com/prometheus/client_golang/prometheus"

// meters are the call centre's metrics. The zero set counts without being read.
type meters struct {
	calls, waiting, agentsReachable, agentsBusy prometheus.Gauge
	offers, slowFeeds                           prometheus.Counter
	refusals, endings                           *prometheus.CounterVec
	spooled                                     prometheus.Gauge
	rejected                                    prometheus.Counter
}

func newMeters(r prometheus.Registerer) (*meters, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "dialtone", Subsystem: "talk", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "dialtone", Subsystem: "talk", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dialtone", Subsystem: "talk", Name: name, Help: help}, []string{label})
	}
	m := &meters{
		calls:           gauge("live_calls", "Calls from their offer to their record."),
		waiting:         gauge("waiting_callers", "Inbound callers without an agent, those included for whom one rings."),
		agentsReachable: gauge("agents_reachable", "Agents with a device that can be called."),
		agentsBusy:      gauge("agents_busy", "Agents who ring, talk, or wrap up."),
		offers:          counter("offers_total", "Times an agent was offered an inbound call."),
		slowFeeds:       counter("feeds_too_slow_total", "Consoles cut off because they did not read their changes."),
		refusals:        vec("offers_refused_total", "Offers that an agent did not take, by status of the leg.", "status"),
		endings:         vec("calls_total", "Calls that ended, by status.", "status"),
		spooled:         gauge("records_spooled", "Records that wait for the store."),
		rejected:        counter("records_rejected_total", "Records that the store will never take."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.calls, m.waiting, m.agentsReachable, m.agentsBusy, m.offers, m.slowFeeds, m.refusals, m.endings, m.spooled, m.rejected,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *meters) offered()            { m.offers.Inc() }
func (m *meters) refused(s LegStatus) { m.refusals.WithLabelValues(string(s)).Inc() }
func (m *meters) ended(k Call)        { m.endings.WithLabelValues(string(k.Status)).Inc() }
func (m *meters) slow()               { m.slowFeeds.Inc() }

// live sets the gauges of the floor.
func (m *meters) live(f *floor) {
	var waiting, reachable, busy int
	for _, b := range f.branches {
		waiting += len(b.searching)
		for _, a := range b.agents {
			if a.reachable {
				reachable++
			}
			if a.busy() {
				busy++
			}
		}
	}
	m.calls.Set(float64(len(f.calls)))
	m.waiting.Set(float64(waiting))
	m.agentsReachable.Set(float64(reachable))
	m.agentsBusy.Set(float64(busy))
}
