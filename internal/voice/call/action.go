package call

import "time"

// Input is anything that can happen to a call.
type Input interface{ input() }

// The inputs.
type (
	// Begin is a call's first input.
	Begin struct{ Offer Offer }
	// Reported is what a leg tells; Media is filled for Down.
	Reported struct {
		Leg    LegID
		Report Report
		Media  Media
	}
	// Instructed is what the Director wants.
	Instructed struct{ Instruction Instruction }
	// DialFailed says that a Dial made no leg.
	DialFailed struct {
		Leg    LegID
		Cause  EndCause
		Status int
	}
	// Played says that a prompt was heard to its end, or could not be played at all.
	Played struct {
		Leg LegID
		ID  string
	}
	// Recorded says that a recording is closed.
	Recorded struct {
		Leg      LegID
		ID       string
		Duration time.Duration
		Err      string
	}
	// TimeUp says that a timer of StartTimer ran out.
	TimeUp struct{ Timer Timer }
	// Stop ends the call for the node's own reasons.
	Stop struct{ Cause EndCause }
)

func (Begin) input()      {}
func (Reported) input()   {}
func (Instructed) input() {}
func (DialFailed) input() {}
func (Played) input()     {}
func (Recorded) input()   {}
func (TimeUp) input()     {}
func (Stop) input()       {}

// Timer names a call's timer.
type Timer string

// The timers.
const (
	LimitTimer  Timer = "limit"  // the longest call we carry
	OrphanTimer Timer = "orphan" // nobody talks, listens or rings: the Director forgot the call
	LingerTimer Timer = "linger" // legs that do not report their end
)

// How long the timers run. The limit is the switchboard's to set.
const (
	OrphanAfter = 30 * time.Second
	LingerAfter = 40 * time.Second // longer than SIP's 32 s (64*T1) for a BYE nobody answers
)

// Action is something the switchboard must do.
type Action interface{ action() }

// The actions.
type (
	// LegRing, LegAnswer and LegEnd are asked of a leg.
	LegRing struct {
		Leg    LegID
		Early  bool
		Codecs []Codec
	}
	LegAnswer struct {
		Leg    LegID
		Codecs []Codec
	}
	LegEnd struct {
		Leg   LegID
		Cause EndCause
	}
	// LegDial makes a leg.
	LegDial struct{ Dial Dial }
	// Join and Part bridge two legs' audio and part it.
	Join struct{ A, B LegID }
	Part struct{ Leg LegID }
	// PlayPrompt, Silence: what a leg hears.
	PlayPrompt struct {
		Leg    LegID
		ID     string
		Prompt string
		Loop   bool
	}
	Silence struct{ Leg LegID }
	// StartRecording, StopRecording: what is kept of what a leg says.
	StartRecording struct {
		Leg LegID
		ID  string
		Max time.Duration
	}
	StopRecording struct{ Leg LegID }
	// PressKeys sends DTMF to a leg.
	PressKeys struct {
		Leg    LegID
		Digits string
	}
	// Notify tells the Director.
	Notify struct{ Event Event }
	// StartTimer starts a timer anew; StopTimer stops it.
	StartTimer struct {
		Timer Timer
		After time.Duration
	}
	StopTimer struct{ Timer Timer }
	// Finish writes the record and ends the actor. Always the last action.
	Finish struct{ Record CallRecord }
)

func (LegRing) action()        {}
func (LegAnswer) action()      {}
func (LegEnd) action()         {}
func (LegDial) action()        {}
func (Join) action()           {}
func (Part) action()           {}
func (PlayPrompt) action()     {}
func (Silence) action()        {}
func (StartRecording) action() {}
func (StopRecording) action()  {}
func (PressKeys) action()      {}
func (Notify) action()         {}
func (StartTimer) action()     {}
func (StopTimer) action()      {}
func (Finish) action()         {}
