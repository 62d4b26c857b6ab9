package check

import (
	"cmp"
	"math"
	"slices"
)

// literal is one feature and the tokens that have it.
type literal struct {
	dimension, value int
	not              bool
	tokens           set
}

// cohort is what one or more features have in common.
type cohort struct {
	literals []int
	tokens   set
}

// crowd is the tokens among which a cause is looked for: the valid ones or the
// others.
type crowd struct {
	literals []literal
	all      set
	failing  set
	passing  set
}

// gather makes the crowd of the tokens that in says yes to. Features that all or
// none of them have say nothing and are left out.
func gather(d *dimensions, vectors []uint8, verdicts []verdict, in func(v vector) bool, except ...string) *crowd {
	width, n := len(d.all), len(verdicts)
	c := &crowd{all: newSet(n), failing: newSet(n)}
	byValue := make([][]set, width)
	for i := range byValue {
		byValue[i] = make([]set, len(d.all[i].values))
		for v := range byValue[i] {
			byValue[i][v] = newSet(n)
		}
	}
	for i, verdict := range verdicts {
		v := vectors[i*width : (i+1)*width]
		if verdict == unseen || !in(v) {
			continue
		}
		c.all.put(i)
		if verdict != asItShould {
			c.failing.put(i)
		}
		for dim, value := range v {
			byValue[dim][value].put(i)
		}
	}
	c.passing = c.all.without(c.failing)
	for dim := range d.all {
		if slices.Contains(except, d.all[dim].name) {
			continue
		}
		for value, tokens := range byValue[dim] {
			if n := tokens.count(); n == 0 || n == c.all.count() {
				continue
			}
			c.literals = append(c.literals, literal{dim, value, false, tokens})
		}
	}
	// What a token is not comes after all that it is.
	for dim := range d.all {
		if slices.Contains(except, d.all[dim].name) || d.all[dim].yesNo() {
			continue
		}
		for value, tokens := range byValue[dim] {
			if n := tokens.count(); n == 0 || n == c.all.count() {
				continue
			}
			c.literals = append(c.literals, literal{dim, value, true, c.all.without(tokens)})
		}
	}
	// Between answers that separate equally well, "yes" is the better cause, and
	// the earlier question the more general one.
	slices.SortStableFunc(c.literals, func(a, b literal) int { return cmp.Compare(a.rank(d), b.rank(d)) })
	return c
}

// rank is lower for what makes the better explanation.
func (l *literal) rank(d *dimensions) int {
	switch {
	case l.not:
		return 2
	case d.all[l.dimension].yesNo() && l.value == 0:
		return 1
	}
	return 0
}

// explanation is a set of cohorts that together are the failing tokens, or as
// near to them as could be found.
type explanation struct {
	cohorts []cohort
	exact   bool
	f1      float64
}

// explain looks for the shortest conjunction of features that all failing tokens
// have and no passing one has; else for few such conjunctions of which each has
// failing tokens only and that together have them all; else for the conjunction
// that comes nearest. A crowd where all fail is explained by no feature at all.
func (c *crowd) explain() explanation {
	if c.passing.count() == 0 {
		return explanation{cohorts: []cohort{{tokens: c.all}}, exact: true, f1: 1}
	}
	if found, ok := c.separates(c.failing, 3); ok {
		return explanation{cohorts: []cohort{found}, exact: true, f1: 1}
	}
	union, exact := c.union()
	if exact {
		return explanation{cohorts: union, exact: true, f1: 1}
	}
	if found, ok := c.separates(c.failing, 4); ok {
		return explanation{cohorts: []cohort{found}, exact: true, f1: 1}
	}
	best := c.nearest(c.failing, 3)
	e := explanation{cohorts: []cohort{best}, f1: c.f1(best.tokens)}
	if covered := coveredBy(union, c.failing); len(union) > 0 && covered > e.f1 {
		e = explanation{cohorts: union, f1: covered}
	}
	return e
}

// coveredBy is F1 of cohorts without passing tokens.
func coveredBy(union []cohort, failing set) float64 {
	if len(union) == 0 {
		return 0
	}
	all := union[0].tokens
	for _, u := range union[1:] {
		all = all.or(u.tokens)
	}
	n := all.count()
	return 2 * float64(n) / float64(n+failing.count())
}

// separates finds the shortest conjunction that holds for all of wanted and for
// no passing token: each of its features holds for all of wanted, and what of
// the passing tokens they let through has nothing in common.
func (c *crowd) separates(wanted set, most int) (cohort, bool) {
	var candidates []int
	var let []set
	for i := range c.literals {
		if !wanted.within(c.literals[i].tokens) {
			continue
		}
		through := c.literals[i].tokens.and(c.passing)
		if slices.ContainsFunc(let, through.equal) {
			continue // says the same here as one before it
		}
		candidates, let = append(candidates, i), append(let, through)
	}
	for i := range let {
		if apart(let[i]) {
			return c.cohort(candidates[i]), true
		}
	}
	for i := range let {
		for j := i + 1; most >= 2 && j < len(let); j++ {
			if apart(let[i], let[j]) {
				return c.cohort(candidates[i], candidates[j]), true
			}
		}
	}
	// Of three and more, those that let the fewest through.
	order := make([]int, len(let))
	counts := make([]int, len(let))
	for i := range let {
		order[i], counts[i] = i, let[i].count()
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[a], counts[b]) })
	if most >= 3 {
		near := order[:min(len(order), 60)]
		for x, i := range near {
			for y := x + 1; y < len(near); y++ {
				for _, k := range near[y+1:] {
					if apart(let[i], let[near[y]], let[k]) {
						return c.cohort(candidates[i], candidates[near[y]], candidates[k]), true
					}
				}
			}
		}
	}
	if most >= 4 {
		near := order[:min(len(order), 24)]
		for x, i := range near {
			for y := x + 1; y < len(near); y++ {
				for z := y + 1; z < len(near); z++ {
					for _, k := range near[z+1:] {
						if apart(let[i], let[near[y]], let[near[z]], let[k]) {
							return c.cohort(candidates[i], candidates[near[y]], candidates[near[z]], candidates[k]), true
						}
					}
				}
			}
		}
	}
	return cohort{}, false
}

