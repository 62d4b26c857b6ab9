// Package apps shows that an app on the Voice SDK works with a whole node: plain
// pages with the unmodified @twilio/voice-sdk 2.18 and twilio-client 1.15, which
// know nothing but the SDK's own API, against the demo and its simulated carrier.
package apps
