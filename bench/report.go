package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// figure is one thing that was measured.
type figure struct {
	Name   string  `json:"-"`
	About  string  `json:"-"`
	Unit   string  `json:"unit"`
	N      int     `json:"n"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Aim    float64 `json:"aim,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"` // median to aim
}

// report collects the figures.
type report struct{ figures []figure }

func newReport() *report { return &report{} }

// add takes all samples of one figure; aim 0: there is none.
func (r *report) add(name, about, unit string, aim float64, samples ...float64) {
	if len(samples) == 0 {
		return
	}
	slices.Sort(samples)
	f := figure{Name: name, About: about, Unit: unit, N: len(samples), Median: quantile(samples, 0.5), P95: quantile(samples, 0.95), Aim: aim}
	if aim > 0 {
		f.Ratio = round(f.Median / aim)
	}
	r.figures = append(r.figures, f)
}

// times adds durations in milliseconds.
func (r *report) times(name, about string, aim time.Duration, samples []time.Duration) {
	ms := make([]float64, len(samples))
	for i, d := range samples {
		ms[i] = float64(d) / float64(time.Millisecond)
	}
	r.add(name, about, "ms", float64(aim)/float64(time.Millisecond), ms...)
}

// quantile interpolates between sorted samples.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return round(sorted[low] + (at-float64(low))*(sorted[high]-sorted[low]))
}

// round keeps three significant digits.
func round(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil || math.IsInf(r, 0) || math.IsNaN(r) {
		return 0
	}
	return r
}

func (r *report) table(w io.Writer, from int) {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  \tmedian\tp95\tunit\tn\taim\tof the aim")
	for _, f := range r.figures[from:] {
		aim, ratio := "", ""
		if f.Aim > 0 {
			aim, ratio = fmt.Sprintf("%g", f.Aim), fmt.Sprintf("%g×", f.Ratio)
		}
		fmt.Fprintf(t, "  %s\t%g\t%g\t%s\t%d\t%s\t%s\n", f.About, f.Median, f.P95, f.Unit, f.N, aim, ratio)
	}
	_ = t.Flush()
}

func (r *report) byName() map[string]figure {
	all := map[string]figure{}
	for _, f := range r.figures {
		all[f.Name] = f
	}
	return all
}
