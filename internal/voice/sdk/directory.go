package sdk

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"dialtone/internal/voice/call"
)

// party is an identity within an account: whom a token names.
type party struct{ account, identity string }

// directory knows which connections and legs there are and whose they are. It
// calls nobody while it holds its lock.
type directory struct {
	mu      sync.Mutex
	devices map[*device]*entry
	parties map[party][]*device // let in, in the order of their connections
	legs    map[string]*leg     // by every id the client may use: CA…, TJS…
	owned   map[party]map[*leg]struct{}
	noLegs  chan struct{} // closed when the last leg is gone; nil when nobody waits
	reach   int           // registered connections
	ended   []ending      // what v1 devices have yet to learn, the oldest first
}

// ending is a call that ended while its v1 device was away. That device comes
// back without asking, so it must be told when it does.
type ending struct {
	who party
	id  string
	at  time.Time
}

// How long, and how many at most, endings are remembered.
const (
	endingAge = 5 * time.Minute
	endingMax = 1000
)

func (r *directory) remember(who party, id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ended) > 0 && (len(r.ended) >= endingMax || now.Sub(r.ended[0].at) > endingAge) {
		r.ended = r.ended[1:]
	}
	r.ended = append(r.ended, ending{who, id, now})
}

// untold returns the calls of the identity that ended while a device was away.
// They stay, as it is not known which of its devices had them; a page ignores
// the end of a call it does not have.
func (r *directory) untold(who party, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, e := range r.ended {
		if e.who == who && now.Sub(e.at) <= endingAge {
			ids = append(ids, e.id)
		}
	}
	return ids
}

// entry is what the directory keeps of a connection.
type entry struct {
	who        party
	in         bool // let in: who counts
	registered bool
	ringing    map[*leg]struct{} // dialled legs that ring there
	dialling   map[*leg]struct{} // offered legs not answered yet
}

func (r *directory) init() {
	r.devices = map[*device]*entry{}
	r.parties = map[party][]*device{}
	r.legs = map[string]*leg{}
	r.owned = map[party]map[*leg]struct{}{}
}

func (r *directory) add(d *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices[d] = &entry{}
}

// letIn says whose the connection is. It reports whether the connection was
// another identity's before, and whether that one lost its last device by it.
func (r *directory) letIn(d *device, who party) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil || e.in && e.who == who {
		return
	}
	if e.in {
		r.leaveLocked(d, e)
	}
	e.in, e.who = true, who
	r.parties[who] = append(r.parties[who], d)
}

// register makes the connection callable or not, and reports whether that is new.
func (r *directory) register(d *device, on bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil || !e.in || e.registered == on {
		return false
	}
	r.registerLocked(e, on)
	return true
}

func (r *directory) registerLocked(e *entry, on bool) {
	if e.registered == on {
		return
	}
	e.registered = on
	if on {
		r.reach++
	} else {
		r.reach--
	}
}

// departure says what a gone connection leaves behind.
type departure struct {
	in, registered bool   // what it was
	stillConnected bool   // another connection of the identity is there
	legs           []*leg // of the identity, to be told
}

func (r *directory) remove(d *device) departure {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil {
		return departure{}
	}
	gone := departure{in: e.in, registered: e.registered}
	r.leaveLocked(d, e)
	delete(r.devices, d)
	if e.in {
		gone.stillConnected = len(r.parties[e.who]) > 0
		for l := range r.owned[e.who] {
			gone.legs = append(gone.legs, l)
		}
	}
	return gone
}

func (r *directory) leaveLocked(d *device, e *entry) {
	r.registerLocked(e, false)
	if !e.in {
		return
	}
	rest := slices.DeleteFunc(r.parties[e.who], func(other *device) bool { return other == d })
	if len(rest) == 0 {
		delete(r.parties, e.who)
	} else {
		r.parties[e.who] = rest
	}
}

func (r *directory) all() []*device {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*device, 0, len(r.devices))
	for d := range r.devices {
		all = append(all, d)
	}
	return all
}

func (r *directory) connected(who party) []*device {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.parties[who])
}

