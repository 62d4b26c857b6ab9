package talk

import (
	"math"
	"time"

	"dialtone/internal/voice/call"
)

// Seconds is a duration as the APIs give it.
type Seconds float64

// SecondsOf returns d in seconds, to the millisecond.
func SecondsOf(d time.Duration) Seconds { return Seconds(d.Round(time.Millisecond).Seconds()) }

// Duration returns s as a duration, rounded to microseconds.
func (s Seconds) Duration() time.Duration {
	return time.Duration(float64(s) * float64(time.Second)).Round(time.Microsecond)
}

// Status is what came of a call, as people count it.
type Status string

// The statuses.
const (
	StatusCompleted   Status = "completed"    // two people talked
	StatusNotAnswered Status = "not_answered" // it rang and nobody took it
	StatusVoicemail   Status = "voicemail"    // the caller left a message
	StatusAbandoned   Status = "abandoned"    // the caller gave up
	StatusFailed      Status = "failed"       // it could not be set up
)

// LegStatus is what came of one leg.
type LegStatus string

// The statuses of legs.
const (
	LegCompleted        LegStatus = "completed"
	LegAgentMissed      LegStatus = "agent_missed"      // it rang and the agent did not act
	LegAgentDeclined    LegStatus = "agent_declined"    // the agent refused
	LegAgentUnreachable LegStatus = "agent_unreachable" // no device of the agent answered the offer
	LegAgentBusy        LegStatus = "agent_busy"        // the agent's device was in a call that we do not know; not a miss
	LegCancelled        LegStatus = "cancelled"         // we took it back: the caller gave up, pressed 1, or the agent dialled out
	LegAbandoned        LegStatus = "abandoned"         // the offering party left before a person answered
	LegNotAnswered      LegStatus = "not_answered"
	LegFailed           LegStatus = "failed"
)

// Call is a call that has ended.
type Call struct {
	ID         call.ID        `json:"id"`
	Account    string         `json:"-"`
	Direction  call.Direction `json:"direction"`
	From       Party          `json:"from"`
	To         Party          `json:"to"`
	Line       string         `json:"line"`  // id; "" for a call between devices or to no line
	Agent      string         `json:"agent"` // id of the agent who talked or dialled, "" when none
	Status     Status         `json:"status"`
	Cause      call.EndCause  `json:"cause"`
	Trunk      string         `json:"trunk,omitempty"` // carrier an inbound call came by
	OfferedAt  time.Time      `json:"offered_at,omitzero"`
	AnsweredAt time.Time      `json:"answered_at,omitzero"` // by a person, or by the voicemail where a message was left
	EndedAt    time.Time      `json:"ended_at,omitzero"`
	Waited     Seconds        `json:"waited"` // from the offer until a person answered or the search ended
	Talked     Seconds        `json:"talked"`
	Held       Seconds        `json:"held"`
	Voicemail  string         `json:"voicemail"` // id; "" when none was left
	Legs       []Leg          `json:"legs"`
}

// Leg is one party's connection within a call that has ended.
type Leg struct {
	Leg        call.LegID    `json:"leg"`
	Party      Party         `json:"party"`
	Agent      string        `json:"agent"` // id; "" for a leg that is no agent's
	Dialled    bool          `json:"dialled"`
	Trunk      string        `json:"trunk,omitempty"`
	StartedAt  time.Time     `json:"started_at,omitzero"`
	RingingAt  time.Time     `json:"ringing_at,omitzero"`
	AnsweredAt time.Time     `json:"answered_at,omitzero"`
	EndedAt    time.Time     `json:"ended_at,omitzero"`
	Status     LegStatus     `json:"status"`
	Cause      call.EndCause `json:"cause"`
	Code       int           `json:"code,omitempty"` // SIP status or SDK error code behind the cause
	Quality    Quality       `json:"quality"`
}

// Quality is what went through a leg, counted on our side.
type Quality struct {
	Codec      call.Codec `json:"codec"`
	PacketsIn  uint64     `json:"packets_in"`
	PacketsOut uint64     `json:"packets_out"`
	Lost       uint64     `json:"lost"`
	LongestGap Seconds    `json:"longest_gap"`
	Speech     bool       `json:"speech"` // energy above silence was heard from the party

	Bursts   uint64  `json:"bursts"`          // runs that the lost ones came in, at most
	JitterMS float64 `json:"jitter_ms"`       // at the leg's end
	MOS      float64 `json:"mos,omitzero"`    // of what came from the party, 1 to 4.5; 0: too little came
	RTTMS    float64 `json:"rtt_ms,omitzero"` // 0: not measured

	// As the party's own side told by RTCP; nothing when FarMOS is 0.
	FarLost     uint64  `json:"far_lost"` // of our packets
	FarJitterMS float64 `json:"far_jitter_ms"`
	FarMOS      float64 `json:"far_mos,omitzero"` // of what it heard
}

func qualityOf(m call.Media) Quality {
	return Quality{
		Codec: m.Codec, PacketsIn: m.PacketsIn, PacketsOut: m.PacketsOut, Lost: m.Lost,
		LongestGap: SecondsOf(m.LongestGap), Speech: m.SpeechIn,
		Bursts: m.Bursts, JitterMS: millis(m.Jitter), MOS: score(m.MOS), RTTMS: millis(m.RoundTrip),
		FarLost: m.FarLost, FarJitterMS: millis(m.FarJitter), FarMOS: score(m.FarMOS),
	}
}

// millis returns d in milliseconds, to a tenth.
func millis(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/100) / 10 }

func score(mos float64) float64 { return math.Round(mos*100) / 100 }

// Why says how an agent came to miss a call.
type Why string

// The reasons.
const (
	WhyMissed      Why = "missed"      // it rang, nobody acted, or the caller gave up meanwhile
	WhyDeclined    Why = "declined"    // the agent refused
	WhyUnreachable Why = "unreachable" // the agent's device did not answer the offer
)

// Missed is one agent's notice of a call they did not take.
type Missed struct {
	ID      string    `json:"id"` // MC + 32 hex
	Account string    `json:"-"`
	Agent   string    `json:"-"`
	Call    call.ID   `json:"call"`
	Line    string    `json:"line"`
	From    Party     `json:"from"`
	At      time.Time `json:"at,omitzero"`
	Why     Why       `json:"why"`
}

// Voicemail is the index entry of a message; its audio is the recording with
// the same id, which whoever keeps recordings holds.
type Voicemail struct {
	ID       string    `json:"id"` // RE + 32 hex
	Account  string    `json:"-"`
	Call     call.ID   `json:"call"`
	Line     string    `json:"line"`
	From     Party     `json:"from"`
	At       time.Time `json:"at,omitzero"` // when the message began
	Duration Seconds   `json:"duration"`
	Heard    bool      `json:"heard"`
	HeardBy  string    `json:"heard_by"` // name of the user who heard it last; "" while unheard
}

// CallPage is one page of the history, newest first.
type CallPage struct {
	Calls []Call `json:"calls"`
	Next  string `json:"next"` // cursor of the next page, "" on the last
}

// VoicemailPage is one page of messages, newest first.
type VoicemailPage struct {
	Voicemails []Voicemail `json:"voicemails"`
	Next       string      `json:"next"`
}
