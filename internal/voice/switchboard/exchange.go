package switchboard

import "dialtone/internal/voice/call"

// Exchange takes the calls that legs offer; Switchboard is one. voice/sdk and
// voice/trunk declare it in their own words so that they can be tested alone.
type Exchange interface {
	// Offer begins a call. The leg's reports go to the returned Reporter. An
	// error (fault.TooMany, fault.Unavailable) means that the call was refused
	// and nothing more will be asked of the leg. The leg's methods may be called
	// before Offer returns: a leg holds its lock around Offer and the keeping of
	// the Reporter, so that nothing is reported into the void.
	Offer(o call.Offer, leg Leg) (Reporter, error)
}
