package media

import (
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/quality"
	"dialtone/internal/voice/reports"
)

// Figures returns how the wire's packets fare and in which codec; ok is false for
// a wire that does not keep books, and before formats are agreed.
func (e *Endpoint) Figures() (c call.Codec, f reports.Figures, ok bool) {
	m, measured := e.wire.(Measured)
	format, agreed := e.wire.Format()
	if !measured || !agreed {
		return "", reports.Figures{}, false
	}
	return format.Codec, m.Figures(), true
}

// Stats returns what went through so far.
func (e *Endpoint) Stats() call.Media {
	m := e.in.stats()
	m.PacketsOut = e.out.Load()
	if f, ok := e.wire.Format(); ok {
		m.Codec = f.Codec
	}
	if c, f, ok := e.Figures(); ok {
		in, out := quality.Between(c, reports.Figures{}, f)
		m.Bursts, m.Jitter, m.MOS = in.Bursts, in.Jitter, in.MOS
		m.FarLost, m.FarJitter, m.FarMOS, m.RoundTrip = out.Lost, out.Jitter, out.MOS, f.RoundTrip
	}
	return m
}
