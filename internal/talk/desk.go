package talk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/call"
)

// Devices says whether anybody would hear a call to a device. It must answer
// from memory.
type Devices interface {
	Reachable(account, identity string) bool
}

// Recordings is where the audio of recordings is kept, by the ids that the
// Desk chose in its call.Record instructions.
type Recordings interface {
	// Delete removes the audio; deleting what is not there is no error.
	Delete(id string) error
}

// Options is what a Desk is made of.
type Options struct {
	Store      Store
	Devices    Devices
	Recordings Recordings            // nil: audio is not deleted
	Events     *event.Subscription   // registrations of devices; nil: only Devices is asked
	Log        *slog.Logger          // nil: discard
	Metrics    prometheus.Registerer // nil: none
	Health     *health.Board         // nil: a board of its own
	SpoolDir   string                // where records wait while the store is away; "": in memory only
}

// Desk is the call centre of a node: the Director of all calls of its accounts.
type Desk struct {
	o     Options
	inbox *inbox
	floor *floor // Run's goroutine alone touches it
	clerk *clerk
	gone  chan struct{} // closed when Run has returned

	unheardMu sync.Mutex // keeps counts of unheard messages in the order they were read
}

// warningsEvery is how often a change of the node's warnings is looked for.
const warningsEvery = time.Second

// New returns a Desk with the accounts, users and lines that the store holds.
func New(ctx context.Context, o Options) (*Desk, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Health == nil {
		o.Health = health.NewBoard()
	}
	m, err := newMeters(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	s, err := openSpool(o.SpoolDir, o.Log)
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	d := &Desk{o: o, inbox: newInbox(), gone: make(chan struct{})}
	d.clerk = newClerk(o, s, m, func(e entry) { d.inbox.post(func() { d.floor.kept(e) }) })
	d.floor = newFloor(o.Devices, d.clerk.keep, d.warnings, o.Log, m)
	setup, err := load(ctx, o.Store)
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	history, err := loadHistory(ctx, o.Store, setup)
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	d.floor.now = now()
	d.floor.configure(setup)
	d.floor.remember(history)
	for _, e := range unknownTo(ctx, o.Store, s.waiting) {
		d.floor.kept(e)
	}
	return d, nil
}

// Run serves until ctx is done, then ends all feeds and writes what waits.
// Calls should have ended before: what scripts post later is lost.
func (d *Desk) Run(ctx context.Context) error {
	stopClerk, clerkDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(clerkDone)
		d.clerk.run(stopClerk)
	}()

	d.serve(ctx)

	for _, work := range d.inbox.close() {
		d.floor.step(now(), work)
	}
	for feed := range d.floor.feeds {
		d.floor.unsubscribe(feed, ByeShutdown)
	}
	close(stopClerk)
	<-clerkDone
	close(d.gone)
	return nil
}

func (d *Desk) serve(ctx context.Context) {
	var events <-chan event.Event
	if d.o.Events != nil {
		events = d.o.Events.Events()
	}
	f := d.floor
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	warnings := time.NewTicker(warningsEvery)
	defer warnings.Stop()
	verify := time.NewTicker(verifyEvery)
	defer verify.Stop()
	shown := f.warnings()
	f.step(now(), f.verifyAll)
	for {
		if at, ok := f.agenda.next(); ok {
			alarm.Reset(time.Until(at))
		} else {
			alarm.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-d.inbox.wake:
			for _, work := range d.inbox.take() {
				f.step(now(), work)
			}
		case e := <-events:
			if r, ok := e.(event.Registration); ok {
				f.step(now(), func() { f.registration(r) })
			}
		case <-alarm.C:
			f.step(now(), nil)
		case <-verify.C:
			f.step(now(), f.verifyAll)
		case <-warnings.C:
			if standing := f.warnings(); !slices.Equal(shown, standing) {
				shown = standing
				f.publish("", Change{ChangeWarnings, standing}, nil)
			}
		}
	}
}

// now is the time as the APIs give it.
func now() time.Time { return time.Now().UTC() }

// warnings returns what is wrong with the node.
func (d *Desk) warnings() []health.Warning {
	all := d.o.Health.Warnings()
	for i := range all {
		all[i].Since = all[i].Since.UTC()
	}
	return all
}

// Begin takes a new call; it implements the switchboard's Director. It returns
// at once, whatever there is to do.
func (d *Desk) Begin(o call.Offer, c call.Control) call.Script {
	if !d.inbox.request(func() { d.floor.begin(o, c) }) {
		c.Do(call.End{Cause: call.Overload})
	}
	return script{desk: d, call: o.Call}
}

// script is one call's way into the desk.
type script struct {
	desk *Desk
	call call.ID
}

// Event implements call.Script.
func (s script) Event(e call.Event) {
	f := s.desk.floor
	post := s.desk.inbox.post
	if _, ok := e.(call.Digit); ok {
		post = s.desk.inbox.request // keys can be pressed without end
	}
	post(func() { f.event(s.call, e) })
}

