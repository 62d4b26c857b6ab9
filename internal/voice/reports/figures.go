package reports

import "time"

// Figures are how the streams of a leg fare. Counts are since the leg began.
type Figures struct {
	Received uint64        // packets, of all the far end's SSRCs
	Lost     uint64        // missing in their sequence numbers
	Bursts   uint64        // runs that the lost ones came in, at most
	Jitter   time.Duration // of their arrival (RFC 3550, 6.4.1)

	// By the far end's reports; all zero when none came.
	FarSent     uint64        // packets of ours that its latest report is of
	FarLost     uint64        // of them
	FarFraction float64       // lost of the latest, 0 to 1
	FarJitter   time.Duration // of our packets' arrival there
	RoundTrip   time.Duration // 0: not measured yet
}

// Figures returns how the streams fare now.
func (l *Ledger) Figures() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.received
	f := Figures{
		Received: r.before.packets + uint64(r.packets), Lost: r.before.lost + uint64(max(r.lost(), 0)),
		Bursts: r.bursts, Jitter: l.time(uint32(r.jitter)), RoundTrip: l.far.roundTrip,
	}
	if l.far.heard {
		f.FarSent, f.FarFraction, f.FarJitter = uint64(l.far.sent), float64(l.far.fraction)/256, l.time(l.far.jitter)
		if l.far.lost < 1<<23 { // a negative number: duplicates
			f.FarLost = uint64(l.far.lost)
		}
	}
	return f
}

// After returns the figures of a leg that had others before: on a connection that
// this one took the place of.
func (f Figures) After(past Figures) Figures {
	if f.FarSent == 0 { // it did not report yet
		f.FarFraction, f.FarJitter = past.FarFraction, past.FarJitter
	}
	if f.RoundTrip == 0 {
		f.RoundTrip = past.RoundTrip
	}
	if f.Received == 0 {
		f.Jitter = past.Jitter
	}
	f.Received += past.Received
	f.Lost += past.Lost
	f.Bursts += past.Bursts
	f.FarSent += past.FarSent
	f.FarLost += past.FarLost
	return f
}
