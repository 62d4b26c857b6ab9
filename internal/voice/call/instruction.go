package call

import (
	"net/url"
	"time"
)

// Instruction is what a Director wants done with a call. An instruction about a
// leg that has ended is ignored: its LegEnded is already on the way.
type Instruction interface{ instruction() }

// Ring lets the offering party hear that it rings: 180 or, with Early, a
// ringback tone as early media (183, or ringing with SDP).
type Ring struct{ Early bool }

// Answer answers the offered leg.
type Answer struct{}

// Dial adds a leg by calling To. The Director chooses the leg's id with NewLegID.
type Dial struct {
	Leg      LegID
	To       Address
	From     Address       // shown to the called party
	Account  string        // filled by the switchboard from the offer
	Codecs   []Codec       // filled by Decide: what the leg it will be bridged to speaks; nil: the dialled side's own order
	Params   url.Values    // custom parameters shown to a device
	Timeout  time.Duration // ring at most so long; 0: 60 s
	Ringback bool          // let the offered leg hear this leg's ringing (and early media), and answer when this leg answers, then bridge both
}

// Bridge connects two answered legs with each other, ending what each heard before.
type Bridge struct{ A, B LegID }

// Hold parts the bridged legs: Leg's other party hears music until Resume.
// Leg is the party who pressed hold.
type Hold struct{ Leg LegID }

// Resume bridges the legs again that Hold parted.
type Resume struct{ Leg LegID }

// Play lets a leg hear a prompt (see Prompts in voice/switchboard); PlayEnded
// follows unless Loop. A second Play on a leg replaces the first.
type Play struct {
	Leg    LegID
	ID     string // chosen by the Director, returned in PlayEnded
	Prompt string
	Loop   bool
}

// StopPlay ends what a leg hears; no PlayEnded follows.
type StopPlay struct{ Leg LegID }

// Record writes what a leg says into a new recording until StopRecord, Max, or
// the leg's end; RecordEnded follows.
type Record struct {
	Leg LegID
	ID  string // chosen by the Director, unique within the account, safe in a file name
	Max time.Duration
}

// StopRecord ends the leg's recording.
type StopRecord struct{ Leg LegID }

// SendDigits sends DTMF (0-9*#A-D) to a leg by RFC 4733.
type SendDigits struct {
	Leg    LegID
	Digits string
}

// HangUp ends one leg.
type HangUp struct {
	Leg   LegID
	Cause EndCause
}

// End ends the whole call.
type End struct{ Cause EndCause }

// Label puts a word of the Director's into the call's record, e.g. "line" or "agent".
type Label struct{ Key, Value string }

func (Ring) instruction()       {}
func (Answer) instruction()     {}
func (Dial) instruction()       {}
func (Bridge) instruction()     {}
func (Hold) instruction()       {}
func (Resume) instruction()     {}
func (Play) instruction()       {}
func (StopPlay) instruction()   {}
func (Record) instruction()     {}
func (StopRecord) instruction() {}
func (SendDigits) instruction() {}
func (HangUp) instruction()     {}
func (End) instruction()        {}
func (Label) instruction()      {}
