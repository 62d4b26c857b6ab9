package call

import (
	"maps"
	"slices"
	"time"
)

// State is everything that is known of one call. Decide never changes the State
// it is given; it returns a new one.
type State struct {
	Offer  Offer
	Legs   []LegState // the offered leg first, then the dialled ones in order
	Labels map[string]string

	Pair    Pair // who is bridged, or will be once both are answered
	HeldBy  LegID
	Ending  bool
	Cause   EndCause
	EndedBy LegID
	Over    bool // Finish was decided; no further input counts

	Answered, Bridged time.Time
	Talked, Held      time.Duration
	since             time.Time // Talked or Held counted up to here; zero when neither runs
}

// Pair names the two legs of a bridge; the zero Pair is none.
type Pair struct{ A, B LegID }

func (p Pair) none() bool         { return p.A == "" }
func (p Pair) has(leg LegID) bool { return leg != "" && (p.A == leg || p.B == leg) }
func (p Pair) other(leg LegID) LegID {
	if p.A == leg {
		return p.B
	}
	return p.A
}

// LegPhase is how far a leg has come.
type LegPhase int

// The phases, in order.
const (
	Pending LegPhase = iota // offered and not answered, or dialled and not ringing
	Alerting
	Answering // we answered the offered leg and wait for it to come up
	Talking   // answered
	Gone
)

// LegState is what is known of one leg.
type LegState struct {
	ID      LegID
	Address Address
	Dialled bool
	Dial    Dial // as instructed, when Dialled
	Phase   LegPhase
	Early   bool // its audio flows before the answer
	Codec   Codec
	Trunk   string

	Started, Ringing, Up, Ended time.Time

	Playing   string // id of the Play it hears
	Loop      bool
	Recording string // id of its Record, until the recording is closed
	HungUp    bool   // we asked it to end
	Cause     EndCause
	Status    int
	Media     Media
}

func (l *LegState) live() bool     { return l.Phase != Gone }
func (l *LegState) answered() bool { return l.Phase == Talking }

// clone copies what Decide may change.
func (s State) clone() State {
	s.Legs = slices.Clone(s.Legs)
	return s
}

func (s *State) leg(id LegID) *LegState {
	for i := range s.Legs {
		if s.Legs[i].ID == id {
			return &s.Legs[i]
		}
	}
	return nil
}

// liveLeg returns the leg unless it is unknown, gone or hung up.
func (s *State) liveLeg(id LegID) *LegState {
	if l := s.leg(id); l != nil && l.live() && !l.HungUp {
		return l
	}
	return nil
}

func (s *State) offered() *LegState { return &s.Legs[0] }

func (s *State) label(key, value string) {
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	s.Labels = labels
}

// direction says what kind of call it has been so far.
func (s *State) direction() Direction {
	if !s.Offer.Device() {
		return Inbound
	}
	for _, l := range s.Legs {
		if l.Dialled && !l.Address.IsDevice() {
			return Outbound
		}
	}
	if s.Offer.To.IsDevice() {
		return Internal
	}
	return Outbound
}

// count adds the time since the last count to what runs now.
func (s *State) count(now time.Time) {
	if s.since.IsZero() {
		return
	}
	d := now.Sub(s.since)
	if s.HeldBy != "" {
		s.Held += d
	} else {
		s.Talked += d
	}
	s.since = now
}

func (s *State) record(now time.Time) CallRecord {
	r := CallRecord{
		Call: s.Offer.Call, Account: s.Offer.Account, Direction: s.direction(), From: s.Offer.From, To: s.Offer.To,
		Trunk: s.Offer.Trunk, Offered: s.Offer.At, Answered: s.Answered, Bridged: s.Bridged, Ended: now,
		Talked: s.Talked, Held: s.Held, Cause: s.Cause, EndedBy: s.EndedBy, Labels: s.Labels,
	}
	for _, l := range s.Legs {
		if r.Trunk == "" {
			r.Trunk = l.Trunk
		}
		ended := l.Ended
		if ended.IsZero() { // it never reported its end; the call does not wait for ever
			ended = now
		}
		r.Legs = append(r.Legs, LegRecord{
			Leg: l.ID, Address: l.Address, Dialled: l.Dialled, Trunk: l.Trunk, Started: l.Started, Ringing: l.Ringing,
			Answered: l.Up, Ended: ended, Cause: l.Cause, Status: l.Status, Media: l.Media,
		})
	}
	return r
}
