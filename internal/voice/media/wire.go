// Package media carries audio: what a leg's packets are, how two legs are
// bridged, how prompts, hold music and recordings join in, and how DTMF passes.
//
// An Endpoint belongs to one leg. Its methods may be called from any goroutine.
// Packets are never queued between goroutines: what arrives on a Wire's reading
// goroutine is written to the other leg's Wire there and then.
package media

import (
	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/reports"
)

// Format is what two ends agreed to send each other.
type Format struct {
	Codec       call.Codec
	PayloadType uint8
	ClockRate   uint32 // RTP ticks a second: 8000, 48000 for Opus
	DTMF        uint8  // payload type of telephone-event; 0: not agreed
	DTMFRate    uint32 // its clock rate
	Ptime       int    // milliseconds a packet, as the far end wants it; 0: 20
	SendOnly    bool   // the far end does not want to hear us (their a=sendonly or inactive)
}

// Wire is the far end of one leg: rtc.Peer for a browser, trunk's RTP session
// for a carrier.
type Wire interface {
	// Format returns what was agreed; ok is false before that.
	Format() (f Format, ok bool)
	// WriteRTP sends one packet. Payload type, sequence number, timestamp and
	// marker are the caller's; the wire sets SSRC (and encrypts). The payload
	// is not kept. Writing before the wire is up drops the packet.
	WriteRTP(h *rtp.Header, payload []byte) error
	// OnRTP sets who gets the packets that arrive, in place of the one before;
	// nil drops them. It is called on the wire's reading goroutine and must not
	// keep header or payload.
	OnRTP(func(h *rtp.Header, payload []byte))
}

// Measured is a Wire that keeps books of its packets and knows what the far end
// reports of them. Both may be read after the wire is closed.
type Measured interface {
	Figures() reports.Figures
}
