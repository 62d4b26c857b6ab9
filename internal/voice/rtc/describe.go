package rtc

import (
	"fmt"
	"strings"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// own is what our SDP says.
type own struct {
	sections  []section // of the offer that we answer
	audio     int
	formats   []format
	setup     string
	direction string
}

// Our payload types where we offer: those that browsers use themselves.
const (
	opusType     = 111
	eventType    = 126 // telephone-event/8000
	eventType48k = 110
)

func ownOffer(codecs []call.Codec) own {
	o := own{sections: []section{{kind: "audio", proto: "UDP/TLS/RTP/SAVPF", mid: "0"}}, setup: "actpass", direction: "sendrecv"}
	var narrow, wide bool
	for _, c := range codecs {
		switch c {
		case call.PCMU:
			o.formats, narrow = append(o.formats, format{c, 0, 8000}), true
		case call.PCMA:
			o.formats, narrow = append(o.formats, format{c, 8, 8000}), true
		case call.Opus:
			o.formats, wide = append(o.formats, format{c, opusType, 48000}), true
		}
	}
	if wide {
		o.formats = append(o.formats, format{"", eventType48k, 48000})
	}
	if narrow {
		o.formats = append(o.formats, format{"", eventType, 8000})
	}
	return o
}

func ownAnswer(d *description, f media.Format, active bool) own {
	o := own{
		sections: d.sections, audio: d.audio, setup: "passive",
		formats:   []format{{f.Codec, f.PayloadType, f.ClockRate}},
		direction: map[string]string{"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}[d.direction],
	}
	if f.DTMF != 0 {
		o.formats = append(o.formats, format{"", f.DTMF, f.DTMFRate})
	}
	if o.direction == "" {
		o.direction = "sendrecv"
	}
	if active {
		o.setup = "active"
	}
	return o
}

// describe writes our SDP. It names no SSRC and no stream: a sender that takes
// over a call must be free to use another SSRC. Called with mu held.
func (p *Peer) describe(o own) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	addrs := p.engine.addresses()
	port := p.engine.listen.Port()
	line("v=0")
	line("o=- %d %d IN IP4 127.0.0.1", p.id, p.version)
	line("s=-")
	line("t=0 0")
	line("a=ice-lite")
	line("a=group:BUNDLE %s", o.sections[o.audio].mid)
	for i, s := range o.sections {
		if i != o.audio {
			line("m=%s 0 %s 0", s.kind, s.proto) // refused: formats count no more
			line("c=IN IP4 0.0.0.0")
			if s.mid != "" {
				line("a=mid:%s", s.mid)
			}
			line("a=inactive")
			continue
		}
		var types []string
		for _, f := range o.formats {
			types = append(types, fmt.Sprint(f.pt))
		}
		family := "IP4"
		if addrs[0].Is6() {
			family = "IP6"
		}
		line("m=audio %d %s %s", port, s.proto, strings.Join(types, " "))
		line("c=IN %s %s", family, addrs[0])
		line("a=rtcp-mux")
		line("a=mid:%s", s.mid)
		line("a=%s", o.direction)
		ours := p.local[len(p.local)-1]
		line("a=ice-ufrag:%s", ours.ufrag)
		line("a=ice-pwd:%s", ours.pwd)
		line("a=fingerprint:sha-256 %s", p.engine.print)
		line("a=setup:%s", o.setup)
		for _, f := range o.formats {
			f.describe(line)
		}
		for n, a := range addrs {
			// Host type, component 1; earlier ones preferred (RFC 8445, 5.1.2.1).
			line("a=candidate:%d 1 udp %d %s %d typ host", n+1, 126<<24|(65535-n)<<8|255, a, port)
		}
		line("a=end-of-candidates")
	}
	return b.String()
}

func (f format) describe(line func(string, ...any)) {
	switch f.codec {
	case call.Opus:
		line("a=rtpmap:%d opus/48000/2", f.pt)
		line("a=fmtp:%d minptime=10;useinbandfec=1", f.pt)
	case "":
		line("a=rtpmap:%d telephone-event/%d", f.pt, f.rate)
		line("a=fmtp:%d 0-15", f.pt)
	default:
		line("a=rtpmap:%d %s/%d", f.pt, f.codec, f.rate)
	}
}
