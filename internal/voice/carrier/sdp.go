package carrier

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
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

// section is one media section as it stands, or the lines before the first.
type section struct {
	kind, protocol string
	port           uint64
	formats        []string
	connection     string   // the value of its c= line
	attributes     []string // the values of its a= lines
}

// sections splits a description. It reads what is needed and skips the rest:
// carriers send lines that stricter readers refuse, such as T.38's.
func sections(body []byte) (session section, media []section, err error) {
	lines := strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
	if lines[0] != "v=0" {
		return section{}, nil, errors.New("SDP does not begin with v=0")
	}
	at := &session
	for _, line := range lines {
		kind, value, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			if line != "" {
				return section{}, nil, errors.New("SDP line without a type")
			}
		case kind == "m":
			f := strings.Fields(value)
			if len(f) < 4 {
				return section{}, nil, errors.New("SDP media line with too few parts")
			}
			port, _, _ := strings.Cut(f[1], "/")
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return section{}, nil, fmt.Errorf("SDP port: %w", err)
			}
			media = append(media, section{kind: f[0], protocol: f[2], port: n, formats: f[3:]})
			at = &media[len(media)-1]
		case kind == "c":
			at.connection = value
		case kind == "a":
			at.attributes = append(at.attributes, value)
		}
	}
	return session, media, nil
}

// parseSDP reads an offer or an answer. It fails when no audio section over
// plain RTP is left in it.
func parseSDP(body []byte) (description, error) {
	session, media, err := sections(body)
	if err != nil {
		return description{}, err
	}
	d := description{index: -1}
	for i, m := range media {
		d.sections = append(d.sections, fmt.Sprintf("%s 0 %s %s", m.kind, m.protocol, strings.Join(m.formats, " ")))
		if d.index >= 0 || m.kind != "audio" || m.protocol != "RTP/AVP" || m.port == 0 {
			continue
		}
		if err := d.audioSection(session, m); err != nil {
			return description{}, err
		}
		d.index = i
	}
	if d.index < 0 {
		return description{}, errors.New("SDP offers no audio over RTP/AVP")
	}
	return d, nil
}

func (d *description) audioSection(session, m section) error {
	connection := m.connection
	if connection == "" {
		connection = session.connection
	}
	f := strings.Fields(connection)
	if len(f) != 3 || f[0] != "IN" {
		return errors.New("SDP without a connection address")
	}
	address, err := netip.ParseAddr(f[2])
	if err != nil {
		return fmt.Errorf("SDP connection address: %w", err)
	}
	d.audio = netip.AddrPortFrom(address.WithZone(""), uint16(m.port))

	d.direction = sendRecv
	for _, a := range slices.Concat(session.attributes, m.attributes) { // the section's own come last and win
		if dir := direction(a); dir == sendRecv || dir == sendOnly || dir == recvOnly || dir == inactive {
			d.direction = dir
		}
	}
	if address.IsUnspecified() { // hold as RFC 2543 had it: nowhere to send to
		d.direction = recvOnly.answer(d.direction)
	}

	maps := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000"} // static types (RFC 3551, 6)
	for _, a := range m.attributes {
		if value, ok := strings.CutPrefix(a, "rtpmap:"); ok {
			if format, name, ok := strings.Cut(value, " "); ok {
				maps[format] = name
			}
		}
	}
	for _, format := range m.formats {
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
	default:
		return d
	}
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
