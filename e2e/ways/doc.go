// Package ways shows that no way in is the only one: a whole node whose
// verifiers are broken one at a time while browsers with the unmodified
// @twilio/voice-sdk 2.18 and twilio-client 1.15 keep themselves registered, by
// docs/examples/keep-registered.js on a plain page and by the console itself.
package ways
