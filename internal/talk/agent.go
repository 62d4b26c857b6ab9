package talk

import (
	"time"

	"dialtone/internal/voice/call"
)

// State is what an agent wants to be used for.
type State string

// The states.
const (
	Online        State = "online"         // offered calls
	Away          State = "away"           // not offered; callers still wait for them
	TransfersOnly State = "transfers_only" // own calls and calls from agents only
	Offline       State = "offline"        // own calls only
)

// Valid reports whether s is one of the states.
func (s State) Valid() bool {
	switch s {
	case Online, Away, TransfersOnly, Offline:
		return true
	}
	return false
}

// Agent is a user as somebody who takes calls, right now.
type Agent struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Identity   string    `json:"identity"`
	State      State     `json:"state"`
	StateSince time.Time `json:"state_since,omitzero"`
	Device     Device    `json:"device"`
	Activity   *Activity `json:"activity"` // nil: idle
}

// Device says whether any device of an agent can be called, and since when it can or cannot.
type Device struct {
	Reachable bool      `json:"reachable"`
	Since     time.Time `json:"since,omitzero"` // zero: never seen since the node started
	Count     int       `json:"count"`          // registered devices
}

// ActivityKind is what an agent is busy with.
type ActivityKind string

// The kinds of activity.
const (
	Ringing ActivityKind = "ringing"
	OnCall  ActivityKind = "on_call"
	WrapUp  ActivityKind = "wrap_up"
)

// Activity is an agent's call, or the work after it.
type Activity struct {
	Kind      ActivityKind   `json:"kind"`
	Since     time.Time      `json:"since,omitzero"`
	Call      call.ID        `json:"call"`
	Leg       call.LegID     `json:"leg"` // the agent's own leg
	Direction call.Direction `json:"direction"`
	Peer      Party          `json:"peer"`
	Line      string         `json:"line"` // id; "" for a call between devices
}

// Party is who a call comes from or goes to. The zero Party is anonymous.
type Party struct {
	Number   string `json:"number,omitempty"` // E.164
	Name     string `json:"name,omitempty"`
	Identity string `json:"identity,omitempty"`
	Country  string `json:"country,omitempty"` // ISO 3166 alpha-2 of the number
}

// Line is a line as people see it, with what goes on there right now.
type Line struct {
	ID              string `json:"id"`
	Number          string `json:"number"`
	Name            string `json:"name"`
	AgentsOnline    int    `json:"agents_online"`    // of its agents, in state online
	AgentsReachable int    `json:"agents_reachable"` // of those, with a device that can be called
	Waiting         int    `json:"waiting"`          // callers without an agent, ringing included
}
