package srtp

import "encoding/binary"

// Receiver takes the protection off what the other side sent.
//
// It follows MaxSources SSRCs; one more takes the place of that which was silent
// for longest, and what that one sent could be replayed from then on. Only the
// holder of the keys can bring that about.
type Receiver struct {
	keys    Keys
	suite   suite
	sources sources
}

// NewReceiver returns a Receiver that has heard nothing yet.
func NewReceiver(k Keys) (*Receiver, error) {
	s, err := newSuite(k)
	if err != nil {
		return nil, err
	}
	return &Receiver{keys: k.clone(), suite: s}, nil
}

// Profile returns the profile of the keys.
func (r *Receiver) Profile() Profile { return r.keys.Profile }

// Unprotect checks and decrypts the SRTP packet in b and returns the RTP packet,
// in the same memory. What it refuses may be clobbered.
func (r *Receiver) Unprotect(b []byte) ([]byte, error) {
	head := headerLen(b)
	n := len(b) - r.keys.Profile.Overhead()
	if head == 0 || n < head {
		return nil, ErrMalformed
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	index := uint64(binary.BigEndian.Uint16(b[2:]))
	src := r.sources.find(ssrc)
	if src != nil {
		index = src.packets.estimate(uint16(index))
		if index > maxIndex || !src.packets.fresh(index) {
			return nil, ErrReplayed
		}
	}
	if !r.suite.open(b, head, ssrc, index) {
		return nil, ErrForged
	}
	if src == nil {
		src = r.sources.add(ssrc, true)
	}
	r.sources.touch(src)
	src.packets.note(index)
	return b[:n], nil
}

// UnprotectReport checks and decrypts the SRTCP packet in b and returns the RTCP
// packet, in the same memory. What it refuses may be clobbered.
func (r *Receiver) UnprotectReport(b []byte) ([]byte, error) {
	n := len(b) - r.keys.Profile.ReportOverhead()
	if !isReport(b) || n < reportLen {
		return nil, ErrMalformed
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	word := r.suite.word(b)
	index := uint64(word &^ encrypted)
	src := r.sources.find(ssrc)
	if src != nil && !src.reports.fresh(index) {
		return nil, ErrReplayed
	}
	if !r.suite.openReport(b, ssrc, word) {
		return nil, ErrForged
	}
	if src == nil {
		src = r.sources.add(ssrc, true)
	}
	r.sources.touch(src)
	src.reports.note(index)
	return b[:n], nil
}
