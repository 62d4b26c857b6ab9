package talk

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/health"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
)

// world is a floor with everything around it simulated in one goroutine: time,
// devices and phones, and a switchboard that decides by call.Decide, the same
// function the real one uses. After every step of the floor its invariants are
// checked.
type world struct {
	t      testing.TB
	f      *floor
	now    time.Time
	agenda agenda
	deaf   bool                 // the switchboard never ends what rings
	lag    func() time.Duration // between anything said and it being heard; nil: none

	account string
	devices map[string]bool // who is registered, by identity
	phones  map[string]func(*party)
	calls   []*simCall
	kept    []entry
	feed    *Feed
	log     []string // what the feed said, "event: detail"
}

const (
	testAccount = "AC00000000000000000000000000000001"
	supportLine = "PN1"
	support     = "+15550199"
	customer    = "+15550123"
)

func newWorld(t testing.TB, change func(*setup)) *world {
	w := &world{
		t: t, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), account: testAccount,
		devices: map[string]bool{}, phones: map[string]func(*party){},
	}
	m, err := newMeters(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.f = newFloor(w, func(e entry) {
		w.kept = append(w.kept, e)
		w.after(0, func() { w.step(func() { w.f.kept(e) }) })
	}, health.NewBoard().Warnings, slog.New(slog.DiscardHandler), m)
	u := setup{
		accounts: []Account{{ID: testAccount, Name: "demo", Country: "US", TimeZone: "UTC"}},
		lines:    []LineSettings{{ID: supportLine, Account: testAccount, Number: support, Name: "Support", Voicemail: true}},
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		u.users = append(u.users, people.User{
			ID: "US" + name, Account: testAccount, Name: name, Identity: name, Role: people.Agent,
		})
	}
	if change != nil {
		change(&u)
	}
	w.step(func() { w.f.configure(u) })
	w.step(func() {
		w.feed = w.f.subscribe(Viewer{Account: testAccount, User: "USalice", Name: "alice", Role: people.Admin}, func(*Feed) {})
	})
	return w
}

// Reachable implements Devices.
func (w *world) Reachable(account, identity string) bool {
	return account == w.account && w.devices[identity]
}

// after plans fn for d from now; what is planned for one time happens in order.
func (w *world) after(d time.Duration, fn func()) { w.agenda.add(w.now.Add(d), fn) }

func (w *world) step(fn func()) {
	w.f.step(w.now, fn)
	w.check()
	for w.feed != nil {
		select {
		case ch, ok := <-w.feed.Changes():
			if !ok {
				w.t.Fatal("the feed ended: ", w.feed.Reason())
			}
			w.log = append(w.log, ch.Event+": "+detail(ch))
			continue
		default:
		}
		break
	}
}

func detail(ch Change) string {
	switch d := ch.Data.(type) {
	case Agent:
		activity := "idle"
		if d.Activity != nil {
			activity = string(d.Activity.Kind)
		}
		return fmt.Sprintf("%s %s reachable=%v %s", d.Name, d.State, d.Device.Reachable, activity)
	case Line:
		return fmt.Sprintf("%d/%d waiting=%d", d.AgentsReachable, d.AgentsOnline, d.Waiting)
	case Offered:
		return d.From.Number + d.From.Identity
	case Missed:
		return string(d.Why)
	case Call:
		return string(d.Status)
	case HeldChange:
		return fmt.Sprint(d.On)
	}
	return ""
}

