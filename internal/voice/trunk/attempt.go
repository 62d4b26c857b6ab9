package trunk

import (
	"crypto/rand"
	mrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/trunk/sdp"
	"dialtone/internal/voice/trunk/transaction"
)

// attempt is one carrier's try. An abandoned one lives on until it is certain
// that nobody answers it.
type attempt struct {
	out       *outgoing
	carrier   *carrier
	dialog    *dialog // what all its early dialogs have in common
	hop       transaction.Hop
	tx        *transaction.Client
	started   time.Time
	seq       uint32 // of the INVITE
	try       strand.Alarm
	abandoned bool // another carrier is tried, or the call was given up
	rang      bool
	over      bool
	expires   time.Duration
	tries     int // INVITEs sent, for challenges, redirections, intervals
	proven    int // of them with credentials
	forks     map[string]*fork
}

// fork is one early dialog of an attempt.
type fork struct {
	*dialog
	rseq   uint32
	ack    []byte
	ackHop transaction.Hop
}

// maxTries bounds how often one carrier may ask for another INVITE.
const maxTries = 5

func (o *outgoing) attempt(c *carrier, hop transaction.Hop) {
	s, l := o.leg.s, o.leg
	a := &attempt{out: o, carrier: c, hop: hop, started: time.Now(), expires: c.SessionExpires, forks: map[string]*fork{}}
	host, port := strings.Trim(c.Host, "[]"), c.Port
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	number := c.NumberFormat.write(o.to.Number)
	target := sip.Uri{Scheme: "sip", User: number, Host: host, Port: port}
	if c.Transport != transaction.UDP {
		target.UriParams.Add("transport", c.Transport)
	}
	a.dialog = &dialog{
		carrier: c, callID: rand.Text() + rand.Text()[:6], localTag: newTag(), hop: hop,
		localURI: sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}, localName: "Anonymous",
		remoteURI: sip.Uri{Scheme: "sip", User: number, Host: host}, target: target, seq: mrand.Uint32N(1 << 16),
	}
	a.dialog.encrypt()
	if o.from != "" {
		a.dialog.localURI = sip.Uri{Scheme: "sip", User: c.CallerIDFormat.write(o.from), Host: c.FromDomain}
		a.dialog.localName = quote(o.dial.From.Name)
	}
	if c.Proxy != "" {
		proxy := sip.Uri{Scheme: "sip", Host: hop.Addr.Addr().String(), Port: int(hop.Addr.Port())}
		proxy.UriParams.Add("lr", "")
		if c.Transport != transaction.UDP {
			proxy.UriParams.Add("transport", c.Transport)
		}
		a.dialog.routes = []sip.Uri{proxy}
	}
	l.local.Addr = s.mediaAddr(c, hop.Addr.Addr())
	key := dialogKey(a.dialog.callID, a.dialog.localTag)
	l.keys = append(l.keys, key)
	s.addLeg(key, l)
	o.attempts = append(o.attempts, a)
	a.try.Set(l.queue, s.o.Config.TryFor, func() {
		a.abandon()
		o.failed(a, 0)
	})
	a.invite(nil)
}

func quote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(name)
}

// invite sends the INVITE, again with what the carrier asked for.
func (a *attempt) invite(auth sip.Header) {
	l, s, c := a.out.leg, a.out.leg.s, a.carrier
	a.tries++
	a.dialog.seq++
	a.seq = a.dialog.seq
	req := a.request()
	if auth != nil {
		req.AppendHeader(auth)
	}
	withSDP(req, l.describe(a.dialog, l.preference(a.out.dial.Codecs), sdp.SendRecv))
	a.forks = map[string]*fork{}
	l.log.Info("calling by trunk", "trunk", c.Name)
	// A response of an INVITE that was sent anew is none of the new one.
	seq := a.seq
	a.tx = s.layer.Send(req, a.hop, func(res *sip.Response, err error) {
		l.queue.Post(func() {
			if seq == a.seq {
				a.received(res, err)
			}
		})
	})
	if a.abandoned {
		a.tx.Cancel()
	}
}

