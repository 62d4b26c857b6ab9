package call

// EndCause says why a leg or a call ended: a closed vocabulary, mapped once at
// each edge (SIP status in voice/trunk, SDK error in voice/sdk).
type EndCause string

// The causes. The comment says who ended it and when it is used.
const (
	Completed    EndCause = "completed"     // answered, then hung up by a party
	Cancelled    EndCause = "cancelled"     // the caller gave up before an answer
	Declined     EndCause = "declined"      // the called party refused (SIP 603, SDK reject)
	Busy         EndCause = "busy"          // SIP 486, 600
	NoAnswer     EndCause = "no_answer"     // it rang until the time was up (SIP 408, 480, 487 by us)
	Unreachable  EndCause = "unreachable"   // no device registered, or its signalling does not answer
	NotFound     EndCause = "not_found"     // no such number, line or identity (SIP 404, 484, 604)
	Forbidden    EndCause = "forbidden"     // we do not allow it: destination, token scope (SIP 403)
	CarrierError EndCause = "carrier_error" // a carrier answered 5xx, or a 4xx/6xx with no better name
	CarrierDown  EndCause = "carrier_down"  // no carrier answered at all
	NoCodec      EndCause = "no_codec"      // no common audio format (SIP 488)
	MediaFailed  EndCause = "media_failed"  // ICE or DTLS never came up
	MediaLost    EndCause = "media_lost"    // the far end's audio stopped and did not come back
	SignalLost   EndCause = "signal_lost"   // a device's signalling stayed away too long
	TimeLimit    EndCause = "time_limit"    // the longest call we carry
	Overload     EndCause = "overload"      // admission refused (SIP 503)
	Shutdown     EndCause = "shutdown"      // the node stops
	Replaced     EndCause = "replaced"      // another leg took its place, e.g. another of the agent's devices answered
	Failed       EndCause = "failed"        // our own fault; a log line says which
)

// Causes lists the whole vocabulary.
var Causes = []EndCause{
	Completed, Cancelled, Declined, Busy, NoAnswer, Unreachable, NotFound, Forbidden, CarrierError, CarrierDown,
	NoCodec, MediaFailed, MediaLost, SignalLost, TimeLimit, Overload, Shutdown, Replaced, Failed,
}
