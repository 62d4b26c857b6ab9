package talk

import (
	"net/url"
	"slices"
	"time"

	"dialtone/internal/voice/call"
)

const (
	// MaxUnanswered is how long a caller may only hear ringback before a further
	// agent is looked for: many carriers give up on an unanswered call after 60
	// to 120 s, and the agent who rings then may take another 30.
	MaxUnanswered = 45 * time.Second

	// answerWithin is how long the offered leg may take to confirm its answer
	// (SIP: 64*T1, RFC 3261 13.3.1.4).
	answerWithin = 35 * time.Second
	// connectWithin is how long an agent's audio may take to come up.
	connectWithin = 20 * time.Second
	// ringSlack is how much later than asked the switchboard may end a ringing leg.
	ringSlack = 5 * time.Second
)

// arrive takes a carrier's call.
func (f *floor) arrive(c *liveCall) {
	b := c.branch
	c.from = b.party(c.offer.From)
	c.line = b.lineAt(c.offer.To.Number)
	if c.line == nil {
		f.end(c, call.NotFound)
		return
	}
	c.do(call.Label{Key: "line", Value: c.line.ID})
	b.searching = append(b.searching, c)
	c.limit = f.agenda.add(f.now.Add(c.line.maxWait()), func() {
		c.expired = true
		f.touch(b)
	})
	f.touch(b)
}

// lineAt returns the line with the number, however a carrier writes it.
func (b *branch) lineAt(number string) *line {
	for _, n := range []string{number, "+" + number} {
		if l := b.byNumber[n]; l != nil {
			return l
		}
	}
	if e164, err := ParseNumber(number, b.Country); err == nil {
		return b.byNumber[e164]
	}
	return nil
}

// ready reports whether the caller can be offered to an agent now.
func (c *liveCall) ready() bool {
	return c.stage == searching && !c.expired && (c.answered || !c.answering)
}

func (c *liveCall) waiter() waiter {
	return waiter{
		call:   c.offer.Call,
		serves: func(id string) bool { return c.branch.serves(c.line, id) },
		tried:  c.tried,
	}
}

// route gives every caller of the branch an agent, a place to wait, or to a rule.
func (f *floor) route(b *branch) {
	if len(b.searching) == 0 {
		return
	}
	for {
		prospects := b.prospects()
		var waiting []waiter
		for _, c := range b.searching {
			if c.ready() {
				waiting = append(waiting, c.waiter())
			}
		}
		matches := offerNext(waiting, prospects)
		if len(matches) == 0 {
			break
		}
		for _, m := range matches {
			f.offerTo(f.calls[m.call], b.agents[m.agent])
		}
	}
	prospects := b.prospects()
	for _, c := range slices.Clone(b.searching) {
		if c.stage == searching {
			f.await(c, outlookOf(c.waiter(), prospects, f.now))
		}
	}
}

func (b *branch) prospects() []prospect {
	all := make([]prospect, 0, len(b.agents))
	for _, a := range b.agents {
		all = append(all, a.prospect())
	}
	return all
}

// await lets a caller wait whom nobody can be offered to, or hands them to the rule.
func (f *floor) await(c *liveCall, o outlook) {
	switch {
	case c.expired || o == hopeless:
		f.rule(c)
	case c.answering && !c.answered:
		// The answer is on its way; LegAnswered comes here again.
	case c.answered:
		f.entertain(c)
	case o == returning && f.now.Sub(c.offer.At) < MaxUnanswered:
		if !c.rung {
			c.rung = true
			c.do(call.Ring{})
		}
	default:
		f.answer(c)
	}
}

// answer answers the caller, who then waits.
func (f *floor) answer(c *liveCall) {
	if c.answering {
		return
	}
	c.answering = true
	c.do(call.Answer{})
	f.setTimer(c, answerWithin, func() { f.end(c, call.Failed) })
}

