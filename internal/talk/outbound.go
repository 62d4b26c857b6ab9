package talk

import (
	"slices"
	"strings"
	"time"

	"dialtone/internal/voice/call"
)

// DialTimeout is how long a phone number that a device dialled may ring.
const DialTimeout = 60 * time.Second

// dialOut takes a device's call: to "client:NAME" or to a phone number, from
// the account's line that From names or its first.
func (f *floor) dialOut(c *liveCall) {
	b := c.branch
	c.caller = b.byIdentity[c.offer.From.Identity]
	c.from = b.party(c.offer.From)
	dialled := c.offer.Params.Get("To")
	if dialled == "" {
		dialled = c.offer.To.String()
	}
	if name, ok := strings.CutPrefix(dialled, "client:"); ok {
		f.dialDevice(c, name)
		return
	}
	f.dialPhone(c, dialled)
}

// dialPhone calls a phone number with a line's number.
func (f *floor) dialPhone(c *liveCall, dialled string) {
	l, ok := c.branch.lineFrom(c.offer.Params.Get("From"))
	if !ok {
		f.refuse(c, call.Forbidden, "no such line")
		return
	}
	c.line = l
	country := CountryOf(l.Number)
	if country == "" {
		country = c.branch.Country
	}
	number, err := ParseNumber(dialled, country)
	if err != nil {
		f.refuse(c, call.NotFound, "not a phone number")
		return
	}
	c.to = partyOf(call.Phone(number))
	if len(l.Countries) > 0 && strings.HasPrefix(number, "+") && !slices.Contains(l.Countries, c.to.Country) {
		f.refuse(c, call.Forbidden, "country not allowed")
		return
	}
	c.do(call.Label{Key: "line", Value: l.ID})
	f.dial(c, call.Dial{
		To: call.Phone(number), From: call.Address{Number: l.Number, Name: l.Name}, Timeout: DialTimeout,
	})
}

// lineFrom returns the line to call from; ok is false for a number that is not the account's.
func (b *branch) lineFrom(number string) (*line, bool) {
	switch {
	case number == "" && len(b.lines) > 0:
		return b.lines[0], true
	case number == "":
		return nil, false
	}
	l := b.lineAt(number)
	return l, l != nil
}

// dialDevice calls another device of the account.
func (f *floor) dialDevice(c *liveCall, name string) {
	b := c.branch
	c.to = b.party(call.Client(name))
	a := b.byIdentity[name]
	switch {
	case name == "" || name == c.offer.From.Identity:
		f.refuse(c, call.NotFound, "nobody to call")
		return
	case !f.devices.Reachable(b.ID, name):
		if a != nil {
			clear(a.connections)
			f.lost(b, a)
		}
		f.refuse(c, call.Unreachable, "no device registered")
		return
	case a != nil && a.busy():
		f.refuse(c, call.Busy, "agent is busy")
		return
	}
	c.agent = a
	f.dial(c, call.Dial{
		To: call.Address{Identity: name, Name: c.to.Name}, From: call.Address{Identity: c.offer.From.Identity, Name: c.from.Name},
		Timeout: DefaultRing,
	})
}

// refuse ends a device's call that is not allowed or goes nowhere.
func (f *floor) refuse(c *liveCall, cause call.EndCause, reason string) {
	c.do(call.Label{Key: "refused", Value: reason})
	f.end(c, cause)
}

// dial calls the other party of a device's call.
func (f *floor) dial(c *liveCall, d call.Dial) {
	direction := call.Outbound
	if d.To.IsDevice() {
		direction = call.Internal
	}
	c.stage, c.other, c.ringback = offering, call.NewLegID(), true
	c.notes[c.other] = &legNote{agent: c.agent}
	f.legs[c.other] = c
	if c.caller != nil {
		// Who dials is not to be rung at the same time.
		for _, e := range slices.Clone(c.caller.engaged) {
			if e.kind == Ringing && e.call.inbound() && e.call.agent == c.caller {
				f.withdraw(e.call, "")
				delete(e.call.tried, c.caller.user.ID)
			}
		}
		f.engage(c.caller, &engagement{
			call: c, leg: c.offer.Leg, kind: OnCall, direction: direction, peer: c.to, line: c.line,
		})
		c.do(call.Label{Key: "agent", Value: c.caller.user.ID})
	}
	if c.agent != nil {
		f.engage(c.agent, &engagement{
			call: c, leg: c.other, kind: Ringing, direction: direction, peer: c.from,
		})
	}
	d.Leg, d.Ringback = c.other, true
	c.do(d)
	leg := c.other
	f.setTimer(c, d.Timeout+ringSlack, func() {
		c.do(call.HangUp{Leg: leg, Cause: call.NoAnswer})
		f.unanswered(c, leg, call.NoAnswer)
	})
	if c.agent != nil {
		f.tellRinging(c)
	}
}

// outbound is the script of a device's call.
func (f *floor) outbound(c *liveCall, e call.Event) {
	switch e := e.(type) {
	case call.LegAnswered:
		if e.Leg == c.other && c.stage == offering {
			c.stage = connecting
			for _, a := range c.people() {
				f.answeredBy(a, c)
			}
			leg := c.other
			f.setTimer(c, connectWithin, func() {
				c.do(call.HangUp{Leg: leg, Cause: call.MediaFailed})
				f.unanswered(c, leg, call.MediaFailed)
			})
		}
	case call.Bridged:
		if (c.stage == offering || c.stage == connecting) && (e.A == c.other || e.B == c.other) {
			f.connected(c)
		}
	case call.LegEnded:
		if e.Leg != c.other {
			return
		}
		switch c.stage {
		case offering, connecting:
			f.unanswered(c, e.Leg, e.Cause)
		case talking:
			if c.agent != nil {
				f.release(c.agent, c)
				c.agent = nil
			}
			f.end(c, call.Completed)
		case searching, leaving, closing, over:
		}
	}
}

// unanswered ends a device's call whose other party did not take it.
func (f *floor) unanswered(c *liveCall, leg call.LegID, cause call.EndCause) {
	f.refused(c, leg, refusalOf(cause))
	f.end(c, cause)
}