func (c *crowd) cohort(literals ...int) cohort {
	slices.Sort(literals)
	tokens := c.all
	for _, l := range literals {
		tokens = tokens.and(c.literals[l].tokens)
	}
	return cohort{literals, tokens}
}

// mostCohorts bounds a union: what needs more cohorts than this to be named is
// not named by them.
const mostCohorts = 5

// union covers the failing tokens with conjunctions that no passing token meets,
// each time the one that has most of what is left. All that is left must fit in
// few of them, or the cause is another.
func (c *crowd) union() (found []cohort, exact bool) {
	left := c.failing
	for len(found) < mostCohorts {
		best, ok := c.purest(left)
		if !ok {
			return found, false
		}
		found = append(found, best)
		if left = left.without(best.tokens); left.count() == 0 {
			return found, true
		}
	}
	return found, false
}

// beam is how many conjunctions are looked at further.
const beam = 40

// purest finds the conjunction of one or two, else of three features without a
// passing token that has the most of wanted.
func (c *crowd) purest(wanted set) (cohort, bool) {
	best, most := cohort{}, 0
	consider := func(x cohort) {
		if n := x.tokens.both(wanted); n > most && apart(x.tokens, c.passing) {
			best, most = x.clone(), n
		}
	}
	level := c.widen([]cohort{c.cohort()}, wanted, consider)
	if most > 0 && most*10 >= wanted.count() {
		return best, true
	}
	for range 2 {
		level = c.widen(level, wanted, consider)
		if most > 0 {
			return best, true
		}
	}
	return best, false
}

func (x cohort) clone() cohort { return cohort{slices.Clone(x.literals), slices.Clone(x.tokens)} }

// widen adds one feature to each conjunction, shows consider every one that comes
// of it, and returns the most promising. What it shows is valid until consider
// returns.
func (c *crowd) widen(level []cohort, wanted set, consider func(cohort)) []cohort {
	type scored struct {
		cohort
		score float64
	}
	var top []scored // the best first
	scratch := cohort{tokens: make(set, len(c.all))}
	for _, x := range level {
		for i := range c.literals {
			if slices.Contains(x.literals, i) {
				continue
			}
			scratch.literals = append(append(scratch.literals[:0], x.literals...), i)
			slices.Sort(scratch.literals)
			for w := range scratch.tokens {
				scratch.tokens[w] = x.tokens[w] & c.literals[i].tokens[w]
			}
			consider(scratch)
			score := c.likelihood(scratch.tokens, wanted)
			if score <= 0 || len(top) == beam && score <= top[beam-1].score {
				continue
			}
			at, _ := slices.BinarySearchFunc(top, score, func(s scored, score float64) int {
				if s.score >= score {
					return -1
				}
				return 1
			})
			if at > 0 && top[at-1].score == score && slices.Equal(top[at-1].literals, scratch.literals) {
				continue
			}
			if len(top) == beam {
				top = top[:beam-1]
			}
			top = slices.Insert(top, at, scored{scratch.clone(), score})
		}
	}
	next := make([]cohort, len(top))
	for i, s := range top {
		next[i] = s.cohort
	}
	return next
}

// likelihood is the binomial likelihood ratio of "these fail more often than the
// rest" against "all fail alike".
func (c *crowd) likelihood(tokens, wanted set) float64 {
	n, k := float64(tokens.count()), float64(tokens.both(wanted))
	all, bad := float64(c.all.count()), float64(wanted.count())
	if n == 0 || k/n <= bad/all {
		return 0
	}
	fit := func(k, n float64) float64 {
		if k <= 0 || k >= n {
			return 0
		}
		return k*math.Log(k/n) + (n-k)*math.Log(1-k/n)
	}
	return fit(k, n) + fit(bad-k, all-n) - fit(bad, all)
}

// nearest finds the conjunction of up to most features with the best F1.
func (c *crowd) nearest(wanted set, most int) cohort {
	best, score := c.cohort(), 0.0
	consider := func(x cohort) {
		if f := c.f1(x.tokens); f > score+1e-9 {
			best, score = x.clone(), f
		}
	}
	level := []cohort{c.cohort()}
	for range most {
		level = c.widen(level, wanted, consider)
	}
	return best
}

func (c *crowd) f1(tokens set) float64 {
	hit := float64(tokens.both(c.failing))
	return 2 * hit / float64(tokens.count()+c.failing.count())
}
