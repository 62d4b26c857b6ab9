package talk

import (
	"time"

	"dialtone/internal/event"
)

// StateKept is how long an agent's own choice of state outlives the loss of
// their last device: who is back sooner finds it as it was, who registers later
// is online.
const StateKept = 2 * time.Minute

const (
	// suspicion is how long we believe a failed offer more than the registry.
	suspicion = 30 * time.Second
	// verifyAfter is when a reported loss is compared with the registry, which
	// may be told after us.
	verifyAfter = time.Second
	// verifyEvery bounds how long a lost event can mislead us.
	verifyEvery = 10 * time.Second
)

// registration takes what a device did.
func (f *floor) registration(r event.Registration) {
	b := f.branches[r.Account]
	if b == nil {
		return
	}
	a := b.byIdentity[r.Identity]
	if a == nil {
		return
	}
	switch r.Outcome {
	case event.Registered:
		a.connections[r.Device.Connection] = struct{}{}
		f.found(b, a)
	case event.Unregistered, event.Lost:
		delete(a.connections, r.Device.Connection)
		if len(a.connections) == 0 {
			f.lost(b, a)
		}
		f.agenda.add(f.now.Add(verifyAfter), func() { f.verify(b, a) })
		f.touch(b)
	case event.Connected, event.Refused:
	}
}

// found notes that a device of the agent can be called.
func (f *floor) found(b *branch, a *agent) {
	a.suspect = time.Time{}
	if !a.reachable {
		away := a.turned.IsZero() || f.now.Sub(a.turned) > StateKept
		if away {
			a.idle = time.Time{} // a fresh sign-in is offered the next call
		}
		if a.state != Online && (away || !a.chosen) {
			a.state, a.since, a.chosen = Online, f.now, false
		}
		a.reachable, a.turned = true, f.now
	}
	f.touch(b)
}

// lost notes that no device of the agent can be called.
func (f *floor) lost(b *branch, a *agent) {
	if a.reachable {
		a.reachable, a.turned = false, f.now
		f.agenda.add(f.now.Add(Grace), func() { f.touch(b) })
	}
	f.touch(b)
}

// doubt notes that an offer did not reach the agent's device, whatever the
// registry says.
func (f *floor) doubt(b *branch, a *agent) {
	a.suspect = f.now.Add(suspicion)
	f.lost(b, a)
}

// verify compares what we know of the agent with the registry.
func (f *floor) verify(b *branch, a *agent) {
	switch is := f.devices.Reachable(b.ID, a.user.Identity); {
	case !is && (a.reachable || len(a.connections) > 0):
		clear(a.connections)
		f.lost(b, a)
	case is && !a.reachable && !f.now.Before(a.suspect):
		if len(a.connections) == 0 {
			a.connections[""] = struct{}{} // registered when we did not listen
		}
		f.found(b, a)
	case is && len(a.connections) > 1:
		delete(a.connections, "") // by now it has told its name, or has gone
	}
}

// verifyAll compares everybody with the registry.
func (f *floor) verifyAll() {
	for _, b := range f.branches {
		for _, a := range b.agents {
			f.verify(b, a)
		}
	}
}

// setState is an agent's own choice.
func (f *floor) setState(b *branch, a *agent, s State) {
	a.chosen = true
	if a.state != s {
		a.state, a.since = s, f.now
		f.touch(b)
	}
}
