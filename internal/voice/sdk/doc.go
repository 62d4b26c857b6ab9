// Package sdk speaks the Voice SDK's wire protocol with unmodified browsers:
// the WebSocket of @twilio/voice-sdk (PStream 1.6, "v2") and of twilio-client
// (PStream 1.5, "v1"), and the HTTP event gateway that both post to. What is
// said on the wire is written down in docs/voice-sdk.md.
//
// A Server lets devices in by token, keeps which identity has which devices,
// turns a device's invite into a call.Offer and dials an identity by ringing
// all of its registered devices. Its legs are switchboard.Legs. It knows
// nothing of call flows: who may be called, and what is heard, is for the
// Exchange behind it.
//
// A Server and its legs may be used from any goroutine. Each connection has one
// goroutine that reads, and one that writes while there is something to write;
// each leg runs its steps one after the other on a goroutine that exists only
// while there are steps. A device that floods, dawdles or talks nonsense is cut
// off and harms nobody else.
package sdk