// entertain lets an answered caller hear that they wait.
func (f *floor) entertain(c *liveCall) {
	if c.music {
		return
	}
	c.music = true
	switch {
	case c.plays > 0:
		f.hold(c) // back from an agent who was lost: no greeting twice
	case c.line.Available != "":
		f.playTo(c, c.line.Available)
	case c.line.Voicemail:
		f.playTo(c, PromptWait)
	default:
		f.hold(c)
	}
}

// hold lets the caller hear music until something else is played or bridged.
func (f *floor) hold(c *liveCall) {
	c.play = ""
	c.do(call.Play{Leg: c.offer.Leg, ID: "hold", Prompt: PromptMusic, Loop: true})
}

// offerTo lets the agent's devices ring. An agent whose devices have gone
// meanwhile is noted as such instead.
func (f *floor) offerTo(c *liveCall, a *agent) {
	b := c.branch
	if !f.devices.Reachable(b.ID, a.user.Identity) {
		clear(a.connections)
		f.lost(b, a)
		return
	}
	if !c.answered && !c.answering && f.now.Sub(c.offer.At) >= MaxUnanswered {
		f.answer(c)
		return
	}
	if c.answered {
		f.entertain(c)
	}
	c.tried[a.user.ID] = true
	c.stage, c.agent, c.other, c.ringback = offering, a, call.NewLegID(), !c.answered
	c.notes[c.other] = &legNote{agent: a}
	f.legs[c.other] = c
	f.engage(a, &engagement{
		call: c, leg: c.other, kind: Ringing, direction: call.Inbound, peer: c.from, line: c.line,
	})
	if c.ringback && !c.rung {
		c.rung = true
		c.do(call.Ring{})
	}
	c.do(call.Dial{
		Leg: c.other, To: call.Address{Identity: a.user.Identity, Name: a.user.Name}, From: c.offer.From,
		Params:  url.Values{"line": {c.line.Number}, "line_name": {c.line.Name}},
		Timeout: c.line.ring(), Ringback: c.ringback,
	})
	leg := c.other
	f.setTimer(c, c.line.ring()+ringSlack, func() { f.giveUp(c, leg) })
	f.meters.offered()
	f.tellRinging(c)
}

// giveUp ends an agent's leg that neither answered nor ended in its time.
func (f *floor) giveUp(c *liveCall, leg call.LegID) {
	c.do(call.HangUp{Leg: leg, Cause: call.NoAnswer})
	f.refused(c, leg, refusal{status: LegAgentUnreachable, why: WhyUnreachable, gone: true})
}

// withdraw takes a ringing offer back; why is what the agent is told, "" for nothing.
func (f *floor) withdraw(c *liveCall, why Why) {
	leg := c.other
	if leg == "" {
		return
	}
	c.do(call.HangUp{Leg: leg, Cause: call.Cancelled})
	f.refused(c, leg, refusal{status: LegCancelled, why: why})
}

// refused notes that the ringing party did not take the call.
func (f *floor) refused(c *liveCall, leg call.LegID, r refusal) {
	a := c.agent
	c.stage, c.agent, c.other = searching, nil, ""
	f.setTimer(c, 0, nil)
	f.touch(c.branch)
	if a == nil {
		return
	}
	c.notes[leg].status = r.status
	f.release(a, c)
	f.meters.refused(r.status)
	if r.gone {
		f.doubt(c.branch, a)
	}
	if r.why != "" {
		m := Missed{
			ID: NewID("MC"), Account: c.branch.ID, Agent: a.user.ID, Call: c.offer.Call,
			From: c.from, At: f.now, Why: r.why,
		}
		if c.line != nil {
			m.Line = c.line.ID
		}
		f.keep(entry{Kind: entryMissed, Account: m.Account, Agent: m.Agent, Missed: &m})
	}
}

// inbound is the script of a carrier's call.
func (f *floor) inbound(c *liveCall, e call.Event) {
	switch c.stage {
	case searching:
		f.whileSearching(c, e)
	case offering, connecting:
		f.whileOffered(c, e)
	case talking:
		f.whileTalking(c, e)
	case leaving, closing:
		f.whileLeaving(c, e)
	case over:
	}
}

