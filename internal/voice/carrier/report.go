package carrier

import (
	"log/slog"
	"time"

	"dialtone/internal/voice/carrier/hear"
)

// State is where a call is.
type State string

// The states, in the order they come; Held goes back to Answered.
const (
	Calling  State = "calling"  // the INVITE is on its way
	Ringing  State = "ringing"  // a 180 or 183 was sent or came
	Answered State = "answered" // a 200 was
	Held     State = "held"     // answered, and one side sends no audio by agreement
	Ended    State = "ended"
)

// Side is who ended a call.
type Side string

// The sides. A call that never was answered is ended by whoever refused or gave
// it up.
const (
	NotEnded   Side = ""
	EndedHere  Side = "carrier"
	EndedThere Side = "node"
)

// Direction is which way a call went.
type Direction string

// The directions.
const (
	FromNode Direction = "from_node" // the node called one of the carrier's numbers
	ToNode   Direction = "to_node"   // the carrier called in
)

// Report is what the carrier knows of one call. What is heard is what the node
// sent.
type Report struct {
	CallID    string // of SIP
	Direction Direction
	Number    string // called
	From      string // caller
	State     State
	Status    int    // final SIP status of the INVITE; 0 while there is none
	Reason    string // its phrase
	EndedBy   Side
	Codec     string // PCMU or PCMA, "" before it is agreed
	Digits    string // keys heard by telephone events, at most 64
	Holds     int    // how many times the node put the call on hold

	Heard hear.Heard // level, frequency, gaps

	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64 // of whole RTP packets
	Lost, Late, Strange   uint64 // packets missing; out of order or twice; not RTP or not of an agreed type
	Sources               int    // RTP sources (SSRC) heard one after the other

	Started, Rang, Answered, Ended time.Time // zero: not yet
}

// phone is a number that a log shows without its middle.
type phone string

// LogValue implements slog.LogValuer.
func (p phone) LogValue() slog.Value {
	if len(p) <= 6 {
		return slog.StringValue("…")
	}
	return slog.StringValue(string(p[:2]) + "…" + string(p[len(p)-3:]))
}