func (a *attempt) request() *sip.Request {
	s, c := a.out.leg.s, a.carrier
	req, _ := a.dialog.request(sip.INVITE, a.seq)
	req.AppendHeader(s.contact(c, a.hop))
	req.AppendHeader(sip.NewHeader("Allow", allowed))
	req.AppendHeader(sip.NewHeader("Supported", supported))
	if c.Require100rel {
		req.AppendHeader(sip.NewHeader("Require", "100rel"))
	}
	req.AppendHeader(sip.NewHeader("Session-Expires", seconds(a.expires)))
	req.AppendHeader(minSE())
	req.AppendHeader(sip.NewHeader("User-Agent", s.o.UserAgent))
	if a.out.from == "" {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	} else {
		req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<"+a.dialog.localURI.String()+">"))
	}
	return req
}

// abandon leaves the attempt to itself: it is cancelled, and should it be
// answered all the same, hung up.
func (a *attempt) abandon() {
	if a.abandoned || a.over {
		return
	}
	a.abandoned = true
	a.try.Stop()
	a.tx.Cancel()
}

// received takes whatever comes of the INVITE.
func (a *attempt) received(res *sip.Response, err error) {
	switch {
	case err != nil:
		a.final(0)
	case res.IsProvisional():
		a.try.Stop()
		if !a.abandoned && !a.over {
			a.provisional(res)
		}
	case res.IsSuccess():
		a.success(res)
	default:
		if !a.again(res) {
			a.final(res.StatusCode)
		}
	}
}

// provisional takes a 1xx: ringing, or early media.
func (a *attempt) provisional(res *sip.Response) {
	o, l := a.out, a.out.leg
	f := a.fork(res)
	if f == nil {
		return // 100, or a 1xx that makes no dialog
	}
	if !f.acknowledge(l, res) || l.over || l.up {
		return
	}
	if body := descriptionOf(res); body != nil {
		if err := l.takeAnswer(f.dialog, body); err != nil {
			l.log.Info("early media not understood", "error", err)
		} else if a.rang = true; !o.heard {
			o.heard, o.rang = true, true
			l.tell(call.Progress{Early: true, Codecs: []call.Codec{l.session.Codec()}, Trunk: a.carrier.Name})
		}
		return
	}
	if res.StatusCode == sip.StatusRinging {
		a.rang = true
		if !o.rang {
			o.rang = true
			l.tell(call.Progress{Trunk: a.carrier.Name})
		}
	}
}

// fork returns the dialog of a response with a tag, which may be a new one: a
// carrier may ring several phones (RFC 3261 13.2.2.4).
func (a *attempt) fork(res *sip.Response) *fork {
	tag, _ := res.To().Params.Get("tag")
	if tag == "" && res.IsProvisional() || res.StatusCode == sip.StatusTrying {
		return nil
	}
	if f := a.forks[tag]; f != nil {
		return f
	}
	if len(a.forks) >= 64 {
		return nil
	}
	d := *a.dialog
	d.routes = nil
	f := &fork{dialog: &d}
	f.learn(res)
	a.forks[tag] = f
	return f
}

// early returns the early dialog with the far end's tag.
func (o *outgoing) early(tag string) *dialog {
	for _, a := range o.attempts {
		if f := a.forks[tag]; f != nil {
			return f.dialog
		}
	}
	return nil
}

