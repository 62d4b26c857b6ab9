package check

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// Report is what a check found. It holds no token and no secret.
type Report struct {
	Seed     uint64        `json:"seed"`
	Tokens   int           `json:"tokens"` // judged
	Took     time.Duration `json:"took_ns"`
	Valid    Tally         `json:"valid"`
	Wrong    Tally         `json:"wrong"` // tokens that must be refused
	Unjudged int           `json:"unjudged"`
	Keys     []string      `json:"keys"`
	Cells    []Cell        `json:"cells"`
	Findings []Finding     `json:"findings"`
}

// Tally counts tokens; Failed are among Tokens.
type Tally struct {
	Tokens int `json:"tokens"`
	Failed int `json:"failed"`
}

// Cell is a cohort of one key's tokens.
type Cell struct {
	Group string  `json:"group"`
	What  Feature `json:"what"`
	Key   int     `json:"key"` // of Report.Keys
	Tally
}

// Finding is a cohort of tokens that fail, in words and as features.
type Finding struct {
	Valid    bool           `json:"valid"`   // of the valid tokens; else of those that must be refused
	Cohorts  [][]Feature    `json:"cohorts"` // any of these; each the conjunction of its features. An empty one is all tokens
	Exact    bool           `json:"exact"`   // all tokens of the cohort fail, and no other does
	Failed   int            `json:"failed"`  // of the cohort
	Tokens   int            `json:"tokens"`  // of the cohort
	Others   int            `json:"others"`  // that fail outside the cohort
	Reasons  map[string]int `json:"reasons"` // of all failures
	Sentence string         `json:"sentence"`
}

// OK reports whether every token was judged, and as it should be.
func (r *Report) OK() bool { return r.Tokens > 0 && len(r.Findings) == 0 && r.Unjudged == 0 }

func (c *course) report(took time.Duration) *Report {
	d := c.plan.dims
	width := len(d.all)
	r := &Report{Seed: c.plan.seed, Took: took}
	for _, k := range c.plan.keys {
		r.Keys = append(r.Keys, k.title())
	}
	change, anywhere, key := d.number[changeDimension], d.number[anywhereDimension], d.number["key"]
	counts := make([][]map[int]*Tally, width)
	for i := range counts {
		counts[i] = make([]map[int]*Tally, len(d.all[i].values))
	}
	count := func(dim int, v vector, failed bool) {
		m := counts[dim][v[dim]]
		if m == nil {
			m = map[int]*Tally{}
			counts[dim][v[dim]] = m
		}
		t := m[int(v[key])]
		if t == nil {
			t = &Tally{}
			m[int(v[key])] = t
		}
		t.Tokens++
		if failed {
			t.Failed++
		}
	}
	var grouped []int
	for i := range d.all {
		if d.all[i].group != "" && i != anywhere {
			grouped = append(grouped, i)
		}
	}
	for i, verdict := range c.verdicts {
		if verdict == unseen {
			continue
		}
		r.Tokens++
		if verdict == unjudged {
			r.Unjudged++
		}
		v := vector(c.vectors[i*width : (i+1)*width])
		failed := verdict != asItShould
		of := &r.Valid
		if v[change] != 0 {
			of = &r.Wrong
		}
		of.Tokens++
		if failed {
			of.Failed++
		}
		if v[change] != 0 {
			count(change, v, failed)
			count(anywhere, v, failed)
			continue
		}
		for _, dim := range grouped {
			count(dim, v, failed)
		}
	}
	for dim := range counts {
		for value, byKey := range counts[dim] {
			for no, t := range byKey {
				group := cmp.Or(d.all[dim].group, "must be refused, in detail")
				r.Cells = append(r.Cells, Cell{group, Feature{Dimension: d.all[dim].name, Value: d.all[dim].values[value]}, no, *t})
			}
		}
	}
	slices.SortStableFunc(r.Cells, func(a, b Cell) int {
		return cmp.Or(
			cmp.Compare(d.number[a.What.Dimension], d.number[b.What.Dimension]),
			cmp.Compare(slices.Index(d.all[d.number[a.What.Dimension]].values, a.What.Value), slices.Index(d.all[d.number[b.What.Dimension]].values, b.What.Value)),
			cmp.Compare(a.Key, b.Key),
		)
	})
	if r.Valid.Failed > 0 {
		r.Findings = append(r.Findings, c.find(true))
	}
	if r.Wrong.Failed > 0 {
		r.Findings = append(r.Findings, c.find(false))
	}
	return r
}