func (f *floor) whileSearching(c *liveCall, e call.Event) {
	switch e := e.(type) {
	case call.LegAnswered:
		if e.Leg == c.offer.Leg {
			f.setTimer(c, 0, nil)
			f.touch(c.branch)
		} else {
			c.do(call.HangUp{Leg: e.Leg, Cause: call.Cancelled}) // answered as we took it back
		}
	case call.PlayEnded:
		f.played(c, e)
	case call.Digit:
		f.pressed(c, e)
	}
}

// whileOffered is also the time between an agent's answer and the first audio.
func (f *floor) whileOffered(c *liveCall, e call.Event) {
	switch e := e.(type) {
	case call.LegAnswered:
		switch {
		case e.Leg == c.other && c.stage == offering:
			c.stage = connecting
			f.answeredBy(c.agent, c)
			if !c.ringback {
				c.do(call.Bridge{A: c.offer.Leg, B: c.other})
			}
			leg := c.other
			f.setTimer(c, connectWithin, func() {
				c.do(call.HangUp{Leg: leg, Cause: call.MediaFailed})
				c.music = false
				f.refused(c, leg, refusalOf(call.MediaFailed))
			})
		case e.Leg != c.other && e.Leg != c.offer.Leg:
			c.do(call.HangUp{Leg: e.Leg, Cause: call.Cancelled})
		}
	case call.Bridged:
		if e.A == c.other || e.B == c.other {
			f.connected(c)
		}
	case call.LegEnded:
		if e.Leg == c.other {
			if c.stage == connecting {
				c.music = false // the bridge ended it
			}
			f.refused(c, e.Leg, refusalOf(e.Cause))
		}
	case call.PlayEnded:
		f.played(c, e)
	case call.Digit:
		f.pressed(c, e)
	}
}

// connected notes that caller and agent hear each other.
func (f *floor) connected(c *liveCall) {
	f.setTimer(c, 0, nil)
	f.leave(c)
	c.stage, c.music = talking, false
	if c.found.IsZero() {
		c.found = f.now
	}
	c.last = c.agent
	c.notes[c.other].status = LegCompleted
	for _, a := range c.people() {
		f.answeredBy(a, c)
	}
	if c.inbound() {
		c.do(call.Label{Key: "agent", Value: c.agent.user.ID})
	}
}

func (f *floor) whileTalking(c *liveCall, e call.Event) {
	ended, ok := e.(call.LegEnded)
	if !ok || ended.Leg != c.other {
		return
	}
	a := c.agent
	c.agent, c.other = nil, ""
	f.release(a, c)
	if !vanished(ended.Cause) {
		f.end(c, call.Completed)
		return
	}
	// The agent was lost, the caller was not: they go on as who has waited longest,
	// and the agent may be back in a moment.
	delete(c.tried, a.user.ID)
	if refusalOf(ended.Cause).gone {
		f.doubt(c.branch, a)
	}
	c.stage, c.expired = searching, false
	c.limit = f.agenda.add(f.now.Add(c.line.maxWait()), func() {
		c.expired = true
		f.touch(c.branch)
	})
	c.branch.searching = slices.Insert(c.branch.searching, c.branch.place(c), c)
	f.touch(c.branch)
}

// place returns where a caller belongs among those who wait.
func (b *branch) place(c *liveCall) int {
	i := slices.IndexFunc(b.searching, func(o *liveCall) bool { return o.offer.At.After(c.offer.At) })
	if i < 0 {
		return len(b.searching)
	}
	return i
}

// played goes on after the announcement to those who wait.
func (f *floor) played(c *liveCall, e call.PlayEnded) {
	if e.Leg == c.offer.Leg && e.ID == c.play && c.music {
		f.hold(c)
	}
}

// pressed lets a waiting caller choose voicemail.
func (f *floor) pressed(c *liveCall, e call.Digit) {
	if e.Leg != c.offer.Leg || e.Digit != '1' || !c.music || !c.line.Voicemail {
		return
	}
	if c.stage == offering {
		f.withdraw(c, "")
	}
	if c.stage == searching {
		f.rule(c)
	}
}
