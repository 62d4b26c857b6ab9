package carrier

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// direction is who may send, seen from the side that wrote the description.
type direction string

const (
	sendRecv direction = "sendrecv"
	sendOnly direction = "sendonly"
	recvOnly direction = "recvonly"
	inactive direction = "inactive"
)

func (d direction) sends() bool    { return d == sendRecv || d == sendOnly }
func (d direction) receives() bool { return d == sendRecv || d == recvOnly }

// answer returns what to answer to an offer of d when we want w ourselves
// (RFC 3264, 6.1).
func (d direction) answer(w direction) direction {
	send, receive := d.receives() && w.sends(), d.sends() && w.receives()
	switch {
	case send && receive:
		return sendRecv
	case send:
		return sendOnly
	case receive:
		return recvOnly
	}
	return inactive
}

// description is what we need of a session description: where the other side
// wants its audio, and as what.
type description struct {
	audio     netip.AddrPort
	index     int      // which of the media sections it is
	sections  []string // the media lines' kinds and protocols, to refuse the others in an answer
	codecs    []codec  // the known ones, in the offer's order
	events    uint8    // payload type of telephone-event, 0 if there is none
	direction direction
}

// parseSDP reads an offer or an answer. It fails when no audio section over
// plain RTP is left in it.
func parseSDP(body []byte) (description, error) {
	var s sdp.SessionDescription
	if err := s.Unmarshal(body); err != nil {
		return description{}, fmt.Errorf("read SDP: %w", err)
	}
	d := description{index: -1}
	for i, m := range s.MediaDescriptions {
		protocol := strings.Join(m.MediaName.Protos, "/")
		d.sections = append(d.sections, fmt.Sprintf("%s 0 %s %s", m.MediaName.Media, protocol, strings.Join(m.MediaName.Formats, " ")))
		if d.index >= 0 || m.MediaName.Media != "audio" || protocol != "RTP/AVP" || m.MediaName.Port.Value == 0 {
			continue
		}
		if err := d.audioSection(&s, m); err != nil {
			return description{}, err
		}
		d.index = i
	}
	if d.index < 0 {
		return description{}, errors.New("SDP offers no audio over RTP/AVP")
	}
	return d, nil
}

func (d *description) audioSection(s *sdp.SessionDescription, m *sdp.MediaDescription) error {
	connection := m.ConnectionInformation
	if connection == nil {
		connection = s.ConnectionInformation
	}
	if connection == nil || connection.Address == nil {
		return errors.New("SDP without a connection address")
	}
	address, err := netip.ParseAddr(connection.Address.Address)
	if err != nil {
		return fmt.Errorf("SDP connection address: %w", err)
	}
	if m.MediaName.Port.Value < 0 || m.MediaName.Port.Value > 65535 {
		return fmt.Errorf("SDP port %d", m.MediaName.Port.Value)
	}
	d.audio = netip.AddrPortFrom(address, uint16(m.MediaName.Port.Value))

	for _, dir := range []direction{sendOnly, recvOnly, inactive, sendRecv} {
		if _, ok := m.Attribute(string(dir)); ok {
			d.direction = dir
		} else if _, ok := s.Attribute(string(dir)); ok && d.direction == "" {
			d.direction = dir
		}
	}
	if d.direction == "" {
		d.direction = sendRecv
	}
	if address.IsUnspecified() { // hold as RFC 2543 had it: nowhere to send to
		d.direction = recvOnly.answer(d.direction).reverse()
	}

	maps := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000"} // static types (RFC 3551, 6)
	for _, a := range m.Attributes {
		if a.Key == "rtpmap" {
			if format, name, ok := strings.Cut(a.Value, " "); ok {
				maps[format] = name
			}
		}
	}
	for _, format := range m.MediaName.Formats {
		pt, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		name := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(maps[format])), "/1")
		if name == "TELEPHONE-EVENT/8000" {
			d.events = uint8(pt)
		} else if c, ok := codecNamed(strings.TrimSuffix(name, "/8000")); ok && strings.HasSuffix(name, "/8000") {
			c.pt = uint8(pt)
			d.codecs = append(d.codecs, c)
		}
	}
	return nil
}

// reverse is the same direction seen from the other side.
func (d direction) reverse() direction {
	switch d {
	case sendOnly:
		return recvOnly
	case recvOnly:
		return sendOnly
	}
	return d
}

// pick returns the first codec of d that is among names.
func (d description) pick(names []string) (codec, bool) {
	i := slices.IndexFunc(d.codecs, func(c codec) bool { return slices.Contains(names, c.name) })
	if i < 0 {
		return codec{}, false
	}
	return d.codecs[i], true
}

// ours is what a description of our own says.
type ours struct {
	session   uint64 // of the o= line, the same for the whole dialog
	version   int    // of the o= line, rising with each change (RFC 3264, 8)
	audio     netip.AddrPort
	codecs    []codec
	events    uint8
	direction direction
}

// offer writes an offer with the one audio section.
func (o ours) offer() []byte { return o.write(nil, 0) }

// answer writes an answer, which has as many sections as the offer had; all
// but the audio section are refused (RFC 3264, 6).
func (o ours) answer(to description) []byte { return o.write(to.sections, to.index) }

func (o ours) write(sections []string, index int) []byte {
	family := "IP4"
	if o.audio.Addr().Is6() {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=carrier %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n",
		o.session, o.version, family, o.audio.Addr(), family, o.audio.Addr())
	for _, refused := range sections[:min(index, len(sections))] {
		fmt.Fprintf(&b, "m=%s\r\n", refused)
	}
	fmt.Fprintf(&b, "m=audio %d RTP/AVP", o.audio.Port())
	for _, c := range o.codecs {
		fmt.Fprintf(&b, " %d", c.pt)
	}
	if o.events != 0 {
		fmt.Fprintf(&b, " %d", o.events)
	}
	b.WriteString("\r\n")
	for _, c := range o.codecs {
		fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c.pt, c.name)
	}
	if o.events != 0 {
		fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", o.events, o.events)
	}
	fmt.Fprintf(&b, "a=ptime:20\r\na=%s\r\n", o.direction)
	for _, refused := range sections[min(index+1, len(sections)):] {
		fmt.Fprintf(&b, "m=%s\r\n", refused)
	}
	return []byte(b.String())
}