// find explains the failures among the valid tokens, or among the others.
func (c *course) find(valid bool) Finding {
	d := c.plan.dims
	width, change := len(d.all), d.number[changeDimension]
	except := []string{}
	if valid {
		for i := width - tail; i < width; i++ {
			except = append(except, d.all[i].name)
		}
	}
	crowd := gather(d, c.vectors, c.verdicts, func(v vector) bool { return (v[change] == 0) == valid }, except...)
	if !valid {
		crowd.wrongFirst(d)
	}
	e := crowd.explain()
	f := Finding{Valid: valid, Exact: e.exact, Reasons: map[string]int{}}
	in := newSet(len(c.verdicts))
	for _, x := range e.cohorts {
		features := []Feature{}
		for _, l := range x.literals {
			lit := crowd.literals[l]
			features = append(features, Feature{d.all[lit.dimension].name, d.all[lit.dimension].values[lit.value], lit.not})
		}
		f.Cohorts = append(f.Cohorts, features)
		in = in.or(x.tokens)
	}
	f.Tokens, f.Failed = in.count(), in.both(crowd.failing)
	f.Others = crowd.failing.count() - f.Failed
	outcomes := map[verdict]int{}
	for i, v := range c.verdicts {
		if crowd.failing[i>>6]>>(i&63)&1 == 1 {
			f.Reasons[c.words[c.reasons[i]]]++
			outcomes[v]++
		}
	}
	f.Sentence = c.sentence(&f, outcomes, crowd.all.count())
	return f
}

// wrongFirst puts what is wrong with a token before everything else.
func (c *crowd) wrongFirst(d *dimensions) {
	slices.SortStableFunc(c.literals, func(a, b literal) int {
		first := func(l literal) int {
			if l.dimension >= len(d.all)-tail && l.rank(d) == 0 {
				return l.dimension
			}
			return len(d.all)
		}
		return cmp.Compare(first(a), first(b))
	})
}

// sentence says a finding as one would tell a colleague.
func (c *course) sentence(f *Finding, outcomes map[verdict]int, all int) string {
	var cohorts []string
	for _, features := range f.Cohorts {
		cohorts = append(cohorts, c.plan.dims.phrase(features))
	}
	b := strings.Join(cohorts, ", and ")
	var did []string
	for _, o := range []struct {
		verdict verdict
		words   string
	}{
		{refusedWrongly, "are refused"},
		{readWrongly, "are read as something else than they say"},
		{acceptedWrongly, "are accepted"},
		{unjudged, "get no verdict"},
	} {
		if outcomes[o.verdict] > 0 {
			did = append(did, o.words)
		}
	}
	b += " " + strings.Join(did, " or ")
	if outcomes[acceptedWrongly] == 0 {
		b += " (" + reasons(f.Reasons) + ")"
	} else {
		b += ", which they must not be"
	}
	b += fmt.Sprintf(": %s of %s", thousands(f.Failed), thousands(f.Tokens))
	kind := "valid tokens"
	if !f.Valid {
		kind = "wrong tokens"
	}
	switch {
	case f.Tokens == all:
		b += ", that is all " + kind + " there were."
		if f.Failed < f.Tokens {
			b = strings.TrimSuffix(b, ".") + "; no cohort tells those that fail from the others."
		}
	case f.Exact:
		b += "; all other " + kind + " get what they should."
	default:
		b += fmt.Sprintf("; so do %s of the %s other %s. No cohort separates them all: this one comes nearest.", thousands(f.Others), thousands(all-f.Tokens), kind)
	}
	return b
}

