package trunk

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/transaction"
)

// Config is what an operator says about carriers.
type Config struct {
	Announce     string        `yaml:"announce"`      // host or address in Via, Contact; empty: the interface's towards the carrier
	AnnounceRTP  netip.Addr    `yaml:"announce_rtp"`  // address in SDP; zero: Announce if it is an address, else the interface's
	RTPBind      netip.Addr    `yaml:"rtp_bind"`      // where RTP is received; zero: the UDP socket's address
	RTPLow       int           `yaml:"rtp_low"`       // ports of RTP and RTCP, both ends included; 0: any free
	RTPHigh      int           `yaml:"rtp_high"`      //
	TryFor       time.Duration `yaml:"try_for"`       // how long a carrier may stay silent before the next is tried; 0: 4 s
	Destinations Destinations  `yaml:"destinations"`  // who may be called
	CallerID     string        `yaml:"caller_id"`     // shown by calls without a number of their own
	Trunks       []Trunk       `yaml:"trunks"`        // in the order in which they are tried
	MediaTimeout time.Duration `yaml:"media_timeout"` // a leg that was heard and sends neither RTP nor RTCP so long is ended; 0: 2 min
}

// Trunk is the connection to one carrier.
type Trunk struct {
	Name    string `yaml:"name"`    // in logs, metrics and call records
	Account string `yaml:"account"` // that calls from this carrier belong to

	Host      string `yaml:"host"`      // name or address
	Port      int    `yaml:"port"`      // 0: by SRV record, else 5060, 5061 with tls
	Transport string `yaml:"transport"` // udp, tcp or tls; "": udp
	TLSName   string `yaml:"tls_name"`  // name in the carrier's certificate; "": Host
	Proxy     string `yaml:"proxy"`     // outbound proxy as HOST[:PORT]; "": Host itself

	Sources      []string       `yaml:"sources"`       // addresses, networks or names that it calls from; empty: what Host (and Proxy) resolve to
	MediaSources []netip.Prefix `yaml:"media_sources"` // where its audio may come from besides the addresses it names and signals from
	Announce     string         `yaml:"announce"`      // in place of Config.Announce
	AnnounceRTP  netip.Addr     `yaml:"announce_rtp"`  // in place of Config.AnnounceRTP

	Username    string   `yaml:"username"`     // digest
	Password    string   `yaml:"password"`     //
	InboundAuth bool     `yaml:"inbound_auth"` // the carrier must prove the password too
	Register    Register `yaml:"register"`

	Codecs         []call.Codec  `yaml:"codecs"`           // PCMU, PCMA, most wanted first; empty: both
	SRTP           SRTP          `yaml:"srtp"`             // "": off
	SRTPWithoutTLS bool          `yaml:"srtp_without_tls"` // its keys may be told in clear
	Require100rel  bool          `yaml:"require_100rel"`
	SessionExpires time.Duration `yaml:"session_expires"` // asked for; 0: 30 min

	CallerIDFormat NumberFormat `yaml:"caller_id_format"` // "": plus
	NumberFormat   NumberFormat `yaml:"number_format"`    // of the called number; "": plus
	Country        string       `yaml:"country"`          // ISO 3166 code: how numbers without + are read; "": Destinations.Home
	FromDomain     string       `yaml:"from_domain"`      // of our From and P-Asserted-Identity; "": Host
	Countries      []string     `yaml:"countries"`        // it is used for these only; empty: for all

	MaxCalls        int           `yaml:"max_calls"`        // at once, both directions; 0: no limit
	OptionsInterval time.Duration `yaml:"options_interval"` // 0: 30 s; negative: never
}

// Register makes the trunk known to a carrier that does not know our address.
type Register struct {
	Enabled   bool          `yaml:"enabled"`
	Registrar string        `yaml:"registrar"` // domain; "": FromDomain, else Host
	User      string        `yaml:"user"`      // address of record; "": Username
	Expires   time.Duration `yaml:"expires"`   // 0: 1 h
}

// SRTP says whether a trunk's audio is encrypted, with keys told in the signalling
// (RFC 4568).
type SRTP string

// Optional takes encrypted and plain audio, and offers both (RFC 8643).
const (
	SRTPOff      SRTP = "off"
	SRTPOptional SRTP = "optional"
	SRTPRequired SRTP = "required"
)

// NumberFormat is how a carrier wants numbers written.
type NumberFormat string

// The formats of +4930123456: "+4930123456", "4930123456", "030123456".
const (
	FormatPlus     NumberFormat = "plus"
	FormatE164     NumberFormat = "e164"
	FormatNational NumberFormat = "national"
)

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.RTPLow < 0 || c.RTPHigh > 65535 || c.RTPHigh < 0 || (c.RTPLow == 0) != (c.RTPHigh == 0) {
		bad("rtp_low and rtp_high must both be ports, or both be 0")
	} else if c.RTPHigh != 0 && c.RTPHigh-(c.RTPLow+1)&^1 < 1 {
		bad("rtp_low to rtp_high must hold an even port and the next")
	}
	if c.TryFor < 0 {
		bad("try_for must not be negative")
	}
	if c.CallerID != "" && !isE164(c.CallerID) {
		bad("caller_id must be a number with + and country code")
	}
	if err := c.Destinations.Validate(); err != nil {
		errs = append(errs, err)
	}
	names := map[string]bool{}
	for i, t := range c.Trunks {
		where := fmt.Sprintf("trunks[%d]", i)
		if t.Name != "" {
			where = "trunk " + t.Name
		}
		if names[t.Name] {
			bad("%s: the name is taken", where)
		}
		names[t.Name] = true
		for _, err := range t.problems() {
			bad("%s: %w", where, err)
		}
	}
	return errors.Join(errs...)
}

