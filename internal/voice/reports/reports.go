// Package reports keeps the books of one audio stream each way and speaks RTCP
// about them: what we sent, what came, and what the far end says of what it got
// (RFC 3550, 6).
//
// A Ledger may be used from any goroutine. It knows no sockets and no timers: its
// owner tells it of packets and reports, and asks for a report every Interval.
package reports

import (
	"crypto/rand"
	"encoding/base64"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Ledger is one leg's books.
type Ledger struct {
	ssrc  uint32
	cname string

	mu       sync.Mutex
	rate     uint32 // RTP ticks a second
	sent     sent
	received received
	far      far
}

// far is what the far end said last.
type far struct {
	sr   uint32    // middle of the NTP time of its sender report
	srAt time.Time // when that came
	of   uint32    // the SSRC that sent it

	heard     bool   // it reported on what we send
	sent      uint32 // how much that was by then
	lost      uint32
	fraction  uint8
	jitter    uint32
	roundTrip time.Duration
}

// New returns the books of a leg whose packets we send under the SSRC.
func New(ssrc uint32) *Ledger {
	var name [12]byte
	_, _ = rand.Read(name[:]) // never fails since Go 1.24
	// RFC 7022, 4.2: it says nothing of us, and is another one in each call.
	return &Ledger{ssrc: ssrc, cname: base64.RawStdEncoding.EncodeToString(name[:]), rate: 8000}
}

// Rate sets the clock rate of both streams, 8000 at first.
func (l *Ledger) Rate(hz uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hz > 0 {
		l.rate = hz
	}
}

// Sent counts a packet of ours.
func (l *Ledger) Sent(timestamp uint32, payload int) {
	l.mu.Lock()
	l.sent.count(timestamp, payload)
	l.mu.Unlock()
}

// Received counts a packet of the far end.
func (l *Ledger) Received(h *rtp.Header, now time.Time) {
	l.mu.Lock()
	l.received.count(h, l.rate, now)
	l.mu.Unlock()
}

// The shortest interval of RFC 3550, 6.2, and what makes up for the timer's
// reconsideration that two parties do not need (6.3.1).
const (
	least        = 5 * time.Second
	compensation = 1.21828
)

// Interval returns how long to wait for the next report: about five seconds, by
// chance, so that the reports of many calls do not come at once.
func Interval() time.Duration {
	return time.Duration(float64(least) * (0.5 + mrand.Float64()) / compensation)
}

// Report returns a compound of a sender or receiver report and a source
// description, nil while there is nothing to report on.
func (l *Ledger) Report(now time.Time) []byte {
	l.mu.Lock()
	if l.sent.packets == 0 && l.received.packets == 0 {
		l.mu.Unlock()
		return nil
	}
	var blocks []rtcp.ReceptionReport
	if l.received.packets > 0 {
		blocks = []rtcp.ReceptionReport{l.block(now)}
	}
	var first rtcp.Packet = &rtcp.ReceiverReport{SSRC: l.ssrc, Reports: blocks}
	if l.sent.packets > 0 {
		first = &rtcp.SenderReport{
			SSRC: l.ssrc, NTPTime: ntp(now), RTPTime: l.sent.timestampAt(now, l.rate),
			PacketCount: l.sent.packets, OctetCount: l.sent.octets, Reports: blocks,
		}
	}
	l.mu.Unlock()
	b, err := rtcp.Marshal([]rtcp.Packet{first, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: l.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: l.cname}},
	}}}})
	if err != nil {
		return nil
	}
	return b
}

// block reports on what came. Called with mu held.
func (l *Ledger) block(now time.Time) rtcp.ReceptionReport {
	b := l.received.block()
	if !l.far.srAt.IsZero() && l.far.of == l.received.ssrc {
		b.LastSenderReport, b.Delay = l.far.sr, uint32(now.Sub(l.far.srAt).Seconds()*65536)
	}
	return b
}

// Take notes what the far end reports: any compound of RTCP. Of what cannot be
// read nothing is noted.
func (l *Ledger) Take(b []byte, now time.Time) error {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			l.far.sr, l.far.srAt, l.far.of = uint32(p.NTPTime>>16), now, p.SSRC
			l.ourOwn(p.Reports, now)
		case *rtcp.ReceiverReport:
			l.ourOwn(p.Reports, now)
		}
	}
	return nil
}

// longestTrip is more than any that a call survives; what is longer was not
// measured by the far end but made up.
const longestTrip = time.Minute

// ourOwn notes what the blocks say of our stream (RFC 3550, 6.4.1).
func (l *Ledger) ourOwn(blocks []rtcp.ReceptionReport, now time.Time) {
	for _, b := range blocks {
		if b.SSRC != l.ssrc || l.sent.packets == 0 {
			continue
		}
		f := &l.far
		f.heard, f.sent, f.lost, f.fraction, f.jitter = true, l.sent.packets, b.TotalLost, b.FractionLost, b.Jitter
		if b.LastSenderReport == 0 {
			continue
		}
		trip := time.Duration(int32(uint32(ntp(now)>>16)-b.LastSenderReport-b.Delay)) * time.Second / 65536
		if trip < longestTrip && trip > -longestTrip {
			f.roundTrip = max(trip, time.Microsecond) // 0 would mean that it is not known
		}
	}
}

// time returns how long so many ticks are.
func (l *Ledger) time(ticks uint32) time.Duration {
	return time.Duration(ticks) * time.Second / time.Duration(l.rate)
}

// ntp returns seconds since 1900 with a fraction of 32 bits.
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}
