package health

import "github.com/prometheus/client_golang/prometheus"

var standing = prometheus.NewDesc("dialtone_health_warnings",
	"Warnings that stand, by code and severity; docs/runbooks.md says what to do about each.", []string{"code", "severity"}, nil)

// Describe implements prometheus.Collector.
func (b *Board) Describe(c chan<- *prometheus.Desc) { c <- standing }

// Collect implements prometheus.Collector: how many warnings stand, without
// what they are about. A code that stands nowhere has no series.
func (b *Board) Collect(c chan<- prometheus.Metric) {
	counts := map[[2]string]int{}
	for _, w := range b.Warnings() {
		counts[[2]string{w.Code, string(w.Severity)}]++
	}
	for of, n := range counts {
		c <- prometheus.MustNewConstMetric(standing, prometheus.GaugeValue, float64(n), of[0], of[1])
	}
}