func (r *directory) registered(who party) []*device {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*device
	for _, d := range r.parties[who] {
		if r.devices[d].registered {
			all = append(all, d)
		}
	}
	return all
}

func (r *directory) counts() (connections, registered, legs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range r.owned {
		legs += len(of)
	}
	return len(r.devices), r.reach, legs
}

// addLeg makes the leg known by its id and, if any, the client's temporary id.
// It refuses an id that is taken, and more than limit legs of one party.
func (r *directory) addLeg(l *leg, limit int) (taken, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.legs[string(l.id)] != nil || l.temporary != "" && r.legs[l.who.scoped(l.temporary)] != nil {
		return true, false
	}
	of := r.owned[l.who]
	if limit > 0 && len(of) >= limit {
		return false, true
	}
	if of == nil {
		of = map[*leg]struct{}{}
		r.owned[l.who] = of
	}
	of[l] = struct{}{}
	r.legs[string(l.id)] = l
	if l.temporary != "" {
		r.legs[l.who.scoped(l.temporary)] = l
	}
	return false, false
}

// scoped keeps the ids that clients choose apart by identity.
func (p party) scoped(id string) string {
	return strings.Join([]string{p.account, p.identity, id}, "\x00")
}

func (r *directory) removeLeg(l *leg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.legs, string(l.id))
	if l.temporary != "" {
		delete(r.legs, l.who.scoped(l.temporary))
	}
	if of := r.owned[l.who]; of != nil {
		delete(of, l)
		if len(of) == 0 {
			delete(r.owned, l.who)
		}
	}
	if len(r.owned) == 0 && r.noLegs != nil {
		close(r.noLegs)
		r.noLegs = nil
	}
}

// leg returns the party's leg of this id, nil if there is none. What belongs
// to others does not exist for it.
func (r *directory) leg(who party, id string) *leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.legs[id]; l != nil && l.who == who {
		return l
	}
	return r.legs[who.scoped(id)]
}

func (r *directory) legByID(id call.LegID) *leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.legs[string(id)]
}

func (r *directory) legsOf(who party) []*leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*leg, 0, len(r.owned[who]))
	for l := range r.owned[who] {
		all = append(all, l)
	}
	return all
}

func (r *directory) allLegs() []*leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*leg
	for _, of := range r.owned {
		for l := range of {
			all = append(all, l)
		}
	}
	return all
}

func (r *directory) legsGone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.owned) == 0
}

func (r *directory) waitLegs(ctx context.Context) {
	r.mu.Lock()
	if len(r.owned) == 0 {
		r.mu.Unlock()
		return
	}
	if r.noLegs == nil {
		r.noLegs = make(chan struct{})
	}
	gone := r.noLegs
	r.mu.Unlock()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// rings notes that a dialled leg rings at the device; it reports false when the
// device is gone.
func (r *directory) rings(d *device, l *leg) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil {
		return false
	}
	if e.ringing == nil {
		e.ringing = map[*leg]struct{}{}
	}
	e.ringing[l] = struct{}{}
	return true
}

// rungOut notes that a dialled leg no longer rings at the device. It returns
// the offered legs that may have waited for that, if no other rings there.
func (r *directory) rungOut(d *device, l *leg) (waiting []*leg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil {
		return nil
	}
	delete(e.ringing, l)
	if len(e.ringing) > 0 {
		return nil
	}
	e.ringing = nil
	for o := range e.dialling {
		waiting = append(waiting, o)
	}
	return waiting
}

// ringingAt returns the dialled legs that ring at the device.
func (r *directory) ringingAt(d *device) []*leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil {
		return nil
	}
	all := make([]*leg, 0, len(e.ringing))
	for l := range e.ringing {
		all = append(all, l)
	}
	return all
}

// dials notes that the device's own call is not answered yet (on), or is answered or over.
func (r *directory) dials(d *device, l *leg, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	if e == nil {
		return
	}
	if !on {
		delete(e.dialling, l)
		return
	}
	if e.dialling == nil {
		e.dialling = map[*leg]struct{}{}
	}
	e.dialling[l] = struct{}{}
}
