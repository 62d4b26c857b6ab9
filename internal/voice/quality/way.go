package quality

import (
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/reports"
)

// Way is how one direction of a leg fared for a while.
type Way struct {
	Packets uint64 // that came
	Lost    uint64
	Bursts  uint64        // runs that the lost ones came in; 0 where the far end counted
	Jitter  time.Duration // at the end of that while
	MOS     float64       // 1 to 4.5; 0: too few packets to tell
}

// Loss returns the share of the packets that are missing, 0 to 1.
func (w Way) Loss() float64 {
	if w.Packets+w.Lost == 0 {
		return 0
	}
	return float64(w.Lost) / float64(w.Packets+w.Lost)
}

// Between returns how the ways from the far end (in) and to it (out, by what it
// reports) fared between two readings of the leg's figures. The zero Figures as
// the first give the whole leg.
func Between(c call.Codec, before, now reports.Figures) (in, out Way) {
	in = Way{
		Packets: since(before.Received, now.Received), Lost: since(before.Lost, now.Lost),
		Bursts: since(before.Bursts, now.Bursts), Jitter: now.Jitter,
	}
	sent := since(before.FarSent, now.FarSent)
	out = Way{Lost: min(since(before.FarLost, now.FarLost), sent), Jitter: now.FarJitter}
	out.Packets = sent - out.Lost
	for _, w := range []*Way{&in, &out} {
		w.MOS = w.score(c, now.RoundTrip)
	}
	return in, out
}

// since counts from one reading to the next. Late packets make a loss undone.
func since(before, now uint64) uint64 { return now - min(before, now) }

const (
	enough = 10                    // packets that say something; a silent Opus sender sends them in 4 s
	frame  = 20 * time.Millisecond // in a packet
	deep   = 250 * time.Millisecond
)

// score takes half a round trip for the way, and twice the jitter for what the
// receiver waits, up to the depth of its buffer.
func (w Way) score(c call.Codec, roundTrip time.Duration) float64 {
	if w.Packets+w.Lost < enough {
		return 0
	}
	p := Path{Codec: c, Loss: w.Loss(), Delay: frame + roundTrip/2 + min(2*w.Jitter, deep)}
	if w.Bursts > 0 {
		// Random loss comes in runs of 1/(1-loss) on average (G.107, 7.5).
		p.Burst = float64(w.Lost) / float64(w.Bursts) * (1 - p.Loss)
	}
	return p.MOS()
}
