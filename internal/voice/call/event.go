package call

import "time"

// Event is what a Director is told about a call, in order.
type Event interface{ callEvent() }

// LegRinging: a dialled leg rings.
type LegRinging struct{ Leg LegID }

// LegAnswered: a leg, offered or dialled, is answered; it can be bridged, played to and recorded.
type LegAnswered struct{ Leg LegID }

// LegEnded: a leg is gone. The call goes on until End, or until its offered leg or last leg is gone.
type LegEnded struct {
	Leg   LegID
	Cause EndCause
}

// Bridged: two legs hear each other.
type Bridged struct{ A, B LegID }

// Held: a party put the other on hold (On), or took them back.
type Held struct {
	Leg LegID // who pressed hold
	On  bool
}

// Digit: a leg sent DTMF ('0'-'9', '*', '#', 'A'-'D').
type Digit struct {
	Leg   LegID
	Digit byte
}

// PlayEnded: a prompt was heard to its end.
type PlayEnded struct {
	Leg LegID
	ID  string
}

// RecordEnded: a recording is closed and whole. Duration is zero when nothing was heard.
type RecordEnded struct {
	Leg      LegID
	ID       string
	Duration time.Duration
	Err      string // "" when it was kept; what went wrong otherwise
}

// Reconnecting: a leg's signalling or media is away (On) or back.
type Reconnecting struct {
	Leg LegID
	On  bool
}

// Ended: the call is over and its record is written. Always the last event.
type Ended struct{ Record CallRecord }

func (LegRinging) callEvent()   {}
func (LegAnswered) callEvent()  {}
func (LegEnded) callEvent()     {}
func (Bridged) callEvent()      {}
func (Held) callEvent()         {}
func (Digit) callEvent()        {}
func (PlayEnded) callEvent()    {}
func (RecordEnded) callEvent()  {}
func (Reconnecting) callEvent() {}
func (Ended) callEvent()        {}

// Script is one call's part of a Director: it gets the call's events, on the
// call's own goroutine, and must not block.
type Script interface{ Event(Event) }

// Control is how a Director steers one call. Do posts instructions and never
// blocks; it returns false when the call is over. It may be called from any
// goroutine, also from within Script.Event.
type Control interface {
	Do(...Instruction) bool
}

// CallRecord is what is kept of a call.
type CallRecord struct {
	Call      ID                `json:"call"`
	Account   string            `json:"account"`
	Direction Direction         `json:"direction"`
	From      Address           `json:"from"`
	To        Address           `json:"to"`
	Trunk     string            `json:"trunk,omitempty"`
	Offered   time.Time         `json:"offered"`
	Answered  time.Time         `json:"answered,omitzero"` // the offered leg was answered
	Bridged   time.Time         `json:"bridged,omitzero"`  // two parties first heard each other
	Ended     time.Time         `json:"ended"`
	Talked    time.Duration     `json:"talked"` // bridged and not on hold
	Held      time.Duration     `json:"held"`
	Cause     EndCause          `json:"cause"`
	EndedBy   LegID             `json:"ended_by,omitempty"` // the leg whose end ended it, "" for the Director or the node
	Labels    map[string]string `json:"labels,omitempty"`
	Legs      []LegRecord       `json:"legs"`
}

// LegRecord is what is kept of one leg.
type LegRecord struct {
	Leg      LegID     `json:"leg"`
	Address  Address   `json:"address"` // the party
	Dialled  bool      `json:"dialled"` // we called it; false for the offered leg
	Trunk    string    `json:"trunk,omitempty"`
	Started  time.Time `json:"started"`
	Ringing  time.Time `json:"ringing,omitzero"`
	Answered time.Time `json:"answered,omitzero"`
	Ended    time.Time `json:"ended"`
	Cause    EndCause  `json:"cause"`
	Status   int       `json:"status,omitempty"` // SIP status or SDK error code behind the cause, when there was one
	Media    Media     `json:"media"`
}

// Media is what went through a leg, counted on our side unless it says otherwise.
type Media struct {
	Codec      Codec         `json:"codec,omitempty"`
	PacketsIn  uint64        `json:"packets_in"` // from the party
	PacketsOut uint64        `json:"packets_out"`
	Lost       uint64        `json:"lost"`        // gaps in the party's sequence numbers
	LongestGap time.Duration `json:"longest_gap"` // between two packets of the party
	SpeechIn   bool          `json:"speech_in"`   // energy above silence was heard from the party

	Bursts uint64        `json:"bursts"` // runs that the lost ones came in, at most
	Jitter time.Duration `json:"jitter"` // of the party's packets, at the leg's end
	MOS    float64       `json:"mos"`    // 1 to 4.5 by the E-model, of what came; 0: too little came

	// As the party's RTCP told; zero when it told nothing.
	FarLost   uint64        `json:"far_lost"` // of our packets
	FarJitter time.Duration `json:"far_jitter"`
	FarMOS    float64       `json:"far_mos"` // of what it heard; 0: not told
	RoundTrip time.Duration `json:"round_trip"`
}
