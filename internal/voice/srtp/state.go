package srtp

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
)

// State is all that a Sender or a Receiver knows. It holds the keys: it is to be
// kept as they are, and to be erased at the end of the call.
type State struct {
	Profile   Profile
	Key, Salt []byte // master
	Sources   []SourceState
}

// SourceState is what is known of one SSRC. Windows hold in bit n of word n/64
// whether the packet n before the last one was there.
type SourceState struct {
	SSRC uint32

	Sent       bool   // there was an RTP packet
	RollOver   uint32 // counter of the last packet
	Sequence   uint16 // of the last packet
	Window     [Width / 64]uint64
	Reported   bool   // there was an RTCP packet
	ReportLast uint32 // SRTCP index of the last one
	Reports    [Width / 64]uint64
}

// LogValue keeps the keys out of logs.
func (s State) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String keeps the keys out of messages.
func (s State) String() string {
	return fmt.Sprintf("%s state of %d sources", s.Profile, len(s.Sources))
}

// GoString keeps the keys out of messages.
func (s State) GoString() string { return s.String() }

func (k Keys) clone() Keys {
	return Keys{Profile: k.Profile, Key: bytes.Clone(k.Key), Salt: bytes.Clone(k.Salt)}
}

// State returns all that the sender knows.
func (s *Sender) State() State { return export(s.keys, &s.sources) }

// State returns all that the receiver knows.
func (r *Receiver) State() State { return export(r.keys, &r.sources) }

// ResumeSender goes on where another Sender was. That one must send nothing more.
// A state that may be older than the last packets sent is made good by Ahead.
func ResumeSender(st State) (*Sender, error) {
	s, err := NewSender(st.keys())
	if err != nil {
		return nil, err
	}
	if s.sources, err = st.sources(); err != nil {
		return nil, err
	}
	return s, nil
}

// ResumeReceiver goes on where another Receiver was.
func ResumeReceiver(st State) (*Receiver, error) {
	r, err := NewReceiver(st.keys())
	if err != nil {
		return nil, err
	}
	if r.sources, err = st.sources(); err != nil {
		return nil, err
	}
	return r, nil
}

// Ahead returns the state of a sender that may have sent so many packets and
// reports more than the state knows of: none of their indices will be used.
func (s State) Ahead(packets, reports uint32) State {
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		c := &s.Sources[i]
		if index := uint64(c.RollOver)<<16 | uint64(c.Sequence); c.Sent {
			index = min(index+uint64(packets), maxIndex)
			c.RollOver, c.Sequence = uint32(index>>16), uint16(index)
			c.Window = [2]uint64{^uint64(0), ^uint64(0)}
		}
		if c.Reported {
			c.ReportLast = uint32(min(uint64(c.ReportLast)+uint64(reports), maxReportIndex))
		} else if reports > 0 {
			c.Reported, c.ReportLast = true, min(reports, maxReportIndex)
		}
		c.Reports = [2]uint64{^uint64(0), ^uint64(0)}
	}
	return s
}

func (s State) keys() Keys { return Keys{Profile: s.Profile, Key: s.Key, Salt: s.Salt} }

func export(k Keys, list *sources) State {
	k = k.clone()
	s := State{Profile: k.Profile, Key: k.Key, Salt: k.Salt}
	for _, c := range list.list {
		s.Sources = append(s.Sources, SourceState{
			SSRC: c.ssrc,
			Sent: c.packets.begun, RollOver: uint32(c.packets.newest >> 16), Sequence: uint16(c.packets.newest), Window: c.packets.seen,
			Reported: c.reports.begun, ReportLast: uint32(c.reports.newest), Reports: c.reports.seen,
		})
	}
	return s
}

// sources reads what export wrote.
func (s State) sources() (list sources, err error) {
	if len(s.Sources) > MaxSources {
		return list, ErrSources
	}
	for _, c := range s.Sources {
		if list.find(c.SSRC) != nil || c.ReportLast > maxReportIndex {
			return list, fmt.Errorf("srtp: state of SSRC %d cannot be read", c.SSRC)
		}
		n := list.add(c.SSRC, false)
		if c.Sent {
			n.packets = window{begun: true, newest: uint64(c.RollOver)<<16 | uint64(c.Sequence), seen: c.Window}
			n.packets.seen[0] |= 1
		}
		if c.Reported {
			n.reports = window{begun: true, newest: uint64(c.ReportLast), seen: c.Reports}
			n.reports.seen[0] |= 1
		}
	}
	return list, nil
}