// run lets d pass.
func (w *world) run(d time.Duration) {
	until := w.now.Add(d)
	for {
		mine, ok := w.agenda.next()
		theirs, floors := w.f.agenda.next()
		switch {
		case ok && !mine.After(until) && (!floors || !theirs.Before(mine)):
			w.now = latest(w.now, mine)
			w.agenda.due(w.now).do()
		case floors && !theirs.After(until):
			w.now = latest(w.now, theirs)
			w.step(nil)
		default:
			w.now = until
			return
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// register lets a device of the agent appear.
func (w *world) register(names ...string) {
	for _, name := range names {
		w.devices[name] = true
		w.registration(name, event.Registered)
	}
}

// vanish lets the agent's device disappear.
func (w *world) vanish(name string) {
	w.devices[name] = false
	w.registration(name, event.Lost)
}

func (w *world) registration(name string, o event.RegistrationOutcome) {
	w.step(func() {
		w.f.registration(event.Registration{
			At: w.now, Account: w.account, Identity: name, Outcome: o, Device: event.Device{Connection: "of " + name},
		})
	})
}

func (w *world) setState(name string, s State) {
	b := w.f.branches[w.account]
	w.step(func() { w.f.setState(b, b.agents["US"+name], s) })
}

func (w *world) agent(name string) Agent { return w.f.branches[w.account].agents["US"+name].view() }

// phone says what happens when the identity or number is dialled; nothing means
// that it rings until somebody gives up.
func (w *world) phone(name string, behave func(*party)) { w.phones[name] = behave }

// callIn lets a customer call the number.
func (w *world) callIn(number string) *simCall {
	id := call.NewLegID()
	return w.begin(call.Offer{
		Call: call.ID(id), Leg: id, Account: w.account, From: call.Phone(customer), To: call.Phone(number),
		Trunk: "simulated", Codecs: []call.Codec{call.PCMU}, At: w.now,
	})
}

// dial lets the agent's device call.
func (w *world) dial(name string, params ...string) *simCall {
	id := call.NewLegID()
	o := call.Offer{
		Call: call.ID(id), Leg: id, Account: w.account, From: call.Client(name), Codecs: []call.Codec{call.PCMU},
		Params: map[string][]string{}, At: w.now,
	}
	for i := 0; i < len(params); i += 2 {
		o.Params.Set(params[i], params[i+1])
	}
	if to, ok := strings.CutPrefix(o.Params.Get("To"), "client:"); ok {
		o.To = call.Client(to)
	} else {
		o.To = call.Phone(o.Params.Get("To"))
	}
	return w.begin(o)
}

func (w *world) begin(o call.Offer) *simCall {
	c := &simCall{w: w, id: o.Call, caller: o.Leg, timers: map[call.Timer]*alarm{}, heard: map[call.LegID][]string{}}
	w.calls = append(w.calls, c)
	c.apply(call.Begin{Offer: o})
	w.step(func() { w.f.begin(o, c) })
	return c
}

// simCall is a call of the simulated switchboard.
type simCall struct {
	w      *world
	id     call.ID
	caller call.LegID
	state  call.State
	timers map[call.Timer]*alarm
	heard  map[call.LegID][]string // prompts by leg
	dialed []*party
	rec    time.Time // when the recording began
	silent bool      // the caller says nothing
	record *call.CallRecord
	last   time.Time // nothing overtakes what was said before
}

// party is a dialled leg's far end.
type party struct {
	c    *simCall
	leg  call.LegID
	dial call.Dial
	at   time.Time
}

func (p *party) report(r call.Report) { p.c.apply(call.Reported{Leg: p.leg, Report: r}) }
func (p *party) ring()                { p.report(call.Progress{}) }
func (p *party) answer()              { p.report(call.Up{Codec: call.PCMU}) }
func (p *party) end(cause call.EndCause) {
	p.report(call.Down{Cause: cause})
}

// after lets d pass first.
func (p *party) after(d time.Duration, fn func()) { p.c.w.after(d, fn) }

// Do implements call.Control.
func (c *simCall) Do(in ...call.Instruction) bool {
	if c.state.Over {
		return false
	}
	for _, i := range in {
		c.later(func() { c.apply(call.Instructed{Instruction: i}) })
	}
	return true
}

// later hands something over between call and floor, in order.
func (c *simCall) later(fn func()) {
	at := c.w.now
	if c.w.lag != nil {
		at = at.Add(c.w.lag())
	}
	c.last = latest(c.last, at)
	c.w.agenda.add(c.last, fn)
}

func (c *simCall) hangUp() {
	cause := call.Completed
	if c.state.Answered.IsZero() {
		cause = call.Cancelled
	}
	c.apply(call.Reported{Leg: c.caller, Report: call.Down{Cause: cause}})
}

func (c *simCall) press(digit byte) {
	c.apply(call.Reported{Leg: c.caller, Report: call.Dialled{Digit: digit}})
}

func (c *simCall) apply(in call.Input) {
	state, actions := call.Decide(c.state, in, c.w.now)
	c.state = state
	for _, a := range actions {
		c.perform(a)
	}
}

func (c *simCall) perform(a call.Action) {
	w := c.w
	switch a := a.(type) {
	case call.LegAnswer:
		w.after(10*time.Millisecond, func() {
			c.apply(call.Reported{Leg: a.Leg, Report: call.Up{Codec: call.PCMU}})
		})
	case call.LegEnd:
		w.after(10*time.Millisecond, func() {
			c.apply(call.Reported{Leg: a.Leg, Report: call.Down{Cause: a.Cause}})
		})
	case call.LegDial:
		c.dialled(a.Dial)
	case call.PlayPrompt:
		if strings.HasPrefix(a.Prompt, "tone:") && a.Prompt != PromptBeep {
			return // the platform's own
		}
		c.heard[a.Leg] = append(c.heard[a.Leg], a.Prompt)
		if !a.Loop {
			w.after(5*time.Second, func() { c.apply(call.Played{Leg: a.Leg, ID: a.ID}) })
		}
	case call.StartRecording:
		c.rec = w.now
		w.after(a.Max, func() { c.recorded(a.Leg, a.ID) })
	case call.StopRecording:
		for _, l := range c.state.Legs {
			if l.ID == a.Leg && l.Recording != "" {
				id := l.Recording
				w.after(0, func() { c.recorded(a.Leg, id) })
			}
		}
	case call.Notify:
		c.later(func() { w.step(func() { w.f.event(c.id, a.Event) }) })
	case call.StartTimer:
		w.agenda.cancel(c.timers[a.Timer])
		c.timers[a.Timer] = w.agenda.add(w.now.Add(a.After), func() { c.apply(call.TimeUp{Timer: a.Timer}) })
	case call.StopTimer:
		w.agenda.cancel(c.timers[a.Timer])
	case call.Finish:
		c.record = &a.Record
		c.later(func() { w.step(func() { w.f.event(c.id, call.Ended(a)) }) })
	}
}

func (c *simCall) recorded(leg call.LegID, id string) {
	length := c.w.now.Sub(c.rec)
	if c.silent {
		length = 0
	}
	c.apply(call.Recorded{Leg: leg, ID: id, Duration: length})
}

func (c *simCall) dialled(d call.Dial) {
	w := c.w
	p := &party{c: c, leg: d.Leg, dial: d, at: w.now}
	c.dialed = append(c.dialed, p)
	if d.To.IsDevice() && !w.devices[d.To.Identity] {
		c.apply(call.DialFailed{Leg: d.Leg, Cause: call.Unreachable})
		return
	}
	if !w.deaf {
		w.after(d.Timeout, func() { p.end(call.NoAnswer) })
	}
	behave := w.phones[d.To.Identity+d.To.Number]
	if behave == nil {
		behave = (*party).ring
	}
	w.after(20*time.Millisecond, func() { behave(p) })
}

// whoRang returns the identities that were dialled, in order.
func (c *simCall) whoRang() []string {
	var names []string
	for _, p := range c.dialed {
		names = append(names, p.dial.To.Identity)
	}
	return names
}

// ended returns what was kept of the call.
func (c *simCall) ended() Call {
	c.w.t.Helper()
	var found []Call
	for _, e := range c.w.kept {
		if e.Kind == entryCall && e.Call.ID == c.id {
			found = append(found, *e.Call)
		}
	}
	if len(found) != 1 {
		c.w.t.Fatalf("%d records of the call, want one", len(found))
	}
	return found[0]
}

func (w *world) missed(name string) []Why {
	var why []Why
	for _, e := range w.kept {
		if e.Kind == entryMissed && e.Agent == "US"+name {
			why = append(why, e.Missed.Why)
		}
	}
	return why
}

func (w *world) messages() []Voicemail {
	var all []Voicemail
	for _, e := range w.kept {
		if e.Kind == entryVoicemail {
			all = append(all, *e.Voicemail)
		}
	}
	return all
}

// check fails the test when the floor breaks a promise.
func (w *world) check() {
	w.t.Helper()
	f := w.f
	ringing := map[*agent]*liveCall{}
	for id, c := range f.calls {
		if c.branch == nil {
			continue
		}
		b := c.branch
		in := 0
		for _, s := range b.searching {
			if s == c {
				in++
			}
		}
		waits := c.inbound() && (c.stage == searching || c.stage == offering || c.stage == connecting)
		if want := map[bool]int{true: 1}[waits]; in != want {
			w.t.Fatalf("call %s in stage %d stands %d times among those who wait", id, c.stage, in)
		}
		timer := c.timer != nil && c.timer.index >= 0
		switch c.stage {
		case searching:
			var waiting []prospect
			if c.branch != nil {
				waiting = b.prospects()
			}
			switch {
			case !c.inbound():
				w.t.Fatalf("device's call %s searches", id)
			case c.expired:
				w.t.Fatalf("call %s waits although its time is over", id)
			case c.limit == nil || c.limit.index < 0:
				w.t.Fatalf("call %s waits without a limit", id)
			case c.answered && !c.music:
				w.t.Fatalf("call %s waits in silence", id)
			case c.answering && !c.answered && !timer:
				w.t.Fatalf("call %s is answered without an end", id)
			case !c.answering && !c.answered && outlookOf(c.waiter(), waiting, w.now) != returning:
				w.t.Fatalf("call %s rings with nobody to come", id)
			}
		case offering, connecting, leaving, closing:
			if !timer {
				w.t.Fatalf("call %s in stage %d has no end", id, c.stage)
			}
			if c.stage == offering && c.inbound() && c.answered && !c.ringback && !c.music {
				w.t.Fatalf("call %s is offered and hears nothing", id)
			}
		case talking, over:
		}
		if c.inbound() && c.stage == offering {
			if other := ringing[c.agent]; other != nil {
				w.t.Fatalf("%s is offered two calls", c.agent.user.Name)
			}
			ringing[c.agent] = c
		}
		if c.agent != nil && !slices.ContainsFunc(c.agent.engaged, func(e *engagement) bool { return e.call == c }) {
			w.t.Fatalf("%s is in call %s and does not know", c.agent.user.Name, id)
		}
	}
	for _, b := range f.branches {
		var waiting []waiter
		for _, c := range b.searching {
			if c.ready() {
				waiting = append(waiting, c.waiter())
			}
		}
		if m := offerNext(waiting, b.prospects()); len(m) > 0 {
			w.t.Fatalf("a caller waits although %s is free", m[0].agent)
		}
		for _, a := range b.agents {
			for _, e := range a.engaged {
				if f.calls[e.call.offer.Call] != e.call || e.call.agent != a && e.call.caller != a {
					w.t.Fatalf("%s is stuck in a call that is over", a.user.Name)
				}
			}
			if a.wrapUp != nil && (a.wrapEnd == nil || a.wrapEnd.index < 0) {
				w.t.Fatalf("%s wraps up for ever", a.user.Name)
			}
		}
	}
}

// checkEmpty fails the test unless every call has left no trace but its record.
func (w *world) checkEmpty() {
	w.t.Helper()
	f := w.f
	if len(f.calls) != 0 || len(f.legs) != 0 {
		w.t.Fatalf("left behind: %d calls, %d legs", len(f.calls), len(f.legs))
	}
	for _, b := range f.branches {
		if len(b.searching) != 0 {
			w.t.Fatalf("%d callers left behind", len(b.searching))
		}
		for _, a := range b.agents {
			if a.busy() {
				w.t.Fatalf("%s is left busy", a.user.Name)
			}
		}
	}
	for _, c := range w.calls {
		if c.record == nil {
			w.t.Fatalf("call %s has not ended", c.id)
		}
		c.ended()
	}
}
