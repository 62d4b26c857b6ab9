package carrier

import (
	"strings"
	"time"
)

// plan is what a number does when it is called. The zero plan rings, answers
// and stays silent.
type plan struct {
	refuse   int    // final status instead of an answer
	reason   string // its phrase
	never    bool   // rings until the caller gives up
	early    bool   // talks before it answers (183)
	reliable bool   // its 183 must be acknowledged (RFC 3262)
	codecs   []string
	echo     bool
	voice    func() voice  // nil: silence
	then     func(k *call) // what happens once it answered; returns when the call ends
}

// The numbers, by their last three digits, whatever stands before. Contract: 100
// to 106; the others are for tests.
//
//	100 echoes what it hears, packet by packet; silence until the first one comes
//	101 is busy: 486
//	102 rings until the caller cancels
//	103 refuses: 503
//	104 answers and stays silent: packets of digital silence, so that the path is kept open
//	105 talks: two sentences, over and over
//	106 sends the keys 123# as telephone events, at once and then after every Step
//	107 talks before it answers (183 with SDP), answers after a Step
//	108 puts the caller on hold after a Step (re-INVITE sendonly), and back after another; talks all the while
//	109 talks and hangs up after a Step
//	110 talks and speaks A-law only: 488 without it
//	111 sends a tone of 1000 Hz
//	112 as 107, but demands that its 183 be acknowledged: 421 without 100rel
//
// Every other number does not exist: 404.
func (c *Carrier) plan(number string) (plan, bool) {
	both := []string{PCMU, PCMA}
	talk := func() voice { return &loop{samples: Clip()} }
	switch last(number, 3) {
	case "100":
		return plan{codecs: both, echo: true}, true
	case "101":
		return plan{codecs: both, refuse: 486, reason: "Busy Here"}, true
	case "102":
		return plan{codecs: both, never: true}, true
	case "103":
		return plan{codecs: both, refuse: 503, reason: "Service Unavailable"}, true
	case "104":
		return plan{codecs: both}, true
	case "105":
		return plan{codecs: both, voice: talk}, true
	case "106":
		return plan{codecs: both, then: c.pressKeys}, true
	case "107":
		return plan{codecs: both, early: true, voice: talk}, true
	case "108":
		return plan{codecs: both, voice: talk, then: c.holdAndBack}, true
	case "109":
		return plan{codecs: both, voice: talk, then: func(k *call) {
			if k.pause(c.o.Step) {
				k.hangUp(EndedHere)
			}
		}}, true
	case "110":
		return plan{codecs: []string{PCMA}, voice: talk}, true
	case "111":
		return plan{codecs: both, voice: func() voice { return &tone{hz: 1000} }}, true
	case "112":
		return plan{codecs: both, early: true, reliable: true, voice: talk}, true
	}
	return plan{codecs: both, refuse: 404, reason: "Not Found"}, false
}

func (c *Carrier) pressKeys(k *call) {
	for {
		if !k.audio.press("123#") {
			c.log.Info("keys not sent: telephone-event was not agreed", "call", k.dialog.callID.Value())
			return
		}
		if !k.pause(c.o.Step + time.Second) {
			return
		}
	}
}

func (c *Carrier) holdAndBack(k *call) {
	for _, want := range []direction{sendOnly, sendRecv} {
		if !k.pause(c.o.Step) {
			return
		}
		if err := k.reoffer(want); err != nil {
			c.log.Info("re-INVITE failed", "call", k.dialog.callID.Value(), "direction", string(want), "error", err)
			return
		}
	}
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// dialled returns the number in the user part of a SIP address.
func dialled(user string) string {
	number, _, _ := strings.Cut(user, ";")
	return number
}
