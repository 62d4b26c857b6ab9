package trunk

import (
	"crypto/rand"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/sdp"
	"dialtone/internal/voice/trunk/transaction"
)

// dialog is one SIP dialog (RFC 3261 12): all that is needed to go on with it,
// and nothing that could not be stored. It belongs to its leg's strand.
type dialog struct {
	carrier             *carrier
	callID              string
	localTag, remoteTag string
	localURI, remoteURI sip.Uri
	localName           string
	target              sip.Uri   // the far end's Contact
	routes              []sip.Uri // in the order of sending
	seq                 uint32    // of our latest request
	remoteSeq           uint32    // of its latest request
	hop                 transaction.Hop
	policy              sdp.Policy   // of its audio
	crypto              []sdp.Crypto // our keys, if it may be encrypted
}

// encrypt settles whether the dialog's audio may or must be encrypted, and makes
// our keys for it. They are as secret as the signalling is.
func (d *dialog) encrypt() {
	d.policy = d.carrier.policy(d.hop.Network)
	if d.policy != sdp.Off && d.carrier.mayTellKeys(d.hop.Network) {
		d.crypto = sdp.NewCrypto()
	}
}

// policy is the trunk's for signalling over the network.
func (t *Trunk) policy(network string) sdp.Policy {
	switch {
	case t.SRTP == SRTPRequired:
		return sdp.Required
	case t.SRTP == SRTPOptional && t.mayTellKeys(network):
		return sdp.Optional
	}
	return sdp.Off
}

func (t *Trunk) mayTellKeys(network string) bool {
	return network == transaction.TLS || t.SRTPWithoutTLS
}

func newTag() string { return rand.Text() }

// dialogOf makes the dialog of a received INVITE.
func dialogOf(req *sip.Request, from transaction.Hop, tag string, c *carrier) *dialog {
	d := &dialog{
		carrier: c,
		callID:  string(*req.CallID()), localTag: tag, localURI: *req.To().Address.Clone(),
		remoteURI: *req.From().Address.Clone(), remoteSeq: req.CSeq().SeqNo, hop: from,
	}
	d.remoteTag, _ = req.From().Params.Get("tag")
	d.target = d.remoteURI
	if c := req.Contact(); c != nil && !c.Address.Wildcard {
		d.target = *c.Address.Clone()
	}
	for _, h := range req.GetHeaders("record-route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *rr.Address.Clone())
		}
	}
	d.encrypt()
	return d
}

// learn takes over what a response to our INVITE says of the dialog.
func (d *dialog) learn(res *sip.Response) {
	d.remoteTag, _ = res.To().Params.Get("tag")
	d.retarget(res)
	d.routes = nil
	for _, h := range res.GetHeaders("record-route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append([]sip.Uri{*rr.Address.Clone()}, d.routes...)
		}
	}
}

// retarget follows a new Contact (RFC 3261 12.2).
func (d *dialog) retarget(msg interface{ Contact() *sip.ContactHeader }) {
	if c := msg.Contact(); c != nil && !c.Address.Wildcard {
		d.target = *c.Address.Clone()
	}
}

// request builds a request within the dialog and says where it goes. CSeq grows,
// except for an ACK, which has its INVITE's.
func (d *dialog) request(method sip.RequestMethod, seq uint32) (*sip.Request, transaction.Hop) {
	uri, routes := d.target, d.routes
	if len(routes) > 0 && !routes[0].UriParams.Has("lr") {
		// The first hop is a strict router (RFC 3261 12.2.1.1).
		uri = routes[0]
		routes = append(append([]sip.Uri(nil), routes[1:]...), d.target)
	}
	uri.Headers = nil
	req := sip.NewRequest(method, uri)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: r})
	}
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	from := &sip.FromHeader{DisplayName: d.localName, Address: d.localURI}
	from.Params.Add("tag", d.localTag)
	to := &sip.ToHeader{Address: d.remoteURI}
	if d.remoteTag != "" {
		to.Params.Add("tag", d.remoteTag)
	}
	id := sip.CallIDHeader(d.callID)
	req.AppendHeader(from)
	req.AppendHeader(to)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	next := d.target
	if len(d.routes) > 0 {
		next = d.routes[0]
	}
	return req, d.nextHop(&next)
}

// nextHop says where a URI's host is. Names are not looked up within a call: a
// name, and a private address named by a carrier that is not private itself
// (NAT), stand for where the far end's messages come from.
func (d *dialog) nextHop(u *sip.Uri) transaction.Hop {
	host := strings.Trim(u.Host, "[]")
	if m, ok := u.UriParams.Get("maddr"); ok && m != "" {
		host = strings.Trim(m, "[]")
	}
	addr, err := netip.ParseAddr(host)
	seen := d.hop.Addr.Addr()
	if err != nil || addr.IsUnspecified() || unroutable(addr) && !unroutable(seen) {
		return d.hop
	}
	addr = addr.Unmap()
	network := d.hop.Network
	if u.Scheme == "sips" {
		network = transaction.TLS
	} else if t, ok := u.UriParams.Get("transport"); ok {
		switch t = strings.ToLower(t); t {
		case transaction.UDP, transaction.TCP, transaction.TLS:
			network = t
		}
	}
	if network == d.hop.Network && network != transaction.UDP && addr == seen && d.hop.Alive() {
		return d.hop // the connection that is there (RFC 5923)
	}
	port := u.Port
	if port == 0 {
		port = defaultPort(network)
	}
	hop := transaction.Hop{Network: network, Addr: netip.AddrPortFrom(addr, uint16(port)), Name: d.hop.Name}
	if hop.Same(d.hop) {
		return d.hop
	}
	return hop.On(d.hop)
}

// unroutable reports whether an address means nothing outside of its network.
func unroutable(a netip.Addr) bool {
	carrierGrade := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) // RFC 6598
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrierGrade.Contains(a)
}
