// Package event holds what happened, as plain values: a registration and its
// verdict, a call's end, a sample of a call's quality. Wings publish them and
// whoever needs them subscribes; nobody waits for a subscriber.
//
// The values hold no behaviour and import nothing of Dialtone, so that a wing
// can read another's events without knowing the wing.
package event

import "time"

// Event is any of the types of this package.
type Event interface{ event() }

// Registration is one device's attempt to be let in or to become reachable,
// or its loss of reach.
type Registration struct {
	At       time.Time
	Account  string // AC + 32 hex; empty when the token did not say
	Identity string // the device's name within the account; empty when unknown
	Outcome  RegistrationOutcome
	Reason   string // closed vocabulary of voice/token for refusals; "" otherwise
	Code     int    // SDK error code sent, 0 when none
	App      string // AP… that the token may call by; "" when it has none
	Device   Device
	Token    TokenFeatures
}

// WayChanged is a device that was refused by one way in and let in by another
// soon after, without a person doing anything.
type WayChanged struct {
	At       time.Time
	Account  string
	Identity string
	Failed   string // kind of the token that was refused, or that could not be had
	Reason   string // why; closed vocabulary of voice/token, or "not_issued"
	Code     int    // SDK error code sent, 0 when none
	Saved    string // kind of the token that let it in
	After    time.Duration
	Device   Device
	Token    TokenFeatures // of the one that failed
}

// RegistrationOutcome says what came of it.
type RegistrationOutcome string

// The outcomes. Connected means that the token was accepted; only Registered
// devices can be called.
const (
	Connected    RegistrationOutcome = "connected"
	Registered   RegistrationOutcome = "registered"
	Unregistered RegistrationOutcome = "unregistered" // this connection, on request or gone while the identity has others
	Refused      RegistrationOutcome = "refused"
	Lost         RegistrationOutcome = "lost" // the last connection of this device is gone
)

// Device says what the client told about itself.
type Device struct {
	Connection string // our id of the signalling connection
	SDK        string // "2.18.5", "1.15.1", "" when unknown
	Protocol   string // "1.6", "1.5"
	Browser    string // user agent, at most 300 bytes
	Remote     string // address without port
	Origin     string // scheme and host of the page it runs in, "" when it is no page
}

// TokenFeatures describe a token without revealing it (the outage was a cohort
// of these: see docs/architecture.md).
type TokenFeatures struct {
	Kind      string // access, capability, ticket, unknown
	KeyID     string // SK…, an issuer's trusted kid, AT…; AC… of a capability token that none of the account's keys is known for
	Algorithm string // a known one, "none", "other"; "" when unreadable
	Size      int    // bytes

	// Whether a segment holds '-' or '_', and which.
	HeaderURLSafe       bool
	PayloadURLSafe      bool
	SignatureURLSafe    bool
	PayloadDash         bool
	PayloadUnderscore   bool
	SignatureDash       bool
	SignatureUnderscore bool

	// Decoded lengths in bytes modulo 3.
	HeaderMod3       int
	PayloadMod3      int
	SignatureMod3    int
	IdentityMod3     int
	IdentityNonASCII bool
}

// CallEnded is the end of a call, after its record was written.
type CallEnded struct {
	At        time.Time
	Account   string
	Call      string
	Direction string // inbound, outbound, internal
	Cause     string // voice/call.EndCause
	Trunk     string
	Duration  time.Duration // since the offer
	Talked    time.Duration // bridged time
}

// TrunkAnswer is a carrier's final answer to one attempt, or the lack of one.
type TrunkAnswer struct {
	At     time.Time
	Trunk  string
	Call   string
	Status int           // SIP status; 0 on time-out or transport failure
	After  time.Duration // since the INVITE
	Next   bool          // another trunk was tried because of it
}

// DeviceReport is one post to the event gateway, as the SDK made it.
type DeviceReport struct {
	At       time.Time
	Account  string
	Identity string
	Call     string // CA sid, or the temporary sid before the server gave one
	Group    string // "connection", "network-quality-warning-raised", …
	Name     string
	Level    string
	SDK      string
	Payload  []byte // JSON, bounded by the gateway's read limit
}

// QualitySample is one second of a call as a device measured it.
type QualitySample struct {
	At          time.Time
	Account     string
	Identity    string
	Call        string
	SDK         string
	Codec       string
	JitterMS    float64
	RTTMS       float64
	LossPercent float64 // of the packets of the sample
	MOS         float64 // 0 when the device gave none
	LevelIn     int     // audio level of the microphone as the SDK scales it, 0–32767
	LevelOut    int
}

// LegQuality is how a leg's audio fared, as this node counted it: one about every
// ten seconds of a live leg with audio, of what passed since the one before, and
// one at its end.
type LegQuality struct {
	At      time.Time
	Account string
	Call    string
	Leg     string
	Kind    LegKind
	Trunk   string // "" for a device
	Codec   string
	Last    bool          // the leg has ended
	RTT     time.Duration // 0: not measured
	In      WayQuality    // from the party to us
	Out     WayQuality    // from us to the party, as its RTCP says; zero when it says nothing
}

// LegKind says what a leg leads to.
type LegKind string

// The kinds of legs.
const (
	DeviceLeg  LegKind = "device"
	CarrierLeg LegKind = "carrier"
)

// WayQuality is one direction of a LegQuality.
type WayQuality struct {
	Packets uint64 // that came
	Lost    uint64
	Bursts  uint64 // runs that the lost ones came in; 0 where the far end counted
	Jitter  time.Duration
	MOS     float64 // 1 to 4.5 by the E-model; 0: too few packets to tell
}

func (Registration) event()  {}
func (WayChanged) event()    {}
func (CallEnded) event()     {}
func (TrunkAnswer) event()   {}
func (DeviceReport) event()  {}
func (QualitySample) event() {}
func (LegQuality) event()    {}

// Sink takes events. Publish must not block; it may drop and count.
type Sink interface{ Publish(Event) }

// SinkFunc makes a function a Sink.
type SinkFunc func(Event)

// Publish calls f.
func (f SinkFunc) Publish(e Event) { f(e) }

// Discard is a Sink that forgets everything; for tests and tools.
var Discard Sink = SinkFunc(func(Event) {})
