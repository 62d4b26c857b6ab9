package device

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/ice/v4"
)

// What Chromium offers, in its order.
const browserTypes = "0 111 63 9 8 13 110 126"

const (
	pcmu       = 0
	pcma       = 8
	eventsType = 126 // telephone-event/8000 of Chromium's own offers
)

// ours writes a description as Chromium does: no candidates, nothing gathered.
func (a *audio) ours(setup, types string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %d 2 IN IP4 127.0.0.1", a.session)
	line("s=-")
	line("t=0 0")
	line("a=group:BUNDLE 0")
	line("a=extmap-allow-mixed")
	line("a=msid-semantic: WMS mic")
	line("m=audio 9 UDP/TLS/RTP/SAVPF %s", types)
	line("c=IN IP4 0.0.0.0")
	line("a=rtcp:9 IN IP4 0.0.0.0")
	line("a=ice-ufrag:%s", a.ufrag)
	line("a=ice-pwd:%s", a.pwd)
	line("a=ice-options:trickle")
	line("a=fingerprint:sha-256 %s", a.fingerprint)
	line("a=setup:%s", setup)
	line("a=mid:0")
	line("a=sendrecv")
	line("a=msid:mic mic")
	line("a=rtcp-mux")
	line("a=rtcp-rsize")
	for _, t := range strings.Fields(types) {
		switch t {
		case "0":
			line("a=rtpmap:0 PCMU/8000")
		case "8":
			line("a=rtpmap:8 PCMA/8000")
		case "9":
			line("a=rtpmap:9 G722/8000")
		case "13":
			line("a=rtpmap:13 CN/8000")
		case "63":
			line("a=rtpmap:63 red/48000/2")
			line("a=fmtp:63 111/111")
		case "111":
			line("a=rtpmap:111 opus/48000/2")
			line("a=rtcp-fb:111 transport-cc")
			line("a=fmtp:111 minptime=10;useinbandfec=1")
		case "110":
			line("a=rtpmap:110 telephone-event/48000")
		default:
			line("a=rtpmap:%s telephone-event/8000", t)
		}
	}
	line("a=ssrc:%d cname:device", a.ssrc)
	line("a=ssrc:%d msid:mic mic", a.ssrc)
	return b.String()
}

// description is what the server says.
type description struct {
	ufrag, pwd, fingerprint, setup string
	codec                          uint8 // payload type: the first that we speak
	events                         uint8 // telephone-event/8000; 0: none
	candidates                     []ice.Candidate
}

var errNoCodec = errors.New("the server's description has neither PCMU nor PCMA")

func parse(sdp string) (description, error) {
	var d description
	spoken := false
	for raw := range strings.Lines(sdp) {
		text := strings.TrimRight(raw, "\r\n")
		if media, ok := strings.CutPrefix(text, "m=audio "); ok {
			fields := strings.Fields(media)
			for _, t := range fields[min(2, len(fields)):] {
				switch {
				case spoken:
				case t == "0":
					d.codec, spoken = pcmu, true
				case t == "8":
					d.codec, spoken = pcma, true
				}
			}
			continue
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(text, "a="), ":")
		switch name {
		case "ice-ufrag":
			d.ufrag = value
		case "ice-pwd":
			d.pwd = value
		case "fingerprint":
			d.fingerprint = value
		case "setup":
			d.setup = value
		case "rtpmap":
			pt, encoding, _ := strings.Cut(value, " ")
			if n, err := strconv.ParseUint(pt, 10, 7); err == nil && encoding == "telephone-event/8000" {
				d.events = uint8(n)
			}
		case "candidate":
			c, err := ice.UnmarshalCandidate(value)
			if err != nil {
				return d, fmt.Errorf("candidate %q: %w", value, err)
			}
			d.candidates = append(d.candidates, c)
		}
	}
	switch {
	case d.ufrag == "" || d.pwd == "" || d.fingerprint == "" || d.setup == "":
		return d, errors.New("the server's description lacks ICE or DTLS")
	case len(d.candidates) == 0:
		return d, errors.New("the server's description has no candidate")
	case !spoken:
		return d, errNoCodec
	}
	return d, nil
}
