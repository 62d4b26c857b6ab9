package talk

import (
	"strconv"
	"time"

	"dialtone/internal/voice/call"
)

// stage is where a call is. At any time a caller is searching (waiting),
// offered to an agent, talking, or handed to a rule (leaving a message, closing).
type stage int

const (
	searching  stage = iota // an inbound caller without an agent
	offering                // an agent rings; a dialled party for calls from devices
	connecting              // they answered and are not heard yet
	talking
	leaving // voicemail
	closing // a last word, then the end
	over    // only its record is still to come
)

// liveCall is a call from Begin to its record.
type liveCall struct {
	offer  call.Offer
	ctl    call.Control
	branch *branch
	line   *line // nil: none
	from   Party // as the called side sees the caller
	to     Party // for calls from devices: as dialled

	stage     stage
	answering bool // the offered leg was told to answer
	answered  bool // and did
	rung      bool // the caller was told that it rings
	music     bool // the caller hears the waiting loop or its announcement
	expired   bool // the longest wait is over
	timer     *alarm
	limit     *alarm // of the wait

	tried    map[string]bool // agents who were offered this call
	other    call.LegID      // the ringing or talking party's leg
	agent    *agent          // whose leg that is; nil for a phone number or a stranger's device
	caller   *agent          // who dialled; nil for a carrier's call
	ringback bool            // other was dialled with Ringback: the switchboard bridges it

	step    leaveStep
	play    string // id of the prompt whose end we wait for
	plays   int
	message *Voicemail // being recorded or kept

	notes map[call.LegID]*legNote
	found time.Time // a person answered
	ended time.Time // the search ended without one
	last  *agent    // who talked last, for the record
	kept  bool      // message was left
	gone  bool      // the offered leg has ended
}

// legNote is what we know of a dialled leg beyond its record.
type legNote struct {
	agent  *agent
	status LegStatus // "" while nothing special happened
}

func (c *liveCall) do(in ...call.Instruction) { c.ctl.Do(in...) }

func (c *liveCall) inbound() bool { return !c.offer.Device() }

// begin takes a new call.
func (f *floor) begin(o call.Offer, ctl call.Control) {
	c := &liveCall{
		offer: o, ctl: ctl, branch: f.branches[o.Account],
		tried: map[string]bool{}, notes: map[call.LegID]*legNote{},
	}
	f.calls[o.Call] = c
	f.legs[o.Leg] = c
	switch {
	case c.branch == nil:
		f.log.Warn("call for an unknown account", "call", o.Call, "account", o.Account)
		f.end(c, call.NotFound)
	case c.inbound():
		f.arrive(c)
	default:
		f.dialOut(c)
	}
}

// event takes what happened to a call.
func (f *floor) event(id call.ID, e call.Event) {
	c := f.calls[id]
	if c == nil {
		return
	}
	if e, ok := e.(call.Ended); ok {
		f.finish(c, e.Record)
		return
	}
	if c.branch == nil {
		return
	}
	switch e := e.(type) {
	case call.LegAnswered:
		if e.Leg == c.offer.Leg {
			c.answered = true
		}
	case call.LegEnded:
		if e.Leg == c.offer.Leg {
			f.left(c)
			return
		}
	case call.Held:
		f.held(c, e)
		return
	case call.RecordEnded:
		f.recorded(c, e)
		return
	}
	if c.inbound() {
		f.inbound(c, e)
	} else {
		f.outbound(c, e)
	}
}

// left notes that the party who began the call has gone; the switchboard ends
// the call by itself.
func (f *floor) left(c *liveCall) {
	switch c.stage {
	case over:
		return // by our End
	case offering, connecting:
		// Whoever's phone rang should know who it was.
		f.withdraw(c, WhyMissed)
	case searching, talking, leaving, closing:
	}
	c.gone = true
	f.leave(c)
	c.stage = over
	f.setTimer(c, 0, nil)
}

// leave takes the caller out of the line of those who wait.
func (f *floor) leave(c *liveCall) {
	f.agenda.cancel(c.limit)
	if c.branch == nil {
		return
	}
	for i, s := range c.branch.searching {
		if s == c {
			c.branch.searching = append(c.branch.searching[:i:i], c.branch.searching[i+1:]...)
			break
		}
	}
	if c.ended.IsZero() {
		c.ended = f.now
	}
	f.touch(c.branch)
}

// end ends the whole call.
func (f *floor) end(c *liveCall, cause call.EndCause) {
	f.leave(c)
	c.stage = over
	f.setTimer(c, 0, nil)
	c.do(call.End{Cause: cause})
}

// setTimer replaces what happens to the call if nothing else does; nil for nothing.
func (f *floor) setTimer(c *liveCall, after time.Duration, do func()) {
	f.agenda.cancel(c.timer)
	c.timer = nil
	if do != nil {
		c.timer = f.agenda.add(f.now.Add(after), do)
	}
}

// playTo lets the caller hear a prompt once; its end comes with c.play.
func (f *floor) playTo(c *liveCall, prompt string) {
	c.plays++
	c.play = "p" + strconv.Itoa(c.plays)
	c.do(call.Play{Leg: c.offer.Leg, ID: c.play, Prompt: prompt})
}

// engage notes that the agent is in the call.
func (f *floor) engage(a *agent, e *engagement) {
	f.agenda.cancel(a.wrapEnd)
	a.wrapUp = nil
	e.since = f.now
	a.engaged = append(a.engaged, e)
	f.touch(e.call.branch)
}

// answeredBy notes that the agent talks in the call.
func (f *floor) answeredBy(a *agent, c *liveCall) {
	for _, e := range a.engaged {
		if e.call == c {
			if e.kind != OnCall {
				e.kind, e.since = OnCall, f.now
			}
			e.talked = true
			f.touch(c.branch)
		}
	}
}

// release notes that the agent is out of the call.
func (f *floor) release(a *agent, c *liveCall) {
	for i, e := range a.engaged {
		if e.call != c {
			continue
		}
		a.engaged = append(a.engaged[:i:i], a.engaged[i+1:]...)
		if e.talked {
			a.idle = f.now
			if e.line != nil && e.line.WrapUp > 0 && len(a.engaged) == 0 {
				e.kind, e.since = WrapUp, f.now
				a.wrapUp = e
				a.wrapEnd = f.agenda.add(f.now.Add(e.line.WrapUp), func() {
					if a.wrapUp == e {
						a.wrapUp = nil
						f.touch(c.branch)
					}
				})
			}
		}
		f.touch(c.branch)
		return
	}
}

// held passes on who pressed hold.
func (f *floor) held(c *liveCall, e call.Held) {
	for _, a := range c.people() {
		f.publish(c.branch.ID, Change{ChangeHeld, HeldChange{Call: c.offer.Call, Leg: e.Leg, On: e.On}}, func(v Viewer) bool {
			return v.User == a.user.ID
		})
	}
}

// people returns the agents in the call.
func (c *liveCall) people() []*agent {
	var in []*agent
	for _, a := range []*agent{c.caller, c.agent} {
		if a != nil {
			in = append(in, a)
		}
	}
	return in
}

// legOf returns the leg of the agent in the call, "" when they are in none.
func (c *liveCall) legOf(user string) call.LegID {
	switch {
	case user == "":
		return ""
	case c.caller != nil && c.caller.user.ID == user:
		return c.offer.Leg
	case c.agent != nil && c.agent.user.ID == user:
		return c.other
	}
	return ""
}
