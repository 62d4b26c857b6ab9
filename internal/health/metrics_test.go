package health_test

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/health"
)

func TestMetrics(t *testing.T) {
	b := health.NewBoard()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b)
	b.Raise(health.Warning{Code: "trunk", Subject: "one", Severity: health.Degraded})
	b.Raise(health.Warning{Code: "trunk", Subject: "two", Severity: health.Degraded})
	b.Raise(health.Warning{Code: "disk", Severity: health.Critical})
	b.Raise(health.Warning{Code: "gone", Severity: health.Notice})
	b.Clear("gone", "")
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "dialtone_health_warnings" {
		t.Fatalf("%v, %v", families, err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		of := ""
		for _, l := range m.GetLabel() {
			of += l.GetName() + "=" + l.GetValue() + " "
		}
		got[of] = m.GetGauge().GetValue()
	}
	want := map[string]float64{"code=trunk severity=degraded ": 2, "code=disk severity=critical ": 1}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