func (t Trunk) problems() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if t.Name == "" {
		bad("name must be set")
	}
	if _, err := netip.ParseAddr(strings.Trim(t.Host, "[]")); err != nil && !isName(t.Host) {
		bad("host must be a name or an address")
	}
	if t.Port < 0 || t.Port > 65535 {
		bad("port must be 0 to 65535")
	}
	switch t.Transport {
	case "", transaction.UDP, transaction.TCP, transaction.TLS:
	default:
		bad("transport must be udp, tcp or tls")
	}
	if t.Proxy != "" {
		if _, _, err := splitHostPort(t.Proxy); err != nil {
			bad("proxy must be HOST or HOST:PORT")
		}
	}
	world := false
	for _, s := range t.Sources {
		p, isAddr := parsePrefix(s)
		world = world || isAddr && wide(p)
		if !isAddr && !isName(s) {
			bad("source %q must be an address, a network or a name", s)
		}
	}
	if world && !t.InboundAuth {
		bad("a source wider than /8 (IPv6: /16) needs inbound_auth")
	}
	if (t.Username == "") != (t.Password == "") {
		bad("username and password belong together")
	}
	if t.InboundAuth && t.Username == "" {
		bad("inbound_auth needs username and password")
	}
	if t.Register.Enabled && t.Username == "" && t.Register.User == "" {
		bad("register needs a user")
	}
	if t.Register.Expires < 0 || t.Register.Expires > 0 && t.Register.Expires < time.Minute {
		bad("register.expires must be a minute or more")
	}
	for _, c := range t.Codecs {
		if c != call.PCMU && c != call.PCMA {
			bad("codec %q is not one of PCMU, PCMA", c)
		}
	}
	switch t.SRTP {
	case "", SRTPOff:
		if t.SRTPWithoutTLS {
			bad("srtp_without_tls needs srtp")
		}
	case SRTPOptional, SRTPRequired:
		if t.Transport != transaction.TLS && !t.SRTPWithoutTLS {
			bad("srtp needs transport tls: its keys are in the signalling (srtp_without_tls allows that)")
		}
	default:
		bad("srtp must be off, optional or required")
	}
	// RFC 4028 4: 90 s is the least that anyone must take.
	if t.SessionExpires != 0 && t.SessionExpires < minSessionExpires {
		bad("session_expires must be 90s or more")
	}
	for _, f := range []NumberFormat{t.CallerIDFormat, t.NumberFormat} {
		switch f {
		case "", FormatPlus, FormatE164, FormatNational:
		default:
			bad("number format %q is not one of plus, e164, national", f)
		}
	}
	for _, c := range append([]string{t.Country}, t.Countries...) {
		if c != "" && !isCountry(c) {
			bad("country %q is not a code of ISO 3166", c)
		}
	}
	if t.MaxCalls < 0 {
		bad("max_calls must not be negative")
	}
	return errs
}

// withDefaults returns the trunk with every zero that has a meaning filled in.
func (t Trunk) withDefaults(c Config) Trunk {
	if t.Transport == "" {
		t.Transport = transaction.UDP
	}
	if len(t.Codecs) == 0 {
		t.Codecs = []call.Codec{call.PCMU, call.PCMA}
	}
	if t.SessionExpires == 0 {
		t.SessionExpires = 30 * time.Minute
	}
	if t.CallerIDFormat == "" {
		t.CallerIDFormat = FormatPlus
	}
	if t.NumberFormat == "" {
		t.NumberFormat = FormatPlus
	}
	if t.Country == "" {
		t.Country = c.Destinations.Home
	}
	if t.FromDomain == "" {
		t.FromDomain = t.Host
	}
	if t.OptionsInterval == 0 {
		t.OptionsInterval = 30 * time.Second
	}
	if t.Announce == "" {
		t.Announce = c.Announce
	}
	if !t.AnnounceRTP.IsValid() {
		t.AnnounceRTP = c.AnnounceRTP
	}
	if t.Register.Expires == 0 {
		t.Register.Expires = time.Hour
	}
	if t.Register.User == "" {
		t.Register.User = t.Username
	}
	if t.Register.Registrar == "" {
		t.Register.Registrar = t.FromDomain
	}
	return t
}

// isName reports whether s can be a host name.
func isName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 253
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// wide reports whether a network is more than any carrier has.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16
}

// splitHostPort takes HOST, HOST:PORT, [IPV6]:PORT and a bare IPv6 address; the
// port is 0 when there is none.
func splitHostPort(s string) (host string, port int, err error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, 0, nil
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		if strings.ContainsAny(s, ":[]/ ") || s == "" {
			return "", 0, err
		}
		return s, 0, nil
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 1 || port > 65535 || host == "" {
		return "", 0, fmt.Errorf("bad port in %q", s)
	}
	return host, port, nil
}