// success takes a 2xx, the first or any other: each wants its ACK, and only the
// first one on a call that is still wanted becomes the call.
func (a *attempt) success(res *sip.Response) {
	o, l := a.out, a.out.leg
	f := a.fork(res)
	if f == nil {
		return
	}
	if f.ack != nil {
		l.s.layer.Rewrite(f.ack, f.ackHop)
		return
	}
	f.learn(res)
	ack, hop := f.request(sip.ACK, a.seq)
	ack.SetBody(nil)
	f.ackHop = hop
	f.ack, _ = l.s.layer.Write(ack, hop)
	if l.over || l.up || a.over {
		l.sendIn(f.dialog, sip.BYE, func(req *sip.Request) { req.AppendHeader(reason(call.Cancelled)) }, nil,
			func(*sip.Response, error) { a.finish() })
		if !a.over && !a.abandoned {
			o.answered(a.carrier, res.StatusCode, time.Since(a.started), false)
		}
		a.over = true
		return
	}
	a.over = true
	a.try.Stop()
	o.ring.Stop()
	o.answered(a.carrier, res.StatusCode, time.Since(a.started), false)
	l.dialog = f.dialog
	if l.carrier != a.carrier { // an abandoned carrier answered first
		if l.carrier != nil {
			l.carrier.leave()
		}
		l.carrier = a.carrier
		a.carrier.enter(true)
	}
	for _, other := range o.attempts {
		if other != a {
			other.abandon()
		}
	}
	l.up = true
	err := sdp.ErrNoAudio
	if body := descriptionOf(res); body != nil {
		err = l.takeAnswer(f.dialog, body)
	} else if _, agreed := l.session.Format(); agreed {
		err = nil // it was said by a provisional response
	}
	a.finish()
	if err != nil {
		l.log.Info("answer not understood", "error", err)
		l.down(call.NoCodec, sip.StatusNotAcceptableHere)
		l.bye(call.NoCodec)
		return
	}
	l.settleSession(res)
	l.tellUp()
}

// again sends the INVITE anew where the carrier says how: with credentials, to
// another of its addresses, with a longer session.
func (a *attempt) again(res *sip.Response) bool {
	if a.abandoned || a.over || a.tries >= maxTries {
		return false
	}
	c := a.carrier
	switch {
	case transaction.Challenged(res):
		if c.Username == "" || a.proven > 0 && (a.proven > 1 || !stale(res)) {
			return false // it did not believe us
		}
		a.seq++ // as invite will; the digest does not depend on it
		probe := a.request()
		a.seq--
		withSDP(probe, a.out.leg.said)
		h, err := credentials(probe, res, c.Username, c.Password)
		if err != nil {
			a.out.leg.log.Warn("challenge of the carrier cannot be answered", "trunk", c.Name, "error", err)
			return false
		}
		a.proven++
		a.invite(h)
	case res.StatusCode == 422:
		least := leastSession(res)
		if least <= a.expires {
			return false
		}
		a.expires = least
		a.invite(nil)
	case (res.StatusCode == sip.StatusNotAcceptableHere || res.StatusCode == 606) && a.dialog.policy == sdp.Optional:
		// It may be one that understands keys only where they are demanded.
		a.dialog.policy = sdp.Required
		a.proven = 0
		a.invite(nil)
	case res.IsRedirection():
		contact := res.Contact()
		if contact == nil || !a.sameCarrier(&contact.Address) {
			return false
		}
		a.dialog.target = *contact.Address.Clone()
		a.dialog.routes = nil
		if addr, err := netip.ParseAddr(strings.Trim(contact.Address.Host, "[]")); err == nil {
			a.hop = c.hop(addr.Unmap(), contact.Address.Port)
			a.dialog.hop = a.hop
		}
		a.invite(nil)
	default:
		return false
	}
	return true
}

// sameCarrier reports whether a redirection stays with the carrier.
func (a *attempt) sameCarrier(u *sip.Uri) bool {
	if u.Scheme != "sip" && u.Scheme != "sips" || u.User == "" {
		return false
	}
	host := strings.Trim(u.Host, "[]")
	if strings.EqualFold(host, strings.Trim(a.carrier.Host, "[]")) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && a.carrier.knows(addr.Unmap())
}

// final takes the end of an attempt that did not succeed; status 0 means that
// no answer came.
func (a *attempt) final(status int) {
	a.try.Stop()
	if a.over {
		a.finish()
		return
	}
	a.over = true
	a.finish()
	if a.abandoned {
		a.out.settle()
		return
	}
	a.out.failed(a, status)
}

// finish forgets the attempt.
func (a *attempt) finish() {
	a.out.attempts = slices.DeleteFunc(a.out.attempts, func(b *attempt) bool { return b == a })
	a.out.settle()
}
