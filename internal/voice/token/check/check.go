// Package check proves a verifier of device tokens: it makes tokens of every
// cohort there can be (kinds, keys, algorithms, names, alphabets, lengths, sizes,
// writers of JSON) and tokens that are wrong in every way known, shows each to a
// Verifier, and says which cohort fails, in words.
//
// A fault in a decoder hits one such cohort and no other (the outage that this
// project exists for was one), so that a handful of tokens proves nothing, and a
// ratio of failures hides what is wrong: for the agents hit it is all of them.
//
// A verifier fails a token that it refuses though it is valid, one that it
// accepts though it must be refused, and one that it accepts as saying something
// else than what was minted. Tokens are the same for the same seed, keys and
// time. The package holds tokens and secrets in memory only; no report and no
// error holds one. Run may be called by several goroutines.
package check

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dialtone/internal/voice/token"
)

// DefaultTokens is how many tokens a check of a verifier in the same process makes.
const DefaultTokens = 100_000

// Verifier is what is checked; token.Verifier is one. An error that is a
// *token.Refusal, or has a method Refused() string, means that the token was
// judged and not let in; any other that it could not be judged.
type Verifier interface {
	Verify(ctx context.Context, text string) (token.Claims, error)
}

// Tickets issues tickets for the check. One that can also issue tickets whose
// time is over has the method Lapsed like Issue.
type Tickets interface {
	Issue(ctx context.Context, account, identity string) (string, error)
}

type lapsing interface {
	Lapsed(ctx context.Context, account, identity string) (string, error)
}

// Source is a verifier and the keys that it should know.
type Source struct {
	Keys       []Key
	Verifier   Verifier
	Tickets    Tickets          // nil: tickets are not checked
	MaxTickets int              // how many are issued at most; 0: as many as come
	Account    string           // of the tickets
	App        string           // AP… that tokens allow to call; "": AP and the digits of the account
	Now        func() time.Time // the verifier's clock; nil: time.Now

	IdentityOnly bool // the verifier shows nothing else of the claims
}

func (s *Source) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Source) app(account string) string {
	if s.App != "" || len(account) < 2 {
		return s.App
	}
	return "AP" + account[2:]
}

// Options is what to check and how much.
type Options struct {
	Sources []Source
	Tokens  int    // 0: DefaultTokens
	Seed    uint64 // what the tokens are drawn from
	Prefix  string // what every name begins with

	ValidOnly bool // without the tokens that must be refused

	// Sample, if not 0, takes this many of the tokens instead of all, in a way
	// that every cohort of every kind is among them as often as possible.
	Sample int
	Rate   float64       // tokens per second at most; 0: as fast as it goes
	Each   time.Duration // for one token at most; 0: no bound
	GiveUp int           // tokens in a row that cannot be judged until the check ends with an error; 0: never

	Progress func(done, total int) // called now and then, by one goroutine at a time; may be nil
}

// Run checks. The report is of what was judged, also when there is an error: the
// context ended, keys that cannot sign, or nobody who judges.
func Run(ctx context.Context, o Options) (*Report, error) {
	began := time.Now()
	p, err := newPlan(o)
	if err != nil {
		return nil, err
	}
	c := &course{plan: p, o: o}
	c.numbers, err = c.choose(ctx)
	if err != nil {
		return nil, err
	}
	err = c.run(ctx)
	r := c.report(time.Since(began))
	return r, err
}

// keyAt is a key and where it comes from.
type keyAt struct {
	key    *Key
	source *Source
	no     int
	weight int
}

func (k keyAt) title() string {
	if k.key.Kind == token.Ticket {
		return "ticket"
	}
	return string(k.key.Kind) + " " + k.key.Label()
}

// plan is what tokens are drawn from. It does not change.
type plan struct {
	seed    uint64
	prefix  string
	keys    []keyAt
	total   int // of the weights
	changes []change
	fitting [][]*change // of changes, by the key's number
	wrong   bool
	dims    *dimensions
}

// Weights of keys: signing with the slow ones is what a check would spend its
// time on.
const (
	weightSecret = 3000
	weightCurve  = 300
	slowTokens   = 100 // tokens of an RSA key, about
	ticketShare  = 12  // of a hundred tokens, about
)

