package talk

import (
	"cmp"
	"slices"
	"time"

	"dialtone/internal/voice/call"
)

// prospect is an agent as routing sees one.
type prospect struct {
	id        string
	state     State
	reachable bool
	lost      time.Time // since when not reachable; zero: never was
	busy      bool      // ringing, on a call or in wrap-up
	idle      time.Time // end of the last answered call; zero: none since signing in
	since     time.Time // when the state began
}

// waiter is a caller without an agent as routing sees one.
type waiter struct {
	call   call.ID
	serves func(agent string) bool // whether the agent takes the line's calls
	tried  map[string]bool         // agents who were offered the call already
}

// match is a decision to offer a call to an agent.
type match struct {
	call  call.ID
	agent string
}

// free reports whether the agent can be offered a call now.
func (p prospect) free() bool { return p.state == Online && p.reachable && !p.busy }

// offerNext says who is offered whom: callers in the order given, each to the
// longest-idle free agent of its line who was not offered that call before.
// Who has not talked since signing in comes first.
func offerNext(waiting []waiter, agents []prospect) []match {
	free := slices.DeleteFunc(slices.Clone(agents), func(p prospect) bool { return !p.free() })
	slices.SortStableFunc(free, func(a, b prospect) int {
		return cmp.Or(a.idle.Compare(b.idle), a.since.Compare(b.since), cmp.Compare(a.id, b.id))
	})
	var matches []match
	for _, w := range waiting {
		if len(free) == 0 {
			break
		}
		i := slices.IndexFunc(free, func(p prospect) bool { return w.serves(p.id) && !w.tried[p.id] })
		if i < 0 {
			continue
		}
		matches = append(matches, match{call: w.call, agent: free[i].id})
		free = slices.Delete(free, i, i+1)
	}
	return matches
}

// outlook says what a caller whom nobody can be offered to now may expect.
type outlook int

const (
	hopeless  outlook = iota // nobody will come: voicemail
	returning                // somebody lost their device a moment ago and may be back at once
	hopeful                  // somebody is busy or away
)

// Grace is how long an agent whose last device was lost still counts as
// somebody a caller may wait for. After it the line's rule takes over.
const Grace = 5 * time.Second

// outlookOf returns the caller's outlook at now.
func outlookOf(w waiter, agents []prospect, now time.Time) outlook {
	best := hopeless
	for _, p := range agents {
		if p.state != Online && p.state != Away || !w.serves(p.id) || w.tried[p.id] {
			continue
		}
		switch {
		case p.reachable:
			return hopeful
		case !p.lost.IsZero() && now.Before(p.lost.Add(Grace)):
			best = returning
		}
	}
	return best
}

// refusal is how an offered agent came not to take a call.
type refusal struct {
	status LegStatus
	why    Why  // "": the agent gets no notice
	gone   bool // the agent's device should not be tried again before it registers anew
}

// refusalOf says what the end of an agent's leg before an answer means.
func refusalOf(cause call.EndCause) refusal {
	switch cause {
	case call.Declined, call.Completed:
		return refusal{status: LegAgentDeclined, why: WhyDeclined}
	case call.NoAnswer:
		return refusal{status: LegAgentMissed, why: WhyMissed}
	case call.Busy:
		return refusal{status: LegAgentBusy}
	case call.Unreachable, call.SignalLost, call.NotFound:
		return refusal{status: LegAgentUnreachable, why: WhyUnreachable, gone: true}
	case call.MediaFailed, call.MediaLost, call.NoCodec:
		return refusal{status: LegAgentUnreachable, why: WhyUnreachable}
	case call.Cancelled, call.Replaced:
		return refusal{status: LegCancelled}
	case call.Forbidden, call.CarrierError, call.CarrierDown, call.TimeLimit, call.Overload, call.Shutdown, call.Failed:
		return refusal{status: LegFailed}
	}
	return refusal{status: LegFailed}
}

// vanished reports whether a cause means that a party was lost rather than left.
func vanished(cause call.EndCause) bool {
	switch cause {
	case call.SignalLost, call.MediaLost, call.MediaFailed, call.Unreachable, call.Failed:
		return true
	default:
		return false
	}
}