func reasons(of map[string]int) string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), strings.Compare(a, b)) })
	if len(names) > 3 {
		names = append(names[:3], "…")
	}
	return strings.Join(names, ", ")
}

// phrase names the tokens of a cohort.
func (d *dimensions) phrase(features []Feature) string {
	noun, clauses := "tokens", []string{}
	for _, f := range features {
		if f.Dimension == "kind" && !f.Not {
			noun = plural(f.Value)
			continue
		}
		dim := &d.all[d.number[f.Dimension]]
		clauses = append(clauses, dim.words(slices.Index(dim.values, f.Value), f.Not))
	}
	if len(features) == 0 {
		return "all tokens"
	}
	if len(clauses) == 0 {
		return noun
	}
	return noun + " " + strings.Join(clauses, " and ")
}

// Write prints the matrix, what was counted, and what fails in words.
func (r *Report) Write(w io.Writer) error {
	for no := 0; no < len(r.Keys); no += columns {
		if err := r.table(w, no, min(no+columns, len(r.Keys))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s tokens in %.1f s, seed %d: %s of %s valid ones let in as they should be, %s of %s wrong ones refused.\n",
		thousands(r.Tokens), r.Took.Seconds(), r.Seed,
		thousands(r.Valid.Tokens-r.Valid.Failed), thousands(r.Valid.Tokens), thousands(r.Wrong.Tokens-r.Wrong.Failed), thousands(r.Wrong.Tokens))
	for _, f := range r.Findings {
		if err == nil {
			_, err = fmt.Fprintf(w, "FAIL: %s\n", f.Sentence)
		}
	}
	return err
}

// columns is how many keys stand side by side.
const columns = 14

// table prints the cohorts of some keys: how many tokens passed, and which failed.
func (r *Report) table(out io.Writer, from, to int) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var heads [3][]string
	for _, key := range r.Keys[from:to] {
		words := strings.SplitN(key, " ", 3)
		for i := range heads {
			heads[i] = append(heads[i], append(words, "", "")[i])
		}
	}
	for i, head := range heads {
		label := ""
		if i == len(heads)-1 {
			label = "(failed/tokens, or tokens: none failed)"
		}
		fmt.Fprintf(w, "%s\t%s\t\n", pad(label), strings.Join(head, "\t"))
	}
	for i := 0; i < len(r.Cells); {
		if i == 0 || r.Cells[i].Group != r.Cells[i-1].Group {
			group := r.Cells[i].Group
			if group == "must be refused" {
				group += " (accepted/tokens, or tokens: none accepted)"
			}
			fmt.Fprintf(w, "%s%s\t\n", pad(strings.ToUpper(group[:1])+group[1:]), strings.Repeat("\t", to-from))
		}
		what := r.Cells[i].What
		row, failed := make([]string, to-from), false
		for n := range row {
			row[n] = "·"
		}
		for ; i < len(r.Cells) && r.Cells[i].What == what; i++ {
			c := r.Cells[i]
			if c.Key < from || c.Key >= to {
				continue
			}
			if row[c.Key-from] = strconv.Itoa(c.Tokens); c.Failed > 0 {
				row[c.Key-from], failed = fmt.Sprintf("%d/%d", c.Failed, c.Tokens), true
			}
		}
		label := "  " + what.Dimension + ": " + what.Value
		if what.Dimension == changeDimension || what.Dimension == anywhereDimension {
			label = "  " + what.Value
		}
		if what.Dimension == changeDimension && !failed {
			continue
		}
		switch what.Value {
		case "yes":
			label = "  " + what.Dimension
		case "no":
			continue // the rest of the row before
		}
		fmt.Fprintf(w, "%s\t%s\t\n", pad(label), strings.Join(row, "\t"))
	}
	return w.Flush()
}

// pad makes labels equally wide, so that the numbers are right-aligned and they are not.
func pad(label string) string {
	const wide = 62
	return label + strings.Repeat(" ", max(0, wide-utf8.RuneCountInString(label)))
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
