package trunk

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/trunk/audio"
	"dialtone/internal/voice/trunk/sdp"
)

// allow lists where the far end's audio may come from besides where it says.
func (d *dialog) allow() []netip.Prefix {
	signal := d.hop.Addr.Addr()
	list := slices.Clone(d.carrier.MediaSources)
	return append(list, netip.PrefixFrom(signal, signal.BitLen()))
}

// agree makes a negotiated format the session's.
func (l *leg) agree(d *dialog, f media.Format, m sdp.Media, k sdp.Keying) error {
	addr := netip.AddrPort{}
	if m.Addr.IsValid() {
		addr = netip.AddrPortFrom(m.Addr, uint16(m.Port))
	}
	err := l.session.Agree(audio.Far{
		Addr: addr, RTCP: uint16(m.RTCP), Allowed: d.allow(), Format: f, DTMF: sdp.DTMFType,
		Send: k.Send, Heard: k.Heard,
	})
	if err != nil {
		return err
	}
	if k.Encrypted() != l.encrypted {
		l.encrypted = k.Encrypted()
		l.log.Info("audio of the carrier", "encrypted", l.encrypted, "profile", k.Send.Profile.String())
	}
	if held := m.Held(); held != l.farHeld {
		l.farHeld = held
		if l.toldUp {
			l.tell(call.FarHold{On: held})
		}
	}
	return nil
}

// ours is our side as the dialog may know it.
func (l *leg) ours(d *dialog) sdp.Local {
	local := l.local
	local.Policy, local.Crypto = d.policy, d.crypto
	return local
}

// describe writes an offer of ours.
func (l *leg) describe(d *dialog, codecs []call.Codec, dir sdp.Direction) []byte {
	l.offered = codecs
	return l.say(func() []byte { return l.ours(d).Offer(codecs, dir) })
}

// say gives a description of ours a new version when it differs from the last.
func (l *leg) say(write func() []byte) []byte {
	body := write()
	if l.said != nil && string(body) != string(l.said) {
		l.local.Version++
		body = write()
	}
	l.said = body
	return body
}

// reply answers an offer: agrees on a format and returns our description. The
// wanted codecs come first, those that we can also speak follow.
func (l *leg) reply(d *dialog, body []byte, wanted []call.Codec) ([]byte, error) {
	far, err := sdp.Parse(body)
	if err != nil {
		return nil, err
	}
	f, m, err := sdp.Choose(far, l.preference(wanted), d.policy)
	if err != nil {
		return nil, err
	}
	keys, err := m.ChooseKeys(d.crypto, d.policy)
	if err != nil {
		return nil, err
	}
	if err := l.agree(d, f, m, keys); err != nil {
		return nil, err
	}
	dir := m.Direction.Mirror()
	if m.Held() && dir == sdp.SendRecv {
		dir = sdp.RecvOnly // the 0.0.0.0 of RFC 2543
	}
	return l.say(func() []byte { return l.ours(d).Answer(far, f, dir, keys) }), nil
}

// preference puts the wanted codecs that we speak before the others.
func (l *leg) preference(wanted []call.Codec) []call.Codec {
	var list []call.Codec
	for _, c := range append(slices.Clone(wanted), l.codecs...) {
		if slices.Contains(l.codecs, c) && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// takeAnswer agrees on what the far end answered to our offer.
func (l *leg) takeAnswer(d *dialog, body []byte) error {
	far, err := sdp.Parse(body)
	if err != nil {
		return err
	}
	f, m, err := sdp.Accept(far, l.offered, d.policy)
	if err != nil {
		return err
	}
	keys, err := m.AcceptKeys(d.crypto, d.policy)
	if err != nil {
		return err
	}
	return l.agree(d, f, m, keys)
}

// withSDP puts a description into a message.
func withSDP(msg sip.Message, body []byte) {
	t := sip.ContentTypeHeader("application/sdp")
	msg.AppendHeader(&t)
	msg.SetBody(body)
}

// descriptionOf returns the SDP of a message, also when it is one part of
// several (SIP-I carriers), nil without.
func descriptionOf(msg interface {
	Body() []byte
	ContentType() *sip.ContentTypeHeader
},
) []byte {
	if len(msg.Body()) == 0 {
		return nil
	}
	kind := "application/sdp"
	if t := msg.ContentType(); t != nil {
		kind = string(*t)
	}
	media, _, _ := strings.Cut(kind, ";")
	switch media = strings.ToLower(strings.TrimSpace(media)); {
	case media == "application/sdp":
		return msg.Body()
	case strings.HasPrefix(media, "multipart/"):
		return sdpPart(kind, msg.Body())
	}
	return nil
}
