package app

import (
	"net"
	"net/netip"

	"dialtone/internal/config"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk"
)

// trunkOptions joins the configuration, the sockets and the switchboard into
// what the carriers' side needs.
func (n *Node) trunkOptions(exchange switchboard.Exchange) trunk.Options {
	o := trunk.Options{
		Config: n.trunkConfig(), UDP: []net.PacketConn{n.sockets.sipUDP}, TCP: []net.Listener{n.sockets.sipTCP},
		TLSConfig: n.certs.TLSConfig(), Exchange: exchange, Codecs: n.codecs, Events: n.events, Health: n.health, Metrics: n.metrics,
		Log: n.log.With("part", "trunk"),
	}
	o.TLSConfig.NextProtos = nil // SIP has no ALPN name of its own
	if n.sockets.sipTLS != nil {
		o.TLS = []net.Listener{n.sockets.sipTLS}
	}
	return o
}

func (n *Node) trunkConfig() trunk.Config {
	c := n.o.Config
	t := trunk.Config{
		Announce: c.SIP.Host, RTPLow: int(c.Media.RTPPorts.From), RTPHigh: int(c.Media.RTPPorts.To),
		Destinations: trunk.Destinations{
			Home: n.directory.account.Country, Countries: c.Calls.Countries, Lines: map[string][]string{},
		},
		CallerID: n.directory.line.Number,
	}
	if len(c.Media.Announce) > 0 {
		t.AnnounceRTP = c.Media.Announce[0]
	}
	for _, l := range c.Lines {
		if len(l.Countries) > 0 {
			t.Destinations.Lines[l.Number] = l.Countries
		}
	}
	for _, configured := range c.Trunks {
		t.Trunks = append(t.Trunks, n.trunkOf(configured))
	}
	if c.Demo {
		t.Trunks = append(t.Trunks, n.demoTrunk())
	}
	return t
}

func (n *Node) trunkOf(c config.Trunk) trunk.Trunk {
	t := trunk.Trunk{
		Name: c.Name, Account: n.directory.account.ID, Host: c.Host, Port: c.Port, Transport: c.Transport,
		TLSName: c.TLSName, Proxy: c.Proxy, MediaSources: c.MediaAddresses, Announce: c.Announce,
		Username: c.Username, Password: c.Password, InboundAuth: c.InboundAuth,
		Register: trunk.Register{Enabled: c.Register, Registrar: c.Registrar, User: c.RegisterUser, Expires: c.RegisterExpires},
		Country:  c.Country, CallerIDFormat: trunk.NumberFormat(c.CallerIDFormat), NumberFormat: trunk.NumberFormat(c.NumberFormat),
		SRTP: trunk.SRTP(c.SRTP), SRTPWithoutTLS: c.SRTPWithoutTLS,
		Require100rel: c.Require100rel, SessionExpires: c.SessionExpires, Countries: c.Countries,
		MaxCalls: c.MaxCalls, OptionsInterval: c.OptionsInterval, FromDomain: c.FromDomain,
	}
	for _, p := range c.Addresses {
		t.Sources = append(t.Sources, p.String())
	}
	for _, codec := range c.Codecs {
		t.Codecs = append(t.Codecs, call.Codec(codec))
	}
	return t
}

// demoTrunk leads to the simulated carrier of this process. Calls from any port
// of the same address are let in too, so that "dialtone carrier call" works
// beside a demo.
func (n *Node) demoTrunk() trunk.Trunk {
	at := netip.MustParseAddrPort(n.sockets.carrier.LocalAddr().String())
	return trunk.Trunk{
		Name: "simulated-carrier", Account: n.directory.account.ID, Host: at.Addr().String(), Port: int(at.Port()),
		Sources: []string{at.Addr().String()}, Announce: at.Addr().String(), AnnounceRTP: at.Addr(),
	}
}

// origins are the web pages that may connect devices. In a demo any may: that
// is how people try their own app against it.
func (n *Node) origins() []string {
	if n.o.Config.Demo && len(n.o.Config.Devices.Origins) == 0 {
		return []string{"*"}
	}
	return n.o.Config.Devices.Origins
}
