package sdk

import (
	"strings"

	"dialtone/internal/voice/call"
)

// hungUpBy: the user, or the browser's failing media, ended the call.
func (l *leg) hungUpBy(d *device, message string) {
	l.strand.Post(func() {
		if l.done {
			return
		}
		if l.dialled != nil && !l.answered {
			// Not what the SDKs do before an answer, but it can only mean no.
			if l.stopAt(d, false) {
				l.dialled.declined = true
			}
			if len(l.dialled.forks) == 0 {
				l.finish(call.Declined, endCodes[call.Declined])
			}
			return
		}
		cause := call.Completed
		switch {
		case message != "" && l.wasUp:
			cause = call.MediaLost
		case message != "":
			cause = call.MediaFailed
		case !l.answered:
			cause = call.Cancelled
		}
		if other := l.home.Load(); other != nil && other != d {
			other.send("hangup", callPayload{CallSid: l.sid()})
		}
		l.finish(cause, endCodes[cause])
	})
}

// dialledBy: keys that came by signalling, because the browser could not put
// them into the audio. What an app presses as soon as its SDK says "accept",
// v2 sends ahead of the answer: such keys wait for it.
func (l *leg) dialledBy(d *device, digits string) {
	l.strand.Post(func() {
		if l.done {
			return
		}
		if !l.answered {
			if l.typed.by != d {
				l.typed.by, l.typed.keys = d, ""
			}
			l.typed.keys = cut(l.typed.keys+digits, maxDigits)
			return
		}
		l.here(d)
		l.press(digits)
	})
}

func (l *leg) press(digits string) {
	for _, digit := range []byte(digits) {
		if strings.IndexByte("0123456789*#ABCD", digit) >= 0 { // 'w' is a pause: the client's timing
			l.tell(call.Dialled{Digit: digit})
		}
	}
}
