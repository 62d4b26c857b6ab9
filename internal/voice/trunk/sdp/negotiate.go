package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

// Local is our side of a session.
type Local struct {
	Addr    netip.Addr
	Port    int // of RTP; RTCP is on the next
	Session uint64
	Version uint64 // grows with every description that differs
	Policy  Policy
	Crypto  []Crypto // our keys, unless Policy is Off
}

// DTMFType is the payload type that we offer telephone-event on.
const DTMFType = 101

var static = map[call.Codec]uint8{call.PCMU: 0, call.PCMA: 8}

// Offer writes an offer of the codecs, the most wanted first, with telephone-event.
func (l Local) Offer(codecs []call.Codec, d Direction) []byte {
	var payloads []Payload
	for _, c := range codecs {
		if pt, ok := static[c]; ok {
			payloads = append(payloads, Payload{Type: pt, Name: string(c), Rate: 8000})
		}
	}
	payloads = append(payloads, Payload{Type: DTMFType, Name: "TELEPHONE-EVENT", Rate: 8000})
	var b strings.Builder
	l.head(&b)
	proto := "RTP/AVP"
	if l.Policy == Required {
		proto = "RTP/SAVP"
	}
	l.stream(&b, proto, payloads, d, 20)
	if l.Policy != Off {
		for _, c := range offeredOf(l.Crypto) {
			b.WriteString(c.line())
		}
	}
	return []byte(b.String())
}

// Answer writes the answer to an offer whose Choose gave the format, and ChooseKeys
// the keys: every stream is answered in its place, all but the used one with port 0.
func (l Local) Answer(offer *Description, f media.Format, d Direction, k Keying) []byte {
	used, err := offer.Audio(l.Policy)
	if err != nil {
		used = -1
	}
	var b strings.Builder
	l.head(&b)
	for i, m := range offer.Media {
		if i != used {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", m.Kind, m.Proto, strings.Join(m.Formats, " "))
			continue
		}
		payloads := []Payload{{Type: f.PayloadType, Name: string(f.Codec), Rate: f.ClockRate}}
		if f.DTMF != 0 {
			payloads = append(payloads, Payload{Type: f.DTMF, Name: "TELEPHONE-EVENT", Rate: f.DTMFRate})
		}
		ptime := f.Ptime
		if ptime == 0 {
			ptime = 20
		}
		l.stream(&b, m.Proto, payloads, d, ptime)
		if k.Encrypted() {
			b.WriteString(Crypto{Tag: k.Tag, Keys: k.Send}.line())
		}
	}
	return []byte(b.String())
}

func (l Local) head(b *strings.Builder) {
	family := "IP4"
	if l.Addr.Is6() {
		family = "IP6"
	}
	fmt.Fprintf(b, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n",
		l.Session, l.Version, family, l.Addr, family, l.Addr)
}

func (l Local) stream(b *strings.Builder, proto string, payloads []Payload, d Direction, ptime int) {
	fmt.Fprintf(b, "m=audio %d %s", l.Port, proto)
	for _, p := range payloads {
		fmt.Fprintf(b, " %d", p.Type)
	}
	b.WriteString("\r\n")
	for _, p := range payloads {
		name := p.Name
		if name == "TELEPHONE-EVENT" {
			name = "telephone-event"
		}
		fmt.Fprintf(b, "a=rtpmap:%d %s/%d\r\n", p.Type, name, p.Rate)
		if name == "telephone-event" {
			fmt.Fprintf(b, "a=fmtp:%d 0-16\r\n", p.Type)
		}
	}
	fmt.Fprintf(b, "a=ptime:%d\r\na=%s\r\n", ptime, d)
}

// Choose agrees on a format with the far end's description: the first of our
// codecs that it has too.
func Choose(far *Description, ours []call.Codec, p Policy) (media.Format, Media, error) {
	i, err := far.Audio(p)
	if err != nil {
		return media.Format{}, Media{}, err
	}
	m := far.Media[i]
	theirs := m.Codecs()
	for _, c := range ours {
		if slices.Contains(theirs, c) {
			return m.format(c), m, nil
		}
	}
	return media.Format{}, m, ErrNoCodec
}

// Accept agrees on a format with the far end's answer to our offer: the first
// codec of the answer that we offered (RFC 3264 7).
func Accept(far *Description, offered []call.Codec, p Policy) (media.Format, Media, error) {
	i, err := far.Audio(p)
	if err != nil {
		return media.Format{}, Media{}, err
	}
	m := far.Media[i]
	for _, c := range m.Codecs() {
		if slices.Contains(offered, c) {
			return m.format(c), m, nil
		}
	}
	return media.Format{}, m, ErrNoCodec
}

func (m Media) format(c call.Codec) media.Format {
	f := media.Format{Codec: c, Ptime: m.Ptime, SendOnly: m.Held()}
	for _, p := range m.Payloads {
		switch {
		case p.Name == string(c) && p.Rate == 8000 && f.ClockRate == 0:
			f.PayloadType, f.ClockRate = p.Type, p.Rate
		case p.Name == "TELEPHONE-EVENT" && p.Rate == 8000 && f.DTMF == 0:
			f.DTMF, f.DTMFRate = p.Type, p.Rate
		}
	}
	return f
}
