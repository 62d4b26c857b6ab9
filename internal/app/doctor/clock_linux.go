package doctor

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock: tokens are refused when the clock is off by more than their leeway.
func (e *examination) clock() {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		e.say("clock", Warning, "whether the clock is right is unknown: %v", err)
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		e.say("clock", Warning, "the clock is not synchronised by this machine's kernel; unless its host sees to it, tokens may be refused (install chrony or systemd-timesyncd)")
	default:
		e.say("clock", Fine, "synchronised, within %v", (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond))
	}
}
