package reports

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// sent counts what we sent.
type sent struct {
	packets, octets uint32
	timestamp       uint32
	at              time.Time // when that timestamp was current
}

// sample is how often the clock is read for the timestamp: it runs on by itself.
const sample = 64

func (s *sent) count(timestamp uint32, payload int) {
	if s.packets%sample == 0 || timestamp-s.timestamp >= 1<<31 {
		s.timestamp, s.at = timestamp, time.Now()
	}
	s.packets++
	s.octets += uint32(payload)
}

// timestampAt returns the RTP time that goes with now.
func (s *sent) timestampAt(now time.Time, rate uint32) uint32 {
	return s.timestamp + uint32(now.Sub(s.at)*time.Duration(rate)/time.Second)
}

// received counts what came under one SSRC (RFC 3550, A.1, A.3 and A.8).
type received struct {
	ssrc          uint32
	packets       uint32
	base, top     uint32 // extended sequence numbers
	strange       uint32 // what would prove a restart
	priorExpected uint32
	priorPackets  uint32
	jitter        float64
	timestamp     uint32 // of the last packet
	at            time.Time
	bursts        uint64                         // runs of packets that are missing
	hole          hole                           // the newest of them
	before        struct{ packets, lost uint64 } // under other SSRCs and before restarts
}

// hole is a run of missing packets.
type hole struct {
	from, to uint32 // extended sequence numbers, to excluded
	open     uint32 // how many are still missing
}

const (
	dropout  = 3000 // a larger step forward is no loss
	misorder = 100  // so far back is late
)

func (r *received) count(h *rtp.Header, rate uint32, now time.Time) {
	if r.packets == 0 || h.SSRC != r.ssrc {
		r.restart(h)
	}
	switch ahead := h.SequenceNumber - uint16(r.top); {
	case ahead < dropout:
		if ahead > 1 {
			r.hole = hole{r.top + 1, r.top + uint32(ahead), uint32(ahead) - 1}
			r.bursts++
		}
		r.top += uint32(ahead)
	case ahead > 65535-misorder:
		r.late(r.top - uint32(-ahead))
	case uint32(h.SequenceNumber) == r.strange: // two in a row: the far end counts anew
		r.restart(h)
	default:
		r.strange = uint32(h.SequenceNumber + 1)
		return
	}
	r.strange = 1 << 16 // none
	// Packets of one timestamp are parts of one event; their distance is no jitter.
	if r.packets > 0 && h.Timestamp != r.timestamp {
		d := int64(int32(h.Timestamp - r.timestamp))
		d = int64(now.Sub(r.at))*int64(rate)/int64(time.Second) - d
		if limit := 10 * int64(rate); d > -limit && d < limit { // else a pause or a leap
			r.jitter += (float64(max(d, -d)) - r.jitter) / 16
		}
	}
	if r.packets == 0 || h.Timestamp != r.timestamp {
		r.timestamp, r.at = h.Timestamp, now
	}
	r.packets++
}

// late closes the newest hole when all of it came after all. Of older ones nothing
// is known: their runs stay counted, and seem shorter than they were.
func (r *received) late(seq uint32) {
	if o := &r.hole; o.open > 0 && seq-o.from < o.to-o.from {
		if o.open--; o.open == 0 {
			r.bursts--
		}
	}
}

func (r *received) restart(h *rtp.Header) {
	before := r.before
	before.packets += uint64(r.packets)
	before.lost += uint64(max(r.lost(), 0))
	*r = received{ssrc: h.SSRC, base: uint32(h.SequenceNumber), top: uint32(h.SequenceNumber), strange: 1 << 16, bursts: r.bursts, before: before}
}

func (r *received) expected() uint32 {
	if r.packets == 0 {
		return 0
	}
	return r.top - r.base + 1
}

// lost is less than zero when packets came twice.
func (r *received) lost() int64 { return int64(r.expected()) - int64(r.packets) }

// block reports on the stream, and begins the next fraction.
func (r *received) block() rtcp.ReceptionReport {
	b := rtcp.ReceptionReport{SSRC: r.ssrc, LastSequenceNumber: r.top, Jitter: uint32(r.jitter)}
	b.TotalLost = uint32(min(max(r.lost(), 0), 0x7fffff))
	expected := r.expected()
	span, got := expected-r.priorExpected, r.packets-r.priorPackets
	if span > 0 && span > got {
		b.FractionLost = uint8(min((span-got)*256/span, 255))
	}
	r.priorExpected, r.priorPackets = expected, r.packets
	return b
}
