package call

import "time"

// The prompts that the platform itself plays; a Director may play them too.
const (
	RingbackTone = "tone:ringback"
	HoldMusic    = "music:hold"
	// QuietTone is silence as packets: carriers and NATs take a leg that sends
	// nothing at all for dead.
	QuietTone = "tone:quiet"
)

// Decide returns what the call becomes by the input, and what must be done.
// It is pure: the same arguments give the same results.
func Decide(s State, in Input, now time.Time) (State, []Action) {
	if s.Over {
		return s, nil
	}
	if begin, ok := in.(Begin); ok {
		return begun(begin.Offer, now)
	}
	if len(s.Legs) == 0 { // nothing may precede Begin
		return s, nil
	}
	d := decision{State: s.clone(), now: now}
	d.count(now)
	switch in := in.(type) {
	case Reported:
		d.reported(in)
	case Instructed:
		d.instructed(in.Instruction)
	case DialFailed:
		d.down(in.Leg, Down{Cause: in.Cause, Status: in.Status}, Media{})
	case Played:
		d.played(in)
	case Recorded:
		d.recorded(in)
	case TimeUp:
		d.timeUp(in.Timer)
	case Stop:
		d.end(in.Cause, "")
	}
	d.watchOrphan(s)
	d.finish()
	return d.State, d.actions
}

func begun(o Offer, now time.Time) (State, []Action) {
	return State{
		Offer: o,
		Legs:  []LegState{{ID: o.Leg, Address: o.From, Trunk: o.Trunk, Started: now}},
	}, []Action{StartTimer{Timer: OrphanTimer, After: OrphanAfter}}
}

// decision is one run of Decide: the state as it becomes, and the actions so far.
type decision struct {
	State
	now     time.Time
	actions []Action
}

func (d *decision) do(a ...Action) { d.actions = append(d.actions, a...) }
func (d *decision) notify(e Event) { d.do(Notify{e}) }

// end asks every live leg to end; the call is over once all of them are down.
func (d *decision) end(cause EndCause, by LegID) {
	if d.Ending {
		return
	}
	d.Ending, d.Cause, d.EndedBy = true, cause, by
	for i := range d.Legs {
		d.hangUp(&d.Legs[i], cause)
	}
	d.do(StartTimer{Timer: LingerTimer, After: LingerAfter})
}

func (d *decision) hangUp(l *LegState, cause EndCause) {
	if !l.live() || l.HungUp {
		return
	}
	switch {
	case l.Dialled && !l.answered() && cause == Completed:
		cause = Cancelled
	case !l.Dialled && !l.answered() && cause == Completed:
		cause = Declined // the call ended well although its caller was never answered
	}
	l.HungUp = true
	d.part(l.ID)
	d.do(LegEnd{Leg: l.ID, Cause: cause})
}

// part ends the bridge that the leg is in.
func (d *decision) part(id LegID) {
	if !d.Pair.has(id) {
		return
	}
	d.count(d.now)
	d.since = time.Time{}
	if d.HeldBy == "" {
		d.do(Part{Leg: id})
	}
	d.HeldBy = ""
	d.Pair = Pair{}
}

// join bridges two legs, now or as soon as both are answered.
func (d *decision) join(a, b LegID) {
	if d.Pair == (Pair{a, b}) || d.Pair == (Pair{b, a}) {
		return
	}
	d.part(a)
	d.part(b)
	for _, id := range []LegID{a, b} {
		l := d.leg(id)
		l.Playing = ""
	}
	d.Pair = Pair{a, b}
	d.do(Join{a, b})
	d.bridgedIfBothUp()
}

func (d *decision) bridgedIfBothUp() {
	if d.Pair.none() || !d.since.IsZero() {
		return
	}
	if !d.leg(d.Pair.A).answered() || !d.leg(d.Pair.B).answered() {
		return
	}
	d.since = d.now
	if d.Bridged.IsZero() {
		d.Bridged = d.now
	}
	d.notify(Bridged(d.Pair))
}

// codecs returns what a leg will hear and say, for the leg it is to be bridged with.
func (d *decision) codecs(l *LegState) []Codec {
	if l.Codec != "" {
		return []Codec{l.Codec}
	}
	if !l.Dialled {
		return d.Offer.Codecs
	}
	return l.Dial.Codecs
}

func (d *decision) timeUp(t Timer) {
	switch t {
	case LimitTimer:
		d.end(TimeLimit, "")
	case OrphanTimer:
		d.end(Failed, "")
	case LingerTimer:
		for i := range d.Legs {
			if l := &d.Legs[i]; l.live() {
				l.Phase, l.Ended, l.Cause = Gone, d.now, Failed
			}
			d.Legs[i].Recording = ""
		}
	}
}

// occupied reports whether anybody rings, is dialled, talks, listens or is recorded.
func (s *State) occupied() bool {
	if !s.Pair.none() || s.Ending {
		return true
	}
	for i := range s.Legs {
		l := &s.Legs[i]
		if l.Dialled && l.live() && !l.answered() || l.Playing != "" || l.Recording != "" {
			return true
		}
	}
	return false
}

// watchOrphan runs the orphan timer while a call has nothing going on.
func (d *decision) watchOrphan(before State) {
	was, is := before.occupied(), d.occupied()
	switch {
	case was && !is:
		d.do(StartTimer{Timer: OrphanTimer, After: OrphanAfter})
	case !was && is:
		d.do(StopTimer{Timer: OrphanTimer})
	}
}

// finish ends the call when its last leg is gone and its last recording closed.
func (d *decision) finish() {
	for i := range d.Legs {
		if d.Legs[i].live() || d.Legs[i].Recording != "" {
			return
		}
	}
	if !d.Ending { // every leg left by itself
		d.Ending, d.Cause = true, d.offered().Cause
	}
	d.Over = true
	r := d.record(d.now)
	d.do(StopTimer{Timer: LingerTimer}, StopTimer{Timer: LimitTimer}, StopTimer{Timer: OrphanTimer}, Finish{r})
}