func newPlan(o Options) (*plan, error) {
	p := &plan{seed: o.Seed, prefix: o.Prefix, changes: changes(), wrong: !o.ValidOnly}
	n := o.Tokens
	if n <= 0 {
		n = DefaultTokens
	}
	for i := range o.Sources {
		s := &o.Sources[i]
		for j := range s.Keys {
			if err := s.Keys[j].check(); err != nil {
				return nil, err
			}
			k := keyAt{key: &s.Keys[j], source: s, weight: weightSecret}
			if s.Keys[j].Kind == token.Capability {
				k.weight *= 2
			}
			if !s.Keys[j].secret() {
				k.weight = weightCurve
			}
			p.keys = append(p.keys, k)
			p.total += k.weight
		}
	}
	for i := range p.keys {
		k := &p.keys[i]
		if a := k.key.Algorithm; a == token.RS256 || a == token.PS256 {
			p.total -= k.weight
			k.weight = min(weightCurve, max(1, p.total*slowTokens/n))
			p.total += k.weight
		}
	}
	for i := range o.Sources {
		s := &o.Sources[i]
		if s.Tickets == nil {
			continue
		}
		weight := max(1, max(p.total, 1000)*ticketShare/100)
		if s.MaxTickets > 0 && p.total > 0 {
			weight = max(1, min(weight, p.total*s.MaxTickets/n))
		}
		p.keys = append(p.keys, keyAt{key: &Key{Kind: token.Ticket, Account: s.Account}, source: s, weight: weight})
		p.total += weight
	}
	p.fitting = make([][]*change, len(p.keys))
	for i := range p.keys {
		p.keys[i].no = i
		for j := range p.changes {
			if p.changes[j].fits(p.keys[i]) {
				p.fitting[i] = append(p.fitting[i], &p.changes[j])
			}
		}
	}
	if len(p.keys) == 0 {
		return nil, errors.New("there is no key to check with")
	}
	p.dims = newDimensions(p.keys, p.changes)
	return p, nil
}

func (p *plan) pick(r *rand.Rand) keyAt {
	n := r.IntN(p.total)
	for _, k := range p.keys {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	return p.keys[len(p.keys)-1]
}

// change draws what is wrong with a token; nil for the three in four that are valid.
func (p *plan) change(r *rand.Rand, k keyAt) *change {
	if r.IntN(4) > 0 || !p.wrong {
		return nil
	}
	return p.anotherChange(r, k)
}

func (p *plan) anotherChange(r *rand.Rand, k keyAt) *change {
	fitting := p.fitting[k.no]
	return fitting[r.IntN(len(fitting))]
}

// verdict is what came of a token.
type verdict uint8

const (
	unseen verdict = iota
	asItShould
	refusedWrongly
	acceptedWrongly
	readWrongly
	unjudged
)

// course is one check on its way.
type course struct {
	plan    *plan
	o       Options
	numbers []int // of the tokens that are judged

	vectors  []uint8 // of numbers, one after the other
	verdicts []verdict
	reasons  []uint16

	mu       sync.Mutex
	words    []string // reasons by their number
	byWord   map[string]uint16
	inARow   int
	nextSlot time.Time

	done atomic.Int64
}

func (c *course) tokens() int {
	if c.o.Tokens <= 0 {
		return DefaultTokens
	}
	return c.o.Tokens
}

// choose returns the numbers of the tokens to judge: all, or a sample.
func (c *course) choose(ctx context.Context) ([]int, error) {
	n := c.tokens()
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	if c.o.Sample <= 0 || c.o.Sample >= n {
		return numbers, nil
	}
	width := len(c.plan.dims.all)
	vectors := make([]uint8, n*width)
	err := c.each(ctx, n, func(m *maker, i int) error {
		s, d, text, err := m.make(ctx, i, false)
		if err == nil {
			c.plan.dims.of(vectors[i*width:(i+1)*width], &d, len(text), s.keyNo)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return cover(vectors, width, n, c.o.Sample), nil
}

// each calls do for 0 to n−1 in several goroutines.
func (c *course) each(ctx context.Context, n int, do func(m *maker, i int) error) error {
	const chunk = 64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var crew sync.WaitGroup
	for range max(1, min(runtime.GOMAXPROCS(0), n/chunk+1)) {
		crew.Go(func() {
			m := newMaker(c.plan)
			for {
				from := int(next.Add(chunk)) - chunk
				for i := from; i < min(from+chunk, n); i++ {
					if ctx.Err() != nil {
						return
					}
					if err := do(m, i); err != nil {
						cancel(err)
						return
					}
				}
				if from >= n {
					return
				}
			}
		})
	}
	crew.Wait()
	return context.Cause(ctx)
}

// make makes token number i. Without real, tickets are not issued.
func (m *maker) make(ctx context.Context, i int, real bool) (*spec, draft, string, error) {
	s := m.draw(i)
	var skipped []*change
	for {
		if s.key.Kind == token.Ticket {
			text, err := m.ticket(ctx, s, real)
			return s, draft{spec: s}, text, err
		}
		d, text, ok := m.build(s)
		if ok {
			return s, d, text, nil
		}
		// This change left this token as it is: another one instead.
		skipped = append(skipped, s.change)
		s = m.draw(i)
		for s.change == nil || slices.Contains(skipped, s.change) {
			s.change = m.plan.anotherChange(m.rand, m.plan.keys[s.keyNo])
		}
	}
}

func (m *maker) ticket(ctx context.Context, s *spec, real bool) (string, error) {
	text := digits(m.rand)
	if real {
		issue := s.source.Tickets.Issue
		if s.change != nil && s.change.name == expiredTicket {
			issue = s.source.Tickets.(lapsing).Lapsed
		}
		var err error
		if text, err = issue(ctx, s.key.Account, s.name); err != nil {
			return "", fmt.Errorf("issue a ticket: %w", err)
		}
	}
	if s.change != nil {
		return s.change.ticket(m.rand, text), nil
	}
	return text, nil
}

func (c *course) run(ctx context.Context) error {
	n, width := len(c.numbers), len(c.plan.dims.all)
	c.vectors, c.verdicts, c.reasons = make([]uint8, n*width), make([]verdict, n), make([]uint16, n)
	c.words, c.byWord = []string{""}, map[string]uint16{"": 0}
	return c.each(ctx, n, func(m *maker, i int) error {
		if err := c.wait(ctx); err != nil {
			return err
		}
		s, d, text, err := m.make(ctx, c.numbers[i], true)
		if err != nil {
			return err
		}
		c.plan.dims.of(c.vectors[i*width:(i+1)*width], &d, len(text), s.keyNo)
		v, why, err := c.judge(ctx, s, text)
		if err != nil {
			return err
		}
		c.verdicts[i] = v
		if why != "" {
			c.reasons[i] = c.word(why)
		}
		done := int(c.done.Add(1))
		if c.o.Progress != nil && (c.o.Rate > 0 || done%10_000 == 0 || done == n) {
			c.mu.Lock()
			c.o.Progress(done, n)
			c.mu.Unlock()
		}
		return nil
	})
}

// wait keeps to the rate.
func (c *course) wait(ctx context.Context) error {
	if c.o.Rate <= 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	if c.nextSlot.Before(now) {
		c.nextSlot = now
	}
	slot := c.nextSlot
	c.nextSlot = slot.Add(time.Duration(float64(time.Second) / c.o.Rate))
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(slot)):
		return nil
	}
}

func (c *course) word(why string) uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.byWord[why]
	if !ok {
		if len(c.words) == 1000 {
			return c.words1000()
		}
		n = uint16(len(c.words))
		c.byWord[why], c.words = n, append(c.words, why)
	}
	return n
}

// words1000 is where further reasons go: they are for people to read.
func (c *course) words1000() uint16 { return uint16(len(c.words) - 1) }

// judge shows a token to the verifier.
func (c *course) judge(ctx context.Context, s *spec, text string) (verdict, string, error) {
	claims, err := c.ask(ctx, s, text)
	if s.change != nil && s.change.name == usedTicket && err == nil {
		// that was its use; this is what must be refused
		_, err = c.ask(ctx, s, text)
	}
	refused, why := refusalOf(err)
	if err != nil && !refused {
		if ctx.Err() != nil {
			return unseen, "", context.Cause(ctx)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.inARow++; c.o.GiveUp > 0 && c.inARow >= c.o.GiveUp {
			return unjudged, "", fmt.Errorf("%d tokens in a row could not be judged: %w", c.inARow, err)
		}
		return unjudged, "no verdict", nil
	}
	c.mu.Lock()
	c.inARow = 0
	c.mu.Unlock()
	switch {
	case s.change != nil && refused, s.change == nil && !refused && s.differs(claims, s.source.IdentityOnly) == "":
		return asItShould, "", nil
	case s.change != nil:
		return acceptedWrongly, "accepted", nil
	case refused:
		return refusedWrongly, why, nil
	}
	return readWrongly, "another " + s.differs(claims, s.source.IdentityOnly), nil
}

func (c *course) ask(ctx context.Context, s *spec, text string) (token.Claims, error) {
	if c.o.Each > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.o.Each)
		defer cancel()
	}
	return s.source.Verifier.Verify(ctx, text)
}

