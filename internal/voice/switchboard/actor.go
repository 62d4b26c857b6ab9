package switchboard

import (
	"log/slog"
	"runtime/debug"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/reports"
)

// actor runs one call. Everything below mailbox belongs to its goroutine.
type actor struct {
	board   *Switchboard
	offer   call.Offer
	log     *slog.Logger
	mailbox *mailbox

	state   call.State
	script  call.Script
	legs    map[call.LegID]Leg
	tapes   map[call.LegID]*tape
	timers  map[call.Timer]*time.Timer
	told    map[call.LegID]reports.Figures // of the latest sample
	pending []call.Input                   // what performing an action made happen at once
	over    bool
}

func newActor(s *Switchboard, o call.Offer, leg Leg) *actor {
	return &actor{
		board: s, offer: o, log: s.o.Log.With("call", o.Call), mailbox: newMailbox(),
		legs: map[call.LegID]Leg{o.Leg: leg}, tapes: map[call.LegID]*tape{}, timers: map[call.Timer]*time.Timer{},
		told: map[call.LegID]reports.Figures{},
	}
}

// Do implements call.Control.
func (a *actor) Do(in ...call.Instruction) bool {
	for _, i := range in {
		if !a.mailbox.post(call.Instructed{Instruction: i}) {
			return false
		}
	}
	return true
}

func (a *actor) post(in call.Input) { a.mailbox.post(in) }

// reporter returns where the leg reports to.
func (a *actor) reporter(leg call.LegID) Reporter {
	return func(r call.Report) { a.mailbox.post(call.Reported{Leg: leg, Report: r}) }
}

// run is the call's goroutine. Whatever happens in it, the call is forgotten
// and its legs are ended.
func (a *actor) run() {
	defer a.leave()
	a.script = a.board.o.Director.Begin(a.offer, a)
	a.startTimer(call.StartTimer{Timer: call.LimitTimer, After: a.board.o.MaxDuration})
	a.handle(call.Begin{Offer: a.offer})
	sample := time.NewTicker(sampleEvery)
	defer sample.Stop()
	for !a.over {
		select {
		case <-a.mailbox.wake:
			for _, in := range a.mailbox.take() {
				a.handle(in)
			}
		case <-sample.C:
			a.sampleAll()
		}
	}
}

// leave is the one way out: it stops timers and closes tapes, and ends the legs
// if a panic of a Director or of ours left them.
func (a *actor) leave() {
	if p := recover(); p != nil {
		a.log.Error("call ended by a fault", "panic", p, "stack", string(debug.Stack()))
		a.board.metrics.panics.Inc()
		for _, leg := range a.legs {
			leg.End(call.Failed)
		}
		if !a.over {
			a.close(lastRecord(a.state, a.offer))
		}
		a.tellLast(lastRecord(a.state, a.offer))
	}
	a.mailbox.close()
	for _, t := range a.timers {
		t.Stop()
	}
	for leg := range a.tapes {
		a.stopTape(leg)
	}
	for _, leg := range a.legs { // those that never reported their end
		leg.Endpoint().Close()
	}
	a.board.forget(a, a.state.Legs)
}

// tellLast gives a Director that panicked the chance to let go of the call.
func (a *actor) tellLast(r call.CallRecord) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("director failed at the call's end too", "panic", p)
		}
	}()
	if a.script != nil {
		a.script.Event(call.Ended{Record: r})
	}
}

// lastRecord is what is kept of a call whose actor failed.
func lastRecord(s call.State, o call.Offer) call.CallRecord {
	r := call.CallRecord{
		Call: o.Call, Account: o.Account, Direction: call.Inbound, From: o.From, To: o.To, Trunk: o.Trunk,
		Offered: o.At, Answered: s.Answered, Bridged: s.Bridged, Ended: time.Now(), Talked: s.Talked, Held: s.Held,
		Cause: call.Failed, Labels: s.Labels,
	}
	if o.Device() {
		r.Direction = call.Outbound
	}
	return r
}

// handle decides and performs, and then the same for what that made happen at once.
func (a *actor) handle(in call.Input) {
	a.pending = append(a.pending, in)
	for len(a.pending) > 0 && !a.over {
		in, a.pending = a.pending[0], a.pending[1:]
		if r, ok := in.(call.Reported); ok {
			in = a.measured(r)
		}
		var actions []call.Action
		a.state, actions = call.Decide(a.state, in, time.Now())
		for _, act := range actions {
			a.perform(act)
		}
	}
}

