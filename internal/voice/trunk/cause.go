package trunk

import (
	"strconv"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
)

// causes is how each end cause is said to a carrier: the status that refuses a
// call which was not answered, and the Q.850 cause in the Reason of a BYE or
// CANCEL (RFC 3326). 503 makes a carrier avoid us for a while, so it is kept for
// when that is meant.
var causes = map[call.EndCause]struct{ status, q850 int }{
	call.Completed:    {480, 16},
	call.Cancelled:    {487, 16},
	call.Declined:     {603, 21},
	call.Busy:         {486, 17},
	call.NoAnswer:     {480, 19},
	call.Unreachable:  {480, 20},
	call.NotFound:     {404, 1},
	call.Forbidden:    {403, 21},
	call.CarrierError: {502, 38},
	call.CarrierDown:  {504, 38},
	call.NoCodec:      {488, 88},
	call.MediaFailed:  {500, 41},
	call.MediaLost:    {500, 41},
	call.SignalLost:   {480, 41},
	call.TimeLimit:    {480, 102},
	call.Overload:     {503, 42},
	call.Shutdown:     {503, 41},
	call.Replaced:     {480, 26},
	call.Failed:       {500, 41},
}

// StatusOf returns the status that refuses an unanswered call for the cause.
func StatusOf(c call.EndCause) int {
	if e, ok := causes[c]; ok {
		return e.status
	}
	return sip.StatusInternalServerError
}

// CauseOf returns what a carrier's final status means for a call that we made;
// 0 means that no final answer came.
func CauseOf(status int) call.EndCause {
	switch status {
	case 0:
		return call.CarrierDown
	case 403:
		return call.Forbidden
	case 404, 410, 484, 604:
		return call.NotFound
	case 408, 480, 487:
		return call.NoAnswer
	case 486, 600:
		return call.Busy
	case 488, 606:
		return call.NoCodec
	case 603, 607, 608:
		return call.Declined
	}
	return call.CarrierError
}

func reason(c call.EndCause) sip.Header {
	e, ok := causes[c]
	if !ok {
		e = causes[call.Failed]
	}
	return sip.NewHeader("Reason", "Q.850;cause="+strconv.Itoa(e.q850))
}
