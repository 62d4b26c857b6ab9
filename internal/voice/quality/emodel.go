// Package quality says how a leg sounds: what its counted packets mean for whoever
// listens, by the E-model of ITU-T G.107.
//
// It is pure: nothing here touches a clock, a socket or a goroutine.
package quality

import (
	"math"
	"time"

	"dialtone/internal/voice/call"
)

// Path is what a talker's audio goes through on its way to a listener.
type Path struct {
	Codec call.Codec
	Loss  float64       // share of the packets that are missing, 0 to 1
	Burst float64       // mean length of the runs of missing ones over that of random loss; 1 or less: random
	Delay time.Duration // one way, mouth to ear
}

// codec is how a codec sounds, and how well it hides what is missing.
type codec struct {
	ie, bpl float64
	wide    bool // ie is on the scale of the wideband model
}

// The rows of the tables. Receivers are taken to conceal loss, as browsers and
// Dialtone itself do.
var (
	// ITU-T G.113, Appendix I: G.711 with concealment.
	g711 = codec{bpl: 25.1}
	// G.113, Appendix IV: Ie,WB of G.722 at 64 kbit/s. The Bpl is the middle of
	// what wideband codecs have there (4.3 to 4.9): for itself there is none.
	g722 = codec{ie: 13, bpl: 4.6, wide: true}
	// Nothing of the ITU's. Alahmadi, Pocta, Melvin (doi 10.1145/3458751) found Ie
	// of 20.2 at 25 kbit/s and 10.7 at 40, and Bpl of 11.3: this is for the
	// 32 kbit/s that browsers send speech with.
	opus = codec{ie: 15.8, bpl: 11.3, wide: true}
)

// of returns the row of a codec; what is not known sounds like G.711.
func of(c call.Codec) codec {
	switch c {
	case call.Opus:
		return opus
	case "G722":
		return g722
	case call.PCMU, call.PCMA:
	}
	return g711
}

const (
	narrow   = 93.2 // R of a call that only G.107's default values impair
	wideband = 129  // the same of the wideband model, G.107.1
)

// R returns the transmission rating, 0 to 100: loudness, noise and echo are taken
// to be G.107's defaults, which leaves delay, codec and loss (7.1, 7.4, 7.5). A
// wideband codec is rated by G.107.1 and scaled to 100, as for its MOS (Annex A):
// each codec is measured against the best of its own bandwidth.
func (p Path) R() float64 {
	c := of(p.Codec)
	most, scale := narrow, 1.0
	if c.wide {
		most, scale = wideband, wideband/100.
	}
	return max(0, most-delayed(p.Delay)-c.impaired(p.Loss, p.Burst)) / scale
}

// MOS returns the mean opinion score, 1 to 4.5, that is expected for the path.
func (p Path) MOS() float64 { return MOS(p.R()) }

// MOS returns the mean opinion score for a rating (G.107, Annex B).
func MOS(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

// delayed is Idd (G.107, 7.4): what delay alone does to a conversation.
func delayed(d time.Duration) float64 {
	ms := float64(d) / float64(time.Millisecond)
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	six := func(x float64) float64 { return math.Pow(1+math.Pow(x, 6), 1./6) }
	return 25 * (six(x) - 3*six(x/3) + 2)
}

// impaired is Ie,eff (G.107, 7.5): what the codec and the missing packets do.
func (c codec) impaired(loss, burst float64) float64 {
	percent := 100 * min(max(loss, 0), 1)
	return c.ie + (95-c.ie)*percent/(percent/max(burst, 1)+c.bpl)
}