// refusalOf tells a verdict from a failure to judge.
func refusalOf(err error) (refused bool, why string) {
	var r *token.Refusal
	if errors.As(err, &r) {
		return true, string(r.Reason)
	}
	var other interface{ Refused() string }
	if errors.As(err, &other) {
		return true, other.Refused()
	}
	return false, ""
}

// cover picks tokens so that every answer to every question is among the valid
// ones of every key, and every fault among the others of every kind, as often as
// the sample allows. At most a third of it are such others.
func cover(vectors []uint8, width, n, sample int) []int {
	type cell struct{ of, dimension, value uint8 }
	key, change := width-tail-1, width-tail
	seen := map[cell]int{}
	taken := make([]bool, n)
	var chosen []int
	wrong := 0
	for round := 1; len(chosen) < sample && round <= 1<<16; round *= 2 {
		for i := 0; i < n && len(chosen) < sample; i++ {
			v := vectors[i*width : (i+1)*width]
			of, from, to := v[key], 0, change
			if v[change] != 0 {
				of, from, to = v[0], change, change+1
			}
			if taken[i] || from == change && wrong >= sample/3 {
				continue
			}
			wanted := false
			for d := from; d < to && !wanted; d++ {
				wanted = seen[cell{of, uint8(d), v[d]}] < round
			}
			if !wanted {
				continue
			}
			taken[i] = true
			chosen = append(chosen, i)
			if from == change {
				wrong++
			}
			for d := from; d < to; d++ {
				seen[cell{of, uint8(d), v[d]}]++
			}
		}
	}
	return chosen
}
