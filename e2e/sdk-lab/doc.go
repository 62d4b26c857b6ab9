// Package sdklab shows that unmodified browsers' SDKs and voice/sdk understand
// each other: plain pages with @twilio/voice-sdk 2.18.5 and twilio-client 1.15.1
// in headless Chromium, against a Server and an rtc.Engine with nothing behind
// them but the test, which plays the exchange and the far end. It is the truth
// about the protocol: where it and docs/voice-sdk.md differ, it is right.
package sdklab
