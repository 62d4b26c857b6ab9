package audio

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// reportEvery is RFC 3550's shortest interval (6.2).
const reportEvery = 5 * time.Second

// sent counts what we sent, for sender reports.
type sent struct {
	packets, octets uint32
	timestamp       uint32
	at              time.Time
}

func (s *sent) count(h *rtp.Header, payload int) {
	s.packets++
	s.octets += uint32(payload)
	s.timestamp, s.at = h.Timestamp, time.Now()
}

// reception counts what came, for report blocks (RFC 3550 A.1, A.3, A.8).
type reception struct {
	ssrc             uint32
	base, top        uint32 // extended sequence numbers
	received         uint32
	priorExpected    uint32
	priorReceived    uint32
	jitter           float64
	transit          int64
	lastSR           uint32
	lastSRAt         time.Time
	begun            time.Time
	firstTransitSeen bool
}

func (r *reception) count(h *rtp.Header, now time.Time) {
	if r.received == 0 || h.SSRC != r.ssrc {
		*r = reception{ssrc: h.SSRC, base: uint32(h.SequenceNumber), top: uint32(h.SequenceNumber), begun: now}
	}
	r.received++
	if ahead := h.SequenceNumber - uint16(r.top); ahead < 0x8000 {
		r.top += uint32(ahead)
	}
	transit := now.Sub(r.begun).Nanoseconds()*8/1e6 - int64(h.Timestamp)
	if d := transit - r.transit; r.firstTransitSeen && d > -80000 && d < 80000 {
		r.jitter += (float64(max(d, -d)) - r.jitter) / 16
	}
	r.transit, r.firstTransitSeen = transit, true
}

func (r *reception) block(now time.Time) rtcp.ReceptionReport {
	expected := r.top - r.base + 1
	b := rtcp.ReceptionReport{SSRC: r.ssrc, LastSequenceNumber: r.top, Jitter: uint32(r.jitter), LastSenderReport: r.lastSR}
	if expected > r.received {
		b.TotalLost = min(expected-r.received, 0x7fffff)
	}
	span, got := expected-r.priorExpected, r.received-r.priorReceived
	if span > 0 && span > got {
		b.FractionLost = uint8(min((span-got)*256/span, 255))
	}
	r.priorExpected, r.priorReceived = expected, r.received
	if !r.lastSRAt.IsZero() {
		b.Delay = uint32(now.Sub(r.lastSRAt).Seconds() * 65536)
	}
	return b
}

// report sends our reports until the session is closed and notes the far end's.
func (s *Session) report() {
	buf := make([]byte, 2048)
	next := time.Now().Add(reportEvery)
	s.rtcp.deadline(next)
	for {
		n, from, err := s.rtcp.read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			s.noteReport(buf[:n], from)
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(reportEvery)
			s.rtcp.deadline(next)
			s.sendReport(now)
		}
	}
}

func (s *Session) noteReport(b []byte, from netip.AddrPort) {
	s.mu.Lock()
	known := s.agreed && (from.Addr() == s.source.locked.Addr() || from.Addr() == s.far.Addr.Addr())
	s.mu.Unlock()
	if !known {
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == s.in.ssrc {
			s.in.lastSR, s.in.lastSRAt = uint32(sr.NTPTime>>16), s.heard
		}
	}
}

func (s *Session) sendReport(now time.Time) {
	s.mu.Lock()
	to := s.toLocked()
	if !to.IsValid() || s.sent.packets == 0 && s.in.received == 0 {
		s.mu.Unlock()
		return
	}
	port := to.Port() + 1
	if to == s.far.Addr && s.far.RTCP != 0 {
		port = s.far.RTCP
	}
	var blocks []rtcp.ReceptionReport
	if s.in.received > 0 {
		blocks = append(blocks, s.in.block(now))
	}
	var first rtcp.Packet = &rtcp.ReceiverReport{SSRC: s.ssrc, Reports: blocks}
	if s.sent.packets > 0 {
		first = &rtcp.SenderReport{
			SSRC: s.ssrc, NTPTime: ntp(now), PacketCount: s.sent.packets, OctetCount: s.sent.octets,
			RTPTime: s.sent.timestamp + uint32(now.Sub(s.sent.at).Milliseconds()*8), Reports: blocks,
		}
	}
	s.mu.Unlock()
	// A report without a CNAME is not valid (RFC 3550 6.1); it says nothing of us.
	b, err := rtcp.Marshal([]rtcp.Packet{first, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: s.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "-"}},
	}}}})
	if err == nil {
		_ = s.rtcp.write(b, netip.AddrPortFrom(to.Addr(), port))
	}
}

// ntp returns seconds since 1900 with a fraction of 32 bits.
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}
