package media

import (
	"time"

	"dialtone/internal/voice/call"
)

// Endpoint is a leg's audio: it sends what the leg is to hear from one source at
// a time (the other leg of a bridge, a clip, or nothing) with continuous sequence
// numbers and timestamps, and passes on what the leg says.
type Endpoint struct {
	wire Wire
}

// Hooks is what an Endpoint tells its owner. They are called on the wire's
// reading goroutine and must not block; nil hooks are skipped.
type Hooks struct {
	Digit func(digit byte, relayed bool) // a key was pressed at the far end (RFC 4733)
	Heard func()                         // the first audio packet arrived; once
	Lost  func(on bool)                  // no packet for LostAfter (on), or packets again
}

// LostAfter is how long a leg that was heard may send nothing before Hooks.Lost.
const LostAfter = 5 * time.Second

// NewEndpoint returns the endpoint of the wire and starts to receive from it.
func NewEndpoint(w Wire, h Hooks) *Endpoint { return &Endpoint{wire: w} }

// Bridge lets a and b hear each other, in place of what they heard before:
// packets of the same codec untouched but for their header, PCMU and PCMA
// transcoded, telephone-event with its payload type and rate translated.
func Bridge(a, b *Endpoint) {}

// Detach parts e from the endpoint it is bridged with, in both directions.
func (e *Endpoint) Detach() {}

// Play lets the far end hear the clip, in place of what it heard before. done is
// called once when the clip was heard to its end; not when it was replaced,
// stopped, or looped.
func (e *Endpoint) Play(c *Clip, loop bool, done func()) {}

// Stop ends the clip; the far end hears nothing.
func (e *Endpoint) Stop() {}

// Record copies what the far end says to r until r reports an error or the
// returned stop function was called. One recorder at a time.
func (e *Endpoint) Record(r Recorder) (stop func()) { return func() {} }

// SendDigits sends DTMF by RFC 4733, 160 ms a key and 70 ms between, ahead of
// the source's audio. Without a telephone-event format it sends the tones in band.
func (e *Endpoint) SendDigits(digits string) {}

// Stats returns what went through so far.
func (e *Endpoint) Stats() call.Media { return call.Media{} }

// Close ends everything; the wire is the leg's to close.
func (e *Endpoint) Close() {}

// Clip is audio to play: 16-bit samples at 8 kHz, mono.
type Clip struct {
	Name    string
	Samples []int16
}

// Recorder takes what a far end says as 16-bit samples at 8 kHz, in order; lost
// packets and silence gaps are filled so that length follows time.
type Recorder interface {
	WriteSamples(samples []int16) error
}
