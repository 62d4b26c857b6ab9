package call

// Report is what a leg tells its call. The switchboard turns each into an
// Input of Decide; a leg never waits for the effect.
type Report interface{ report() }

// Progress: a dialled leg rings. With Early, its own audio comes already.
type Progress struct {
	Early  bool
	Codecs []Codec // with Early: what was negotiated, one entry
	Trunk  string  // the carrier that rings
}

// Up: a leg is answered and its formats are agreed.
type Up struct {
	Codec Codec
	Trunk string
}

// Down: the leg ended on the far side's initiative or by a failure. The last
// report of a leg; also sent, with the cause asked for, after we ended it.
type Down struct {
	Cause  EndCause
	Status int // SIP status or SDK code behind it, 0 when none
}

// Dialled: the far end pressed a key. Relayed is true when the bridge already
// carries the key to the other party (RFC 4733 in the audio); false when it came
// by signalling and must be sent on.
type Dialled struct {
	Digit   byte
	Relayed bool
}

// FarHold: the far end put us on hold (On) or took us back, by re-INVITE.
type FarHold struct{ On bool }

// Away: the leg's signalling or media is lost but may come back (On), or is back.
type Away struct{ On bool }

// Heard: the first audio packet arrived from the far end.
type Heard struct{}

func (Progress) report() {}
func (Up) report()       {}
func (Down) report()     {}
func (Dialled) report()  {}
func (FarHold) report()  {}
func (Away) report()     {}
func (Heard) report()    {}