// ask runs fn on the desk's goroutine and waits for it.
func (d *Desk) ask(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	if !d.inbox.request(func() { defer close(done); fn() }) {
		return fault.New(fault.Unavailable, "The call centre is stopping or overloaded. Try again in a moment.")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, ctx.Err(), "The call centre did not answer in time. Try again in a moment.")
	case <-d.gone:
		select {
		case <-done:
			return nil
		default:
			return fault.New(fault.Unavailable, "The call centre is stopping.")
		}
	}
}

// inBranch runs fn on the desk's goroutine with the account's branch.
func (d *Desk) inBranch(ctx context.Context, account string, fn func(*branch) error) error {
	var err error
	if asked := d.ask(ctx, func() {
		if b := d.floor.branches[account]; b != nil {
			err = fn(b)
		} else {
			err = fault.New(fault.NotFound, "There is no such account.")
		}
	}); asked != nil {
		return asked
	}
	return err
}

// Reload reads accounts, users and lines again; calls go on.
func (d *Desk) Reload(ctx context.Context) error {
	setup, err := load(ctx, d.o.Store)
	if err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	return d.ask(ctx, func() { d.floor.configure(setup) })
}

// Subscribe begins a feed for the viewer; its first change is a snapshot.
func (d *Desk) Subscribe(ctx context.Context, v Viewer) (*Feed, error) {
	var feed *Feed
	err := d.ask(ctx, func() {
		feed = d.floor.subscribe(v, func(feed *Feed) {
			d.inbox.post(func() { d.floor.unsubscribe(feed, ByeClosed) })
		})
	})
	if err != nil {
		// It may be taken later than we waited for.
		d.inbox.post(func() {
			if feed != nil {
				d.floor.unsubscribe(feed, ByeClosed)
			}
		})
		return nil, err
	}
	return feed, nil
}

// Agents returns the agents of the account, by name.
func (d *Desk) Agents(ctx context.Context, account string) (agents []Agent, err error) {
	err = d.inBranch(ctx, account, func(b *branch) error {
		agents = b.agentViews()
		return nil
	})
	return agents, err
}

// Agent returns one agent; fault.NotFound when the account has none with the id.
func (d *Desk) Agent(ctx context.Context, account, id string) (v Agent, err error) {
	err = d.inBranch(ctx, account, func(b *branch) error {
		a := b.agents[id]
		if a == nil {
			return fault.New(fault.NotFound, "There is no such agent.")
		}
		v = a.view()
		return nil
	})
	return v, err
}

// Lines returns the lines of the account, in the order they were added.
func (d *Desk) Lines(ctx context.Context, account string) (lines []Line, err error) {
	err = d.inBranch(ctx, account, func(b *branch) error {
		lines = b.lineViews()
		return nil
	})
	return lines, err
}

// SetState sets the agent's state; fault.Invalid for a state there is not.
func (d *Desk) SetState(ctx context.Context, account, id string, s State) (v Agent, err error) {
	if !s.Valid() {
		return Agent{}, fault.New(fault.Invalid, "The state is one of online, away, transfers_only and offline.")
	}
	err = d.inBranch(ctx, account, func(b *branch) error {
		a := b.agents[id]
		if a == nil {
			return fault.New(fault.NotFound, "There is no such agent.")
		}
		d.floor.setState(b, a, s)
		v = a.view()
		return nil
	})
	return v, err
}

// Hold lets the other party of the viewer's live call hear music (on), or takes
// them back. id is the viewer's leg or the call. fault.NotFound when the viewer
// has no such call, fault.Conflict when it is not connected yet.
func (d *Desk) Hold(ctx context.Context, v Viewer, id string, on bool) error {
	return d.inBranch(ctx, v.Account, func(*branch) error {
		c, leg := d.floor.findCall(v, id)
		switch {
		case c == nil || leg == "":
			return fault.New(fault.NotFound, "You are not in this call, or it has ended.")
		case c.stage != talking:
			return fault.New(fault.Conflict, "The call is not connected yet, so there is nobody to hold.")
		case on:
			c.do(call.Hold{Leg: leg})
		default:
			c.do(call.Resume{Leg: leg})
		}
		return nil
	})
}

// HangUp ends a live call, by a leg's id or the call's; a call that only rings
// at the viewer is declined. Who leads may end any call of the account.
func (d *Desk) HangUp(ctx context.Context, v Viewer, id string) error {
	return d.inBranch(ctx, v.Account, func(*branch) error {
		c, leg := d.floor.findCall(v, id)
		switch {
		case c == nil || leg == "" && !v.Role.Leads():
			return fault.New(fault.NotFound, "You are not in this call, or it has ended.")
		case leg != "" && leg == c.other && c.stage == offering:
			c.do(call.HangUp{Leg: leg, Cause: call.Declined})
		case c.stage == offering && !c.inbound():
			d.floor.end(c, call.Cancelled)
		default:
			d.floor.end(c, call.Completed)
		}
		return nil
	})
}

// findCall returns the live call with the leg or id, and the viewer's own leg in it.
func (f *floor) findCall(v Viewer, id string) (*liveCall, call.LegID) {
	c := f.legs[call.LegID(id)]
	if c == nil {
		c = f.calls[call.ID(id)]
	}
	if c == nil || c.branch == nil || c.branch.ID != v.Account || c.stage == over {
		return nil, ""
	}
	return c, c.legOf(v.User)
}