// measured adds what went through the leg when it is down, and lets go of it.
func (a *actor) measured(r call.Reported) call.Reported {
	if _, down := r.Report.(call.Down); !down {
		return r
	}
	if leg := a.legs[r.Leg]; leg != nil {
		r.Media = leg.Endpoint().Stats()
		a.sample(r.Leg, leg, true)
		a.stopTape(r.Leg)
		leg.Endpoint().Close()
		delete(a.legs, r.Leg)
	}
	return r
}

func (a *actor) perform(act call.Action) {
	switch act := act.(type) {
	case call.LegRing:
		a.withLeg(act.Leg, func(l Leg) { l.Ringing(act.Early, act.Codecs) })
	case call.LegAnswer:
		a.withLeg(act.Leg, func(l Leg) { l.Answer(act.Codecs) })
	case call.LegEnd:
		a.withLeg(act.Leg, func(l Leg) { l.End(act.Cause) })
	case call.LegDial:
		a.dial(act.Dial)
	case call.Join:
		a.join(act)
	case call.Part:
		a.withLeg(act.Leg, func(l Leg) { l.Endpoint().Detach() })
	case call.PlayPrompt:
		a.play(act)
	case call.Silence:
		a.withLeg(act.Leg, func(l Leg) { l.Endpoint().Stop() })
	case call.StartRecording:
		a.startTape(act)
	case call.StopRecording:
		a.stopTape(act.Leg)
	case call.PressKeys:
		a.withLeg(act.Leg, func(l Leg) { l.Endpoint().SendDigits(act.Digits) })
	case call.Notify:
		a.script.Event(act.Event)
	case call.StartTimer:
		a.startTimer(act)
	case call.StopTimer:
		if t := a.timers[act.Timer]; t != nil {
			t.Stop()
		}
	case call.Finish:
		a.finish(act.Record)
	}
}

func (a *actor) withLeg(id call.LegID, f func(Leg)) {
	if l := a.legs[id]; l != nil {
		f(l)
	}
}

func (a *actor) dial(d call.Dial) {
	dialer := a.board.o.Phones
	if d.To.IsDevice() {
		dialer = a.board.o.Devices
	}
	leg, err := dialer.Dial(a.offer.Call, d, a.reporter(d.Leg))
	if err != nil {
		cause := dialCause(err)
		a.log.Info("leg was not dialled", "leg", d.Leg, "cause", cause, "error", err)
		a.pending = append(a.pending, call.DialFailed{Leg: d.Leg, Cause: cause})
		return
	}
	a.legs[d.Leg] = leg
	a.board.own(d.Leg, a)
}

// dialCause is what a Dialer's error means for the call.
func dialCause(err error) call.EndCause {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound:
		return call.NotFound
	case fault.Forbidden, fault.Unauthenticated:
		return call.Forbidden
	case fault.Unavailable:
		return call.Unreachable
	case fault.TooMany:
		return call.Overload
	case fault.Conflict:
		return call.Busy
	default:
		return call.Failed
	}
}

func (a *actor) startTimer(s call.StartTimer) {
	if t := a.timers[s.Timer]; t != nil {
		t.Stop()
	}
	a.timers[s.Timer] = time.AfterFunc(s.After, func() { a.post(call.TimeUp{Timer: s.Timer}) })
}

// finish is the end of a call that ran.
func (a *actor) finish(r call.CallRecord) {
	a.close(r)
	a.script.Event(call.Ended{Record: r})
}

// close counts and publishes the end and logs one line.
func (a *actor) close(r call.CallRecord) {
	a.over = true
	a.board.metrics.ended(r)
	a.board.o.Events.Publish(event.CallEnded{
		At: r.Ended, Account: r.Account, Call: string(r.Call), Direction: string(r.Direction), Cause: string(r.Cause),
		Trunk: r.Trunk, Duration: r.Ended.Sub(r.Offered), Talked: r.Talked,
	})
	a.log.Info("call ended", "cause", r.Cause, "direction", r.Direction, "from", r.From.String(), "to", r.To.String(),
		"trunk", r.Trunk, "duration", r.Ended.Sub(r.Offered).Round(time.Millisecond), "talked", r.Talked.Round(time.Millisecond))
}
