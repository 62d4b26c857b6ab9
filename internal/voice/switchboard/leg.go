package switchboard

import (
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// Leg is one party's connection to a call, as voice/sdk and voice/trunk provide
// it. Every method returns at once and may be called from any goroutine; what
// comes of it is reported through the leg's Reporter. After End, or after the
// leg reported call.Down, all methods do nothing. A leg reports Down exactly
// once, whoever ended it, and has released sockets, dialogs and goroutines soon
// after.
type Leg interface {
	// Ringing tells the far end of an offered leg that it rings: with early,
	// formats are agreed from the codecs (most wanted first) and our audio goes
	// out before the answer. Repeating it is harmless.
	Ringing(early bool, codecs []call.Codec)
	// Answer answers an offered leg; call.Up follows. The codecs count only if
	// no format was agreed by Ringing.
	Answer(codecs []call.Codec)
	// End ends the leg in whatever state it is; call.Down with this cause follows.
	End(cause call.EndCause)
	// Endpoint is the leg's audio, never nil, the same for the leg's life. What
	// is written to it before formats are agreed is dropped.
	Endpoint() *media.Endpoint
}

// Reporter takes a leg's reports. It never blocks and may be called from any
// goroutine; reports of one leg are handled in the order of the calls.
type Reporter func(call.Report)

// Dialer makes outgoing legs to one kind of address. Dial returns at once;
// an error means that no leg came to be and nothing will be reported.
type Dialer interface {
	Dial(id call.ID, d call.Dial, report Reporter) (Leg, error)
}
