package rtc

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// maxSDP is the longest SDP that is read, in bytes. A browser's audio offer takes
// three to five thousand.
const maxSDP = 32 << 10

// description is what we need of a browser's SDP.
type description struct {
	sections    []section // all of them, since an answer has one for each
	audio       int       // index of ours; -1 if there is none
	bundled     bool
	mux         bool
	lite        bool
	ice         credentials
	fingerprint fingerprint
	setup       string
	direction   string
	ptime       int
	codecs      []format
	events      []format // telephone-event
}

type section struct{ kind, proto, mid string }

type format struct {
	codec call.Codec
	pt    uint8
	rate  uint32
}

// parseDescription reads an SDP with an audio section.
func parseDescription(text string) (*description, error) {
	if len(text) > maxSDP {
		return nil, fault.New(fault.Invalid, "The SDP is longer than %d bytes.", maxSDP)
	}
	var s sdp.SessionDescription
	if err := s.UnmarshalString(text); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The SDP cannot be read.")
	}
	d := &description{audio: -1}
	for i, m := range s.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		d.sections = append(d.sections, section{
			kind: m.MediaName.Media, proto: strings.Join(m.MediaName.Protos, "/"),
			mid: mid,
		})
		if m.MediaName.Media == "audio" && d.audio < 0 && m.MediaName.Port.Value != 0 {
			d.audio = i
		}
	}
	if d.audio < 0 {
		return nil, fault.New(fault.Invalid, "The SDP has no audio section, or it is switched off.")
	}
	m := s.MediaDescriptions[d.audio]
	if !strings.HasSuffix(d.sections[d.audio].proto, "RTP/SAVPF") {
		return nil, fault.New(fault.Invalid, "The SDP's audio is not DTLS-SRTP (UDP/TLS/RTP/SAVPF).")
	}
	d.transport(&s, m)
	d.formats(m)
	return d, nil
}

// transport reads how the packets travel: attributes of the audio section, or of
// the session for all sections.
func (d *description) transport(s *sdp.SessionDescription, m *sdp.MediaDescription) {
	get := func(key string) string {
		if v, ok := m.Attribute(key); ok {
			return strings.TrimSpace(v)
		}
		v, _ := s.Attribute(key)
		return strings.TrimSpace(v)
	}
	d.ice = credentials{ufrag: get("ice-ufrag"), pwd: get("ice-pwd")}
	hash, value, _ := strings.Cut(get("fingerprint"), " ")
	d.fingerprint = fingerprint{hash: strings.ToLower(hash), value: strings.ToUpper(strings.TrimSpace(value))}
	d.setup = strings.ToLower(get("setup"))
	_, d.mux = m.Attribute("rtcp-mux")
	_, d.lite = s.Attribute("ice-lite")
	d.direction = "sendrecv"
	for _, dir := range []string{"sendonly", "recvonly", "inactive"} {
		if _, ok := m.Attribute(dir); ok {
			d.direction = dir
		} else if _, ok := s.Attribute(dir); ok {
			d.direction = dir
		}
	}
	if n, err := strconv.Atoi(get("ptime")); err == nil && n >= 10 && n <= 200 {
		d.ptime = n
	}
	group, _ := s.Attribute("group")
	words := strings.Fields(group)
	mid := d.sections[d.audio].mid
	d.bundled = len(words) > 1 && words[0] == "BUNDLE" && mid != "" && slices.Contains(words[1:], mid)
}

