package check

import (
	"context"
	"slices"
	"testing"

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

// sample runs a check and returns the course, too.
func sample(ctx context.Context, t testing.TB, o Options) *course {
	t.Helper()
	p, err := newPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &course{plan: p, o: o}
	if c.numbers, err = c.choose(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.run(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// of reports whether a token is of one of the cohorts.
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
	if n := len(wrong.Doubles()); n < 14 {
		t.Fatalf("%d doubles", n)
	}
	for _, double := range wrong.Doubles() {
		t.Run(double.Name, func(t *testing.T) {
			t.Parallel()
			broken := quickOwn(t, 1)
			broken.Verifier = double.Wrap(broken.Verifier)
			r, err := Run(t.Context(), Options{Sources: []Source{broken}, Tokens: 10_000, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Findings) != 1 || r.Unjudged > 0 {
				t.Fatalf("a verifier that %s: %d findings, %d unjudged", double.What, len(r.Findings), r.Unjudged)
			}
			f := r.Findings[0]
			t.Logf("%s: %s", double.What, f.Sentence)
			if !f.Exact || f.Others != 0 || f.Failed != f.Tokens || f.Failed == 0 {
				t.Errorf("the cohort does not separate: %+v", f)
			}

			again := quickOwn(t, 2)
			again.Verifier = double.Wrap(again.Verifier)
			c := sample(t.Context(), t, Options{Sources: []Source{again}, Tokens: 10_000, Seed: 2})
			width, failing, missed, accused := len(c.plan.dims.all), 0, 0, 0
			for i, verdict := range c.verdicts {
				v := vector(c.vectors[i*width : (i+1)*width])
				if (v[c.plan.dims.number[changeDimension]] == 0) != f.Valid {
					continue
				}
				fails, named := verdict != asItShould, c.plan.dims.within(v, f.Cohorts)
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
			if failing == 0 || missed > 0 || accused > 0 {
				t.Errorf("in another sample %d fail; the cohort misses %d of them and accuses %d others", failing, missed, accused)
			}
		})
	}
}
