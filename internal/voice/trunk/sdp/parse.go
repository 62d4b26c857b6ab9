// Package sdp reads and writes the session descriptions of carrier legs: one
// G.711 audio stream with telephone-event over RTP/AVP, or RTP/SAVP with its keys
// (RFC 4568), by offer and answer (RFC 4566, RFC 3264). Other streams are answered
// with port 0.
//
// It is lenient where carriers are: line ends, missing s= and t= lines. It holds
// no state.
package sdp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"dialtone/internal/voice/call"
)

// Direction of a stream, as the description's author sees it.
type Direction string

// The directions.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Mirror returns the direction for the answer to d (RFC 3264 6.1).
func (d Direction) Mirror() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	case Inactive:
		return Inactive
	case SendRecv:
	}
	return SendRecv
}

// Description is what one side said.
type Description struct {
	Version uint64 // of its o= line
	Media   []Media
}

// Media is one m= section.
type Media struct {
	Kind      string // "audio", "video", …
	Port      int
	Proto     string   // "RTP/AVP"
	Formats   []string // as in the m= line
	Addr      netip.Addr
	RTCP      int // port, 0: Port+1
	Direction Direction
	Ptime     int // milliseconds, 0 when not said
	Payloads  []Payload
	Crypto    []Crypto // those that we understand
}

// Payload is one RTP payload type of a stream.
type Payload struct {
	Type uint8
	Name string // encoding name in upper case
	Rate uint32
}

// Errors of Parse and Audio.
var (
	ErrSyntax  = errors.New("sdp: cannot be read")
	ErrNoAudio = errors.New("sdp: no usable audio stream")
	ErrNoCodec = errors.New("sdp: no common codec")
)

const (
	maxLines = 2000
	maxMedia = 32
)

// Parse reads a description.
func Parse(b []byte) (*Description, error) {
	d := &Description{}
	var session Media
	session.Direction = SendRecv
	at := &session
	lines := strings.Split(string(b), "\n")
	if len(lines) > maxLines || strings.TrimRight(lines[0], "\r ") != "v=0" {
		return nil, ErrSyntax
	}
	for _, line := range lines[1:] {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			continue
		}
		kind, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, ErrSyntax
		}
		switch strings.TrimSpace(kind) {
		case "o":
			if f := strings.Fields(value); len(f) >= 3 {
				d.Version, _ = strconv.ParseUint(f[2], 10, 64)
			}
		case "c":
			addr, err := connection(value)
			if err != nil {
				return nil, err
			}
			at.Addr = addr
		case "m":
			m, err := mediaLine(value)
			if err != nil || len(d.Media) == maxMedia {
				return nil, ErrSyntax
			}
			m.Addr, m.Direction, m.Ptime = session.Addr, session.Direction, session.Ptime
			d.Media = append(d.Media, m)
			at = &d.Media[len(d.Media)-1]
		case "a":
			at.attribute(value)
		}
	}
	return d, nil
}

// connection reads "IN IP4 192.0.2.1". A host name gives the zero Addr: where
// its audio comes from is learnt from the audio.
func connection(value string) (netip.Addr, error) {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" {
		return netip.Addr{}, ErrSyntax
	}
	host, _, _ := strings.Cut(f[2], "/")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, nil
	}
	return addr.Unmap().WithZone(""), nil
}

func mediaLine(value string) (m Media, err error) {
	f := strings.Fields(value)
	if len(f) < 4 {
		return m, ErrSyntax
	}
	port, _, _ := strings.Cut(f[1], "/")
	if m.Port, err = strconv.Atoi(port); err != nil || m.Port < 0 || m.Port > 65535 {
		return m, ErrSyntax
	}
	m.Kind, m.Proto, m.Formats = f[0], f[2], f[3:]
	for _, format := range m.Formats {
		n, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		p := Payload{Type: uint8(n)}
		switch n {
		case 0:
			p.Name, p.Rate = string(call.PCMU), 8000
		case 8:
			p.Name, p.Rate = string(call.PCMA), 8000
		}
		m.Payloads = append(m.Payloads, p)
	}
	return m, nil
}

func (m *Media) attribute(value string) {
	name, arg, _ := strings.Cut(value, ":")
	switch name = strings.TrimSpace(name); name {
	case "rtpmap":
		number, encoding, _ := strings.Cut(strings.TrimSpace(arg), " ")
		n, err := strconv.ParseUint(number, 10, 7)
		if err != nil {
			return
		}
		parts := strings.Split(strings.TrimSpace(encoding), "/")
		rate := uint64(8000)
		if len(parts) > 1 {
			if rate, err = strconv.ParseUint(parts[1], 10, 32); err != nil {
				return
			}
		}
		for i := range m.Payloads {
			if m.Payloads[i].Type == uint8(n) {
				m.Payloads[i].Name, m.Payloads[i].Rate = strings.ToUpper(parts[0]), uint32(rate)
			}
		}
	case "ptime":
		if n, err := strconv.Atoi(strings.TrimSpace(arg)); err == nil && n > 0 && n <= 200 {
			m.Ptime = n
		}
	case "crypto":
		if c, ok := parseCrypto(arg); ok && len(m.Crypto) < maxCrypto {
			m.Crypto = append(m.Crypto, c)
		}
	case "rtcp":
		port, _, _ := strings.Cut(strings.TrimSpace(arg), " ")
		if n, err := strconv.Atoi(port); err == nil && n > 0 && n <= 65535 {
			m.RTCP = n
		}
	case string(SendRecv), string(SendOnly), string(RecvOnly), string(Inactive):
		m.Direction = Direction(name)
	}
}

// Audio returns the index of the stream we would use: the first audio stream that
// the policy allows and that is not switched off, an encrypted one before others.
func (d *Description) Audio(p Policy) (int, error) {
	found := -1
	for i, m := range d.Media {
		if m.Kind != "audio" || m.Port == 0 || !m.fits(p) {
			continue
		}
		if m.Secure() {
			return i, nil
		}
		if found < 0 {
			found = i
		}
	}
	if found < 0 {
		return 0, ErrNoAudio
	}
	return found, nil
}

// Codecs returns the audio codecs of a stream that we speak, in its order.
func (m Media) Codecs() []call.Codec {
	var list []call.Codec
	for _, p := range m.Payloads {
		if c := call.Codec(p.Name); p.Rate == 8000 && (c == call.PCMU || c == call.PCMA) {
			list = append(list, c)
		}
	}
	return list
}

// Held reports whether the stream's author does not want to hear us: sendonly,
// inactive, or the unspecified address of RFC 2543.
func (m Media) Held() bool {
	return m.Direction == SendOnly || m.Direction == Inactive || m.Addr.IsValid() && m.Addr.IsUnspecified()
}
