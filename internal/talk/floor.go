package talk

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"dialtone/internal/health"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
)

// floor is the living state of the call centre. It has no lock and no
// goroutine: whoever owns it (a Desk) calls step for everything that happens,
// with a time that never goes back.
type floor struct {
	now      time.Time // of the step being taken
	devices  Devices
	keep     func(entry) // hands a record to the clerk; must not block
	warnings func() []health.Warning
	log      *slog.Logger
	meters   *meters

	branches map[string]*branch
	calls    map[call.ID]*liveCall
	legs     map[call.LegID]*liveCall
	feeds    map[*Feed]struct{}
	agenda   agenda
	dirty    map[*branch]struct{}
}

func newFloor(devices Devices, keep func(entry), warnings func() []health.Warning, log *slog.Logger, m *meters) *floor {
	return &floor{
		devices: devices, keep: keep, warnings: warnings, log: log, meters: m,
		branches: map[string]*branch{},
		calls:    map[call.ID]*liveCall{},
		legs:     map[call.LegID]*liveCall{},
		feeds:    map[*Feed]struct{}{},
		dirty:    map[*branch]struct{}{},
	}
}

// branch is one account's part of the floor.
type branch struct {
	Account
	lines      []*line // in the order they were added
	byNumber   map[string]*line
	agents     map[string]*agent
	byIdentity map[string]*agent
	searching  []*liveCall // callers without an agent, by arrival, ringing ones included
	contacts   *contacts
	unseen     map[string][]Missed // by agent, newest first
	unheard    map[string]int      // by line
}

// line is a line with what was last told about it.
type line struct {
	LineSettings
	team  map[string]bool // ids of the agents who take its calls
	shown Line
}

// agent is a user with their devices and calls.
type agent struct {
	user people.User

	state  State
	since  time.Time // of the state
	chosen bool      // set by the agent, not by a registration

	connections map[string]struct{} // registered devices
	reachable   bool
	turned      time.Time // when reachable last changed; zero: never
	suspect     time.Time // until then only a new registration makes them reachable

	engaged []*engagement // calls they are in, oldest first
	wrapUp  *engagement   // the call they work on after it
	wrapEnd *alarm
	idle    time.Time // end of the last answered call; zero: none since signing in

	shown *Agent
}

// engagement is an agent's part in a call.
type engagement struct {
	call      *liveCall
	leg       call.LegID
	kind      ActivityKind
	since     time.Time
	direction call.Direction
	peer      Party
	line      *line
	talked    bool // answered, by either side
}

// step takes one input and everything that follows from it.
func (f *floor) step(now time.Time, input func()) {
	f.now = now
	for al := f.agenda.due(now); al != nil; al = f.agenda.due(now) {
		al.do()
		f.settle()
	}
	if input != nil {
		input()
		f.settle()
	}
}

// settle routes and tells until nothing changes any more.
func (f *floor) settle() {
	for len(f.dirty) > 0 {
		todo := slices.Collect(maps.Keys(f.dirty))
		clear(f.dirty)
		for _, b := range todo {
			f.route(b)
			f.tell(b)
		}
	}
	f.meters.live(f)
}

// touch marks the branch as changed: settle looks at its callers and agents again.
func (f *floor) touch(b *branch) { f.dirty[b] = struct{}{} }

// serves reports whether the line's calls go to the agent.
func (b *branch) serves(l *line, id string) bool { return l != nil && l.team[id] }

// linesOf returns the ids of the lines whose records the viewer may see.
func (b *branch) linesOf(v Viewer) []string {
	ids := []string{}
	for _, l := range b.lines {
		if v.Role.Leads() || l.LineSettings.serves(v.User, v.Role) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func (a *agent) busy() bool { return len(a.engaged) > 0 || a.wrapUp != nil }

func (a *agent) prospect() prospect {
	p := prospect{
		id: a.user.ID, state: a.state, reachable: a.reachable, busy: a.busy(),
		idle: a.idle, since: a.since,
	}
	if !a.reachable {
		p.lost = a.turned
	}
	return p
}

// view returns the agent as others see them.
func (a *agent) view() Agent {
	v := Agent{
		ID: a.user.ID, Name: a.user.Name, Identity: a.user.Identity,
		State: a.state, StateSince: a.since,
		Device: Device{Reachable: a.reachable, Since: a.turned, Count: len(a.connections)},
	}
	e := a.wrapUp
	if n := len(a.engaged); n > 0 {
		e = a.engaged[n-1]
	}
	if e != nil {
		v.Activity = &Activity{
			Kind: e.kind, Since: e.since, Call: e.call.offer.Call, Leg: e.leg,
			Direction: e.direction, Peer: e.peer,
		}
		if e.line != nil {
			v.Activity.Line = e.line.ID
		}
	}
	return v
}

// view returns the line as others see it.
func (b *branch) view(l *line) Line {
	v := Line{ID: l.ID, Number: l.Number, Name: l.Name}
	for id, a := range b.agents {
		if a.state == Online && b.serves(l, id) {
			v.AgentsOnline++
			if a.reachable {
				v.AgentsReachable++
			}
		}
	}
	for _, c := range b.searching {
		if c.line == l {
			v.Waiting++
		}
	}
	return v
}

// party returns the party at an address, with the name we know them by.
func (b *branch) party(a call.Address) Party {
	p := partyOf(a)
	if known := b.byIdentity[a.Identity]; a.IsDevice() && known != nil {
		p.Name = known.user.Name
	}
	if l := b.byNumber[a.Number]; l != nil {
		p.Name = l.Name
	}
	return p
}
