package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report takes one problem with a key's value.
type report func(key, format string, args ...any)

// check judges the values as a whole. It touches no file and no socket, so that
// a configuration can be checked on another machine than it will run on.
func check(c *Config, bad report) {
	if c.DataDir == "" {
		bad("data_dir", "must name a directory")
	}
	if _, err := time.LoadLocation(c.Account.TimeZone); err != nil {
		bad("account.time_zone", "no such time zone; write it as Europe/Lisbon")
	}
	checkHTTPS(c, bad)
	checkSockets(c, bad)
	oneOf(bad, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(bad, "log.format", c.Log.Format, "json", "text")
	for i, o := range c.Devices.Origins {
		if !validOrigin(o) {
			bad(fmt.Sprintf("devices.origins[%d]", i), "must be an origin without a path, as https://app.example.com, or \"*\"")
		}
	}
	atLeast(bad, "devices.max_connections", c.Devices.MaxConnections, 1)
	atLeast(bad, "devices.max_message", c.Devices.MaxMessage, 16<<10)
	longer(bad, "calls.max_duration", c.Calls.MaxDuration, time.Minute)
	longer(bad, "calls.drain", c.Calls.Drain, 0)
	longer(bad, "calls.offer_for", c.Calls.OfferFor, time.Second)
	atLeast(bad, "calls.max_concurrent", c.Calls.MaxConcurrent, 1)
	countries(bad, "calls.countries", c.Calls.Countries)
	checkLines(c, bad)
	checkTrunks(c, bad)
	checkOIDC(c, bad)
}

func checkHTTPS(c *Config, bad report) {
	h := c.HTTPS
	switch {
	case h.Cert != "" && h.Key == "":
		bad("https.key", "must be set together with https.cert")
	case h.Cert == "" && h.Key != "":
		bad("https.cert", "must be set together with https.key")
	}
	if h.Cert != "" && len(h.Domains) > 0 {
		bad("https.domains", "set either domains or cert and key, not both")
	}
	for i, d := range h.Domains {
		if !validHost(d) || net.ParseIP(d) != nil || !strings.Contains(d, ".") {
			bad(fmt.Sprintf("https.domains[%d]", i), "must be a public domain name")
		}
	}
	if h.ACMEDirectory != "" {
		if u, err := url.Parse(h.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
			bad("https.acme_directory", "must be an https:// URL")
		}
	}
	if h.Email != "" && !strings.Contains(h.Email, "@") {
		bad("https.email", "must be an e-mail address")
	}
	for i, name := range h.Hosts {
		if !validHost(name) {
			bad(fmt.Sprintf("https.hosts[%d]", i), "must be a host name or an IP address")
		}
	}
}

func checkSockets(c *Config, bad report) {
	listen(bad, "https.listen", c.HTTPS.Listen, false)
	listen(bad, "sip.listen", c.SIP.Listen, false)
	listen(bad, "sip.tls_listen", c.SIP.TLSListen, true)
	listen(bad, "media.listen", c.Media.Listen, false)
	listen(bad, "metrics.listen", c.Metrics.Listen, true)
	if c.SIP.Host != "" && !validHost(c.SIP.Host) {
		bad("sip.host", "must be a host name or an IP address")
	}
	for i, a := range c.Media.Announce {
		if a.IsUnspecified() || a.IsMulticast() {
			bad(fmt.Sprintf("media.announce[%d]", i), "must be an address that browsers can send to")
		}
	}
	if c.Media.RTPPorts.Size() < 2 {
		bad("media.rtp_ports", "must hold at least two ports")
	}
	tcp := map[string]string{}
	for _, l := range []struct{ key, address string }{
		{"https.listen", c.HTTPS.Listen},
		{"sip.listen", c.SIP.Listen},
		{"sip.tls_listen", c.SIP.TLSListen},
		{"metrics.listen", c.Metrics.Listen},
	} {
		_, port, err := net.SplitHostPort(l.address)
		if err != nil || port == "0" {
			continue
		}
		if other, taken := tcp[l.address]; taken {
			bad(l.key, "uses the same address as %s", other)
		}
		tcp[l.address] = l.key
	}
	if _, port, err := net.SplitHostPort(c.Media.Listen); err == nil {
		n, _ := strconv.Atoi(port)
		if n >= int(c.Media.RTPPorts.From) && n <= int(c.Media.RTPPorts.To) {
			bad("media.rtp_ports", "must not contain the port of media.listen (%d)", n)
		}
		if _, sipPort, err := net.SplitHostPort(c.SIP.Listen); err == nil && sipPort == port && n != 0 {
			bad("media.listen", "uses the same port as sip.listen")
		}
	}
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func checkLines(c *Config, bad report) {
	seen := map[string]int{}
	for i, l := range c.Lines {
		key := fmt.Sprintf("lines[%d].", i)
		if !e164.MatchString(l.Number) {
			bad(key+"number", "must be a phone number with + and country code, as +15550199")
		} else if first, twice := seen[l.Number]; twice {
			bad(key+"number", "is lines[%d] already", first)
		} else {
			seen[l.Number] = i
		}
		countries(bad, key+"countries", l.Countries)
	}
}

func checkSRTP(t Trunk, key string, bad report) {
	if t.SRTP != "" {
		oneOf(bad, key+"srtp", t.SRTP, "off", "optional", "required")
	}
	switch off := t.SRTP == "" || t.SRTP == "off"; {
	case off && t.SRTPWithoutTLS:
		bad(key+"srtp_without_tls", "is of use only with srtp")
	case !off && t.Transport != "tls" && !t.SRTPWithoutTLS:
		bad(key+"srtp", "needs transport: tls, since its keys are in the signalling; srtp_without_tls: true allows that")
	}
}

func checkTrunks(c *Config, bad report) {
	seen := map[string]int{}
	for i, t := range c.Trunks {
		key := fmt.Sprintf("trunks[%d].", i)
		if t.Name == "" {
			bad(key+"name", "must be set")
		} else if first, twice := seen[t.Name]; twice {
			bad(key+"name", "is the name of trunks[%d] already", first)
		} else {
			seen[t.Name] = i
		}
		if !validHost(t.Host) {
			bad(key+"host", "must be the carrier's host name or IP address, without a port")
		}
		if t.Port < 0 || t.Port > 65535 {
			bad(key+"port", "must be a port from 1 to 65535")
		}
		if t.Transport != "" {
			oneOf(bad, key+"transport", t.Transport, "udp", "tcp", "tls")
		}
		if t.Password != "" && t.Username == "" {
			bad(key+"username", "must be set when there is a password")
		}
		if t.Register && t.Username == "" {
			bad(key+"username", "must be set to register")
		}
		for name, format := range map[string]string{"caller_id_format": t.CallerIDFormat, "number_format": t.NumberFormat} {
			if format != "" {
				oneOf(bad, key+name, format, "plus", "e164", "national")
			}
		}
		if t.Country != "" && !country.MatchString(t.Country) {
			bad(key+"country", "must be a country's two capital letters (ISO 3166)")
		}
		if t.Announce != "" && !validHost(t.Announce) {
			bad(key+"announce", "must be a host name or an IP address")
		}
		if t.Username != "" && t.Password == "" && t.PasswordFile == "" {
			bad(key+"password", "must be set when there is a username")
		}
		if t.Proxy != "" && !validPeer(t.Proxy) {
			bad(key+"proxy", "must be HOST or HOST:PORT")
		}
		for j, p := range t.Addresses {
			if wide(p) && !t.InboundAuth {
				bad(fmt.Sprintf("%saddresses[%d]", key, j), "lets half the world call; a network as wide needs inbound_auth")
			}
		}
		if t.InboundAuth && t.Password == "" && t.PasswordFile == "" {
			bad(key+"inbound_auth", "needs a password that the carrier can prove")
		}
		for j, codec := range t.Codecs {
			oneOf(bad, fmt.Sprintf("%scodecs[%d]", key, j), codec, "PCMU", "PCMA")
		}
		checkSRTP(t, key, bad)
		countries(bad, key+"countries", t.Countries)
		atLeast(bad, key+"max_calls", t.MaxCalls, 0)
		if t.RegisterExpires != 0 {
			longer(bad, key+"register_expires", t.RegisterExpires, time.Minute)
		}
		if t.SessionExpires != 0 {
			longer(bad, key+"session_expires", t.SessionExpires, 90*time.Second) // RFC 4028 section 4
		}
		if t.OptionsInterval != 0 {
			longer(bad, key+"options_interval", t.OptionsInterval, time.Second)
		}
		if t.FromDomain != "" && !validHost(t.FromDomain) {
			bad(key+"from_domain", "must be a host name or an IP address")
		}
	}
}

// wide reports whether a network is more than any carrier has: wider than /8, or
// /16 of IPv6.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16
}

// validPeer reports whether s is HOST or HOST:PORT.
func validPeer(s string) bool {
	if validHost(s) {
		return true
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || !validHost(host) {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535
}

func oneOf(bad report, key, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	text := "must be " + strings.Join(allowed[:len(allowed)-1], ", ") + " or " + allowed[len(allowed)-1]
	if near := nearest(value, allowed); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	bad(key, "%s", text)
}

func atLeast(bad report, key string, n, least int) {
	if n < least {
		bad(key, "must be %d or more", least)
	}
}

func longer(bad report, key string, d, least time.Duration) {
	if d < least {
		bad(key, "must be %s or more", shortDuration(least))
	}
}

func listen(bad report, key, address string, optional bool) {
	if address == "" && optional {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		bad(key, "must be [ADDRESS]:PORT, as :8443 or 127.0.0.1:8443")
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		bad(key, "must end in a port from 0 to 65535")
	}
	if host != "" && !validHost(host) {
		bad(key, "must begin with an address of this machine, or with the colon")
	}
}

func countries(bad report, key string, codes []string) {
	for i, code := range codes {
		if code != "*" && !country.MatchString(code) {
			bad(fmt.Sprintf("%s[%d]", key, i), "must be a country's two capital letters (ISO 3166), or \"*\"")
		}
	}
}

var (
	country = regexp.MustCompile(`^[A-Z]{2}$`)
	label   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
)

func validHost(h string) bool {
	if net.ParseIP(h) != nil {
		return true
	}
	if h == "" || len(h) > 253 {
		return false
	}
	labels := strings.Split(h, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	// All digits at the end would be a misspelt IPv4 address.
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil
}

func validOrigin(o string) bool {
	if o == "*" {
		return true
	}
	u, err := url.Parse(o)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return false
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return validHost(strings.TrimPrefix(u.Hostname(), "*."))
}
