package srtp

import "encoding/binary"

// Sender protects what one side sends.
type Sender struct {
	keys    Keys
	suite   suite
	sources sources
}

// NewSender returns a Sender that has sent nothing yet.
func NewSender(k Keys) (*Sender, error) {
	s, err := newSuite(k)
	if err != nil {
		return nil, err
	}
	return &Sender{keys: k.clone(), suite: s}, nil
}

// Profile returns the profile of the keys.
func (s *Sender) Profile() Profile { return s.keys.Profile }

// Protect encrypts the RTP packet in b, whose capacity has room for
// Profile.Overhead bytes more, and returns it with its tag, in the same memory.
//
// Sequence numbers may come in another order, but none twice: two packets under
// one index would give both away (RFC 3711, 9.1). The roll-over counter follows
// the sequence numbers, which therefore must not leap by 2^15 or more.
func (s *Sender) Protect(b []byte) ([]byte, error) {
	head, n := headerLen(b), len(b)
	if head == 0 {
		return nil, ErrMalformed
	}
	full := n + s.keys.Profile.Overhead()
	if full > cap(b) {
		return nil, ErrRoom
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	src := s.sources.find(ssrc)
	if src == nil {
		// None may be forgotten: its indices would be used again.
		if src = s.sources.add(ssrc, false); src == nil {
			return nil, ErrSources
		}
	}
	index := src.packets.estimate(binary.BigEndian.Uint16(b[2:]))
	switch {
	case index > maxIndex:
		return nil, ErrExhausted
	case !src.packets.fresh(index):
		return nil, ErrReused
	}
	src.packets.note(index)
	b = b[:full]
	s.suite.seal(b, head, n, ssrc, index)
	return b, nil
}

// ProtectReport encrypts the RTCP packet (compound or not) in b, whose capacity has
// room for Profile.ReportOverhead bytes more, under the next SRTCP index of its
// first SSRC.
func (s *Sender) ProtectReport(b []byte) ([]byte, error) {
	n := len(b)
	if !isReport(b) {
		return nil, ErrMalformed
	}
	full := n + s.keys.Profile.ReportOverhead()
	if full > cap(b) {
		return nil, ErrRoom
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	src := s.sources.find(ssrc)
	if src == nil {
		if src = s.sources.add(ssrc, false); src == nil {
			return nil, ErrSources
		}
	}
	var index uint64
	if src.reports.begun {
		index = src.reports.newest + 1
	}
	if index > maxReportIndex {
		return nil, ErrExhausted
	}
	src.reports.note(index)
	b = b[:full]
	s.suite.sealReport(b, n, ssrc, uint32(index))
	return b, nil
}
