// Package call says what a call is and what happens next: the vocabulary of
// the voice platform (offers, events, instructions, end causes) and the pure
// function Decide that turns a state and an input into a new state and a list
// of actions.
//
// Nothing here touches a clock, a socket or a goroutine; values may be shared
// freely once made. voice/switchboard performs what is decided here. Other
// wings may import this package as an application imports its provider's.
package call

import (
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"time"
)

// ID names a call: "CA" and 32 hex digits, the LegID of the leg that began it.
type ID string

// LegID names one party's connection within a call: "CA" and 32 hex digits, so
// that it can serve as the SDK's callsid.
type LegID string

// NewLegID returns a fresh, unguessable leg id.
func NewLegID() LegID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return LegID("CA" + hex.EncodeToString(b[:]))
}

// Address is somewhere a call comes from or goes to: a phone number or a device.
// Exactly one of Number and Identity is set; the zero Address is anonymous.
type Address struct {
	Number   string `json:"number,omitempty"`   // E.164 with '+', or a carrier's short code
	Identity string `json:"identity,omitempty"` // a device's name within the account
	Name     string `json:"name,omitempty"`     // what a caller calls themself; shown, never trusted
}

// Phone returns the address of a phone number.
func Phone(number string) Address { return Address{Number: number} }

// Client returns the address of a device.
func Client(identity string) Address { return Address{Identity: identity} }

// IsDevice reports whether the address is a device.
func (a Address) IsDevice() bool { return a.Identity != "" }

// String returns "client:NAME" for a device, the number otherwise, "anonymous" for neither.
func (a Address) String() string {
	switch {
	case a.Identity != "":
		return "client:" + a.Identity
	case a.Number != "":
		return a.Number
	}
	return "anonymous"
}

// Codec names an audio encoding by its RTP encoding name.
type Codec string

// The codecs a leg can negotiate.
const (
	PCMU Codec = "PCMU"
	PCMA Codec = "PCMA"
	Opus Codec = "opus"
)

// Direction of a call as seen from the account.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"  // a carrier offered it
	Outbound Direction = "outbound" // a device offered it to a phone number
	Internal Direction = "internal" // a device offered it to a device
)

// Offer is a new call as its first leg brings it. That leg is not answered yet.
type Offer struct {
	Call     ID
	Leg      LegID
	Account  string
	From     Address
	To       Address    // for a device's call: what its To parameter says; may be anonymous
	Trunk    string     // the carrier it came by; "" for a device's call
	Codecs   []Codec    // what the leg can speak, most wanted first
	Params   url.Values // a device's custom parameters (To and From included); nil for a carrier's
	Verified string     // STIR verdict as the SDK names it ("TN-Validation-Passed-A"), "" when unknown
	At       time.Time
}

// Device reports whether a device offered the call.
func (o Offer) Device() bool { return o.Trunk == "" }
