package check

import (
	"slices"
	"testing"
	"time"

	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/wrong"
)

// quickOwn is Own without the keys that are slow to sign with.
func quickOwn(t testing.TB, seed uint64) Source {
	t.Helper()
	s, err := Own(seed)
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = slices.DeleteFunc(s.Keys, func(k Key) bool { return k.Algorithm == token.RS256 || k.Algorithm == token.PS256 })
	return s
}

// crop is tokens that are made once and judged by several verifiers.
type crop struct {
	*course
	source *Source
	real   Verifier
	specs  []*spec
	texts  []string
}

func grow(t testing.TB, seed uint64, n int) *crop {
	t.Helper()
	o := Options{Sources: []Source{quickOwn(t, seed)}, Tokens: n, Seed: seed}
	p, err := newPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &crop{course: &course{plan: p, o: o}, specs: make([]*spec, n), texts: make([]string, n), source: &o.Sources[0], real: o.Sources[0].Verifier}
	width := len(p.dims.all)
	c.vectors, c.verdicts, c.reasons = make([]uint8, n*width), make([]verdict, n), make([]uint16, n)
	err = c.each(t.Context(), n, func(m *maker, i int) error {
		s, d, text, err := m.make(t.Context(), i, true)
		c.specs[i], c.texts[i] = s, text
		c.plan.dims.of(c.vectors[i*width:(i+1)*width], &d, len(text), s.keyNo)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judgedBy shows all tokens to a verifier.
func (c *crop) judgedBy(t testing.TB, v Verifier) {
	t.Helper()
	for _, ticket := range c.source.Tickets.(*ring).tickets {
		ticket.redeemed = time.Time{}
	}
	c.source.Verifier = v
	c.words, c.byWord = []string{""}, map[string]uint16{"": 0}
	for i, s := range c.specs {
		verdict, why, err := c.judge(t.Context(), s, c.texts[i])
		if err != nil {
			t.Fatal(err)
		}
		c.verdicts[i], c.reasons[i] = verdict, c.word(why)
	}
}

// misses compares the failing tokens with those of the cohorts.
func (c *crop) misses(f *Finding) (failing, missed, accused int) {
	d := c.plan.dims
	width, change := len(d.all), d.number[changeDimension]
	for i, verdict := range c.verdicts {
		v := vector(c.vectors[i*width : (i+1)*width])
		if (v[change] == 0) != f.Valid {
			continue
		}
		fails, named := verdict != asItShould, d.within(v, f.Cohorts)
		switch {
		case fails && !named:
			missed++
		case !fails && named:
			accused++
		}
		if fails {
			failing++
		}
	}
	return failing, missed, accused
}

// within reports whether a token is of one of the cohorts.
func (d *dimensions) within(v vector, cohorts [][]Feature) bool {
	return slices.ContainsFunc(cohorts, func(features []Feature) bool {
		for _, f := range features {
			dim := d.number[f.Dimension]
			if (d.all[dim].values[v[dim]] == f.Value) == f.Not {
				return false
			}
		}
		return true
	})
}

// TestEveryWrongDecoderIsFound: a check of each broken verifier fails, and the
// cohort that it names is exactly the failing tokens of another sample, too.
func TestEveryWrongDecoderIsFound(t *testing.T) {
	doubles := wrong.Doubles()
	if len(doubles) < 14 {
		t.Fatalf("%d doubles", len(doubles))
	}
	if racing { // all are judged by one goroutine
		doubles = doubles[:3]
	}
	first, second := grow(t, 1, 6_000), grow(t, 2, 6_000)
	for _, double := range doubles {
		t.Run(double.Name, func(t *testing.T) {
			first.judgedBy(t, double.Wrap(first.real))
			began := time.Now()
			r := first.report(0)
			if len(r.Findings) != 1 || r.Unjudged > 0 {
				t.Fatalf("a verifier that %s: %d findings, %d unjudged", double.What, len(r.Findings), r.Unjudged)
			}
			f := r.Findings[0]
			t.Logf("a verifier that %s: %s (%v)", double.What, f.Sentence, time.Since(began).Round(time.Millisecond))
			if !f.Exact || f.Others != 0 || f.Failed != f.Tokens || f.Failed == 0 {
				t.Errorf("the cohort does not separate: %+v", f)
			}
			second.judgedBy(t, double.Wrap(second.real))
			failing, missed, accused := second.misses(&f)
			if failing == 0 || missed > 0 || accused > 0 {
				t.Errorf("in another sample %d fail; the cohort misses %d of them and accuses %d others", failing, missed, accused)
			}
		})
	}
}

// TestOneWayInCanBreakAlone: the doubles that break one way in are told apart.
func TestOneWayInCanBreakAlone(t *testing.T) {
	c := grow(t, 3, 2000)
	for _, tt := range []struct {
		kind token.Kind
		wrap func(wrong.Judge) *wrong.Verifier
		want string
	}{
		{token.Ticket, wrong.Tickets, "tickets are refused (ticket_unknown)"},
		{token.Access, wrong.Access, "access tokens are refused (signature_mismatch)"},
		{token.Capability, wrong.Capability, "capability tokens are refused (signature_mismatch)"},
	} {
		c.judgedBy(t, tt.wrap(c.real))
		r := c.report(0)
		if len(r.Findings) != 1 || len(r.Findings[0].Cohorts) != 1 || !r.Findings[0].Exact {
			t.Fatalf("%s: %+v", tt.kind, r.Findings)
		}
		if got := r.Findings[0].Sentence; len(got) < len(tt.want) || got[:len(tt.want)] != tt.want {
			t.Errorf("%s: %s", tt.kind, got)
		}
	}
}
