package talk

import (
	"time"

	"dialtone/internal/voice/call"
)

// finish takes the record of a call that is over and forgets the call.
func (f *floor) finish(c *liveCall, r call.CallRecord) {
	f.setTimer(c, 0, nil)
	f.leave(c)
	for _, a := range c.people() {
		f.release(a, c)
	}
	delete(f.calls, c.offer.Call)
	delete(f.legs, c.offer.Leg)
	for leg := range c.notes {
		delete(f.legs, leg)
	}
	if c.branch == nil {
		return
	}
	if c.message != nil && !c.kept {
		// The node stopped amid the message: what was written is no whole recording.
		f.keep(entry{Kind: entryErase, Account: c.branch.ID, Recording: c.message.ID})
	}
	ended := c.record(r)
	f.meters.ended(ended)
	f.keep(entry{Kind: entryCall, Account: ended.Account, Call: &ended})
}

// record returns the call in the call centre's words.
func (c *liveCall) record(r call.CallRecord) Call {
	k := Call{
		ID: r.Call, Account: c.branch.ID, Direction: r.Direction,
		From: c.branch.party(r.From), To: c.branch.party(r.To), Trunk: r.Trunk,
		Cause: r.Cause, OfferedAt: stamp(r.Offered), EndedAt: stamp(r.Ended),
		Talked: SecondsOf(r.Talked), Held: SecondsOf(r.Held),
		Legs: make([]Leg, 0, len(r.Legs)),
	}
	if c.to != (Party{}) {
		k.To = c.to
	}
	if c.line != nil {
		k.Line = c.line.ID
	}
	switch {
	case c.caller != nil:
		k.Agent = c.caller.user.ID
	case c.last != nil:
		k.Agent = c.last.user.ID
	}
	talked := !r.Bridged.IsZero() || !c.found.IsZero()
	switch {
	case talked:
		k.AnsweredAt = stamp(firstOf(r.Bridged, c.found))
	case c.kept:
		k.AnsweredAt = stamp(r.Answered)
	}
	if c.kept {
		k.Voicemail = c.message.ID
	}
	k.Waited = SecondsOf(max(0, firstOf(k.AnsweredAt, c.ended, r.Ended).Sub(r.Offered)))
	k.Status = statusOf(talked, c.kept, c.gone, c.inbound(), r.Cause)
	for _, l := range r.Legs {
		k.Legs = append(k.Legs, c.leg(l, k.Status))
	}
	return k
}

// stamp is a time as records hold it: UTC, to the millisecond.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// statusOf says what came of a call: whether two people talked, a message was
// left, or the party who began it has gone by themselves.
func statusOf(talked, message, gone, inbound bool, cause call.EndCause) Status {
	switch {
	case talked:
		return StatusCompleted
	case message:
		return StatusVoicemail
	}
	switch cause {
	case call.Completed, call.Cancelled, call.MediaLost, call.SignalLost:
		switch {
		case inbound && gone:
			return StatusAbandoned
		case cause == call.Completed || cause == call.Cancelled:
			return StatusNotAnswered
		}
		return StatusFailed
	case call.Declined, call.Busy, call.NoAnswer, call.Unreachable:
		return StatusNotAnswered
	case call.NotFound, call.Forbidden, call.CarrierError, call.CarrierDown, call.NoCodec, call.MediaFailed,
		call.TimeLimit, call.Overload, call.Shutdown, call.Replaced, call.Failed:
		return StatusFailed
	}
	return StatusFailed
}

// leg returns one leg in the call centre's words.
func (c *liveCall) leg(r call.LegRecord, of Status) Leg {
	l := Leg{
		Leg: r.Leg, Party: c.branch.party(r.Address), Dialled: r.Dialled, Trunk: r.Trunk,
		StartedAt: stamp(r.Started), RingingAt: stamp(r.Ringing), AnsweredAt: stamp(r.Answered), EndedAt: stamp(r.Ended),
		Cause: r.Cause, Code: r.Status, Quality: qualityOf(r.Media),
	}
	note := c.notes[r.Leg]
	switch {
	case note != nil && note.agent != nil:
		l.Agent = note.agent.user.ID
	case !r.Dialled && c.caller != nil:
		l.Agent = c.caller.user.ID
	}
	switch {
	case note != nil && note.status != "":
		l.Status = note.status
	case r.Dialled && !r.Answered.IsZero():
		l.Status = LegCompleted
	case r.Dialled:
		l.Status = dialledStatus(r.Cause)
	case of == StatusCompleted, of == StatusVoicemail:
		l.Status = LegCompleted
	case of == StatusAbandoned, c.gone:
		l.Status = LegAbandoned
	case of == StatusNotAnswered:
		l.Status = LegNotAnswered
	default:
		l.Status = LegFailed
	}
	return l
}

// dialledStatus says what came of a leg that we called and nobody answered.
func dialledStatus(cause call.EndCause) LegStatus {
	switch cause {
	case call.Cancelled, call.Replaced, call.Completed:
		return LegCancelled
	case call.Declined, call.Busy, call.NoAnswer, call.Unreachable:
		return LegNotAnswered
	case call.NotFound, call.Forbidden, call.CarrierError, call.CarrierDown, call.NoCodec, call.MediaFailed,
		call.MediaLost, call.SignalLost, call.TimeLimit, call.Overload, call.Shutdown, call.Failed:
		return LegFailed
	}
	return LegFailed
}

// contactsSize is how many numbers' last calls are remembered; the oldest is forgotten.
const contactsSize = 10_000

// contacts remembers the last calls with each number, so that an offer can show
// them without asking the store.
type contacts struct {
	last  map[string][]Call // newest first
	order []string          // numbers, the longest known first
}

func newContacts() *contacts { return &contacts{last: map[string][]Call{}} }

// add notes a call that is over.
func (n *contacts) add(k Call) {
	number := k.From.Number
	if k.Direction != call.Inbound {
		number = k.To.Number
	}
	if number == "" {
		return
	}
	k.Legs = []Leg{}
	if n.last[number] == nil {
		n.order = append(n.order, number)
	}
	calls := append([]Call{k}, n.last[number]...)
	n.last[number] = calls[:min(len(calls), MaxContacts)]
	if len(n.order) > contactsSize {
		delete(n.last, n.order[0])
		n.order = n.order[1:]
	}
}

// of returns the last calls with the number, never nil.
func (n *contacts) of(number string) []Call {
	if calls := n.last[number]; number != "" && calls != nil {
		return calls
	}
	return []Call{}
}