// formats reads the payload types that we know, in their order.
func (d *description) formats(m *sdp.MediaDescription) {
	names := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000"}
	for _, a := range m.Attributes {
		if a.Key == "rtpmap" {
			if pt, name, ok := strings.Cut(a.Value, " "); ok {
				names[pt] = strings.TrimSpace(name)
			}
		}
	}
	for _, f := range m.MediaName.Formats {
		n, err := strconv.ParseUint(f, 10, 8)
		if err != nil || n > 127 || n >= 64 && n < 96 { // 64–95 would be taken for RTCP (RFC 5761, 4)
			continue
		}
		switch pt := uint8(n); strings.ToLower(names[f]) {
		case "pcmu/8000", "pcmu/8000/1":
			d.codecs = append(d.codecs, format{call.PCMU, pt, 8000})
		case "pcma/8000", "pcma/8000/1":
			d.codecs = append(d.codecs, format{call.PCMA, pt, 8000})
		case "opus/48000/2":
			d.codecs = append(d.codecs, format{call.Opus, pt, 48000})
		case "telephone-event/8000":
			d.events = append(d.events, format{"", pt, 8000})
		case "telephone-event/48000":
			d.events = append(d.events, format{"", pt, 48000})
		}
	}
}

// complete says what is missing to set up the media.
func (d *description) complete() error {
	switch {
	case len(d.codecs) == 0:
		return fault.New(fault.Invalid, "The SDP offers no codec that we speak (PCMU, PCMA, opus).")
	case !d.mux:
		return fault.New(fault.Invalid, "The SDP does not allow RTP and RTCP on one port (a=rtcp-mux).")
	case !d.bundled:
		return fault.New(fault.Invalid, "The SDP's audio is not in a BUNDLE group (a=group:BUNDLE, a=mid).")
	case len(d.ice.ufrag) < 4 || len(d.ice.ufrag) > 256 || len(d.ice.pwd) < 22 || len(d.ice.pwd) > 256:
		return fault.New(fault.Invalid, "The SDP has no usable ICE credentials (a=ice-ufrag, a=ice-pwd).")
	case d.lite:
		return fault.New(fault.Invalid, "The SDP says a=ice-lite; one side must be a full ICE agent.")
	case !d.fingerprint.usable():
		return fault.New(fault.Invalid, "The SDP has no usable certificate fingerprint (a=fingerprint:sha-256 …).")
	case d.setup != "actpass" && d.setup != "active" && d.setup != "passive":
		return fault.New(fault.Invalid, "The SDP does not say which side begins DTLS (a=setup).")
	}
	return nil
}

func (f fingerprint) usable() bool {
	size, known := map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}[f.hash]
	raw, err := hex.DecodeString(strings.ReplaceAll(f.value, ":", ""))
	return known && err == nil && len(raw) == size
}

// choose picks the first of the codecs that the browser offered too.
func (d *description) choose(codecs []call.Codec) (media.Format, error) {
	for _, c := range codecs {
		for _, f := range d.codecs {
			if f.codec == c {
				return d.agreed(f), nil
			}
		}
	}
	return media.Format{}, fault.New(fault.Invalid, "The SDP has none of the codecs that the call needs.")
}

// accepted returns what an answer agreed to: its first codec that we offered.
func (d *description) accepted(offered []call.Codec) (media.Format, error) {
	for _, f := range d.codecs {
		if slices.Contains(offered, f.codec) {
			return d.agreed(f), nil
		}
	}
	return media.Format{}, fault.New(fault.Invalid, "The SDP answer has no codec that was offered.")
}

// agreed adds the telephone-event that goes with the codec: of its own clock rate
// if there is one (RFC 4733, 2.1).
func (d *description) agreed(f format) media.Format {
	out := media.Format{
		Codec: f.codec, PayloadType: f.pt, ClockRate: f.rate, Ptime: d.ptime,
		SendOnly: d.direction == "sendonly" || d.direction == "inactive",
	}
	for _, ev := range d.events {
		if out.DTMF == 0 || ev.rate == f.rate && out.DTMFRate != f.rate {
			out.DTMF, out.DTMFRate = ev.pt, ev.rate
		}
	}
	return out
}

// Offered returns the codecs of an SDP offer that we know, in its order.
func Offered(sdp string) ([]call.Codec, error) {
	d, err := parseDescription(sdp)
	if err != nil {
		return nil, err
	}
	var out []call.Codec
	for _, f := range d.codecs {
		if !slices.Contains(out, f.codec) {
			out = append(out, f.codec)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "The SDP offers no codec that we speak (PCMU, PCMA, opus).")
	}
	return out, nil
}
