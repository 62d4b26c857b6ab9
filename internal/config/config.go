// Package config holds what an operator can set, and reads it: defaults, then a
// YAML file, then DIALTONE_… variables, then flags, each over the one before.
//
// Load never stops at the first mistake: every problem is returned at once,
// each with the key and where its value came from (file and line, variable or
// flag). Unknown keys are problems. A Config is a plain value: once loaded it is
// only read and may be shared between goroutines. The package opens nothing but
// the files it is given and never logs.
package config

import (
	"net/netip"
	"time"
)

// Config is everything that can be set. The tags are the one source of the
// names in the file, the flags, the documentation and the command's help.
type Config struct {
	DataDir string  `key:"data_dir" flag:"data-dir" doc:"directory of everything kept: database, certificates, voicemail, recordings; made when missing"`
	Demo    bool    `key:"demo" flag:"demo" doc:"run with a demo account, two agents, one line and the simulated carrier"`
	Account Account `key:"account"`
	HTTPS   HTTPS   `key:"https"`
	SIP     SIP     `key:"sip"`
	Media   Media   `key:"media"`
	Metrics Metrics `key:"metrics"`
	Log     Log     `key:"log"`
	Devices Devices `key:"devices"`
	Calls   Calls   `key:"calls"`
	Lines   []Line  `key:"lines"`
	Trunks  []Trunk `key:"trunks"`
	OIDC    []OIDC  `key:"oidc"`
}

// Account is the account that this node's lines, agents and tokens belong to.
type Account struct {
	Name     string `key:"name" doc:"what the account is called in the console"`
	TimeZone string `key:"time_zone" doc:"time zone of the account (IANA name)"`
}

// HTTPS is the front door: console, APIs and the devices' signalling.
type HTTPS struct {
	Listen        string   `key:"listen" flag:"https" doc:"address and port of the console, the APIs and the devices' signalling"`
	Cert          string   `key:"cert" doc:"certificate file (PEM, with intermediates); read again when it changes"`
	Key           string   `key:"key" doc:"private key file of the certificate (PEM)"`
	Domains       []string `key:"domains" doc:"names to get certificates for automatically (ACME); needs port 443 reachable from the internet"`
	Email         string   `key:"email" doc:"address the certificate authority may write to"`
	ACMEDirectory string   `key:"acme_directory" doc:"directory URL of the ACME authority; empty: Let's Encrypt"`
	Hosts         []string `key:"hosts" doc:"more names or addresses that the local authority's certificate is valid for"`
}

// SIP is the carriers' signalling.
type SIP struct {
	Listen    string `key:"listen" flag:"sip" doc:"address and port for carriers' SIP over UDP and TCP"`
	TLSListen string `key:"tls_listen" doc:"address and port for carriers' SIP over TLS, with the certificate of https; empty: off"`
	Host      string `key:"host" doc:"name or address that carriers reach this node at; empty: the address of the interface towards the carrier"`
}

// Media is the audio's sockets.
type Media struct {
	Listen   string       `key:"listen" flag:"media" doc:"UDP address and port of all browsers' audio"`
	Announce []netip.Addr `key:"announce" doc:"addresses browsers and carriers are told to send audio to; empty: those of the local interfaces"`
	RTPPorts PortRange    `key:"rtp_ports" doc:"UDP ports of the carriers' audio, one a call (even ports)"`
}

// Metrics is where Prometheus reads.
type Metrics struct {
	Listen string `key:"listen" flag:"metrics" doc:"address and port of /metrics; empty: off"`
}

// Log is the process's log, on standard error.
type Log struct {
	Level  string `key:"level" flag:"log-level" doc:"debug, info, warn or error"`
	Format string `key:"format" flag:"log-format" doc:"json or text"`
}

// Devices limits who may connect as a device.
type Devices struct {
	Origins        []string `key:"origins" doc:"web origins whose pages may connect devices, as https://HOST[:PORT] or https://*.DOMAIN; \"*\": any; empty: the node's own"`
	MaxConnections int      `key:"max_connections" doc:"signalling connections at once; more are refused"`
	MaxMessage     int      `key:"max_message" doc:"bytes a signalling message may have; a larger one ends the connection"`
}

// Calls limits calls.
type Calls struct {
	MaxDuration   time.Duration `key:"max_duration" doc:"a call is ended after this time"`
	MaxConcurrent int           `key:"max_concurrent" doc:"live calls at once; more are refused"`
	Drain         time.Duration `key:"drain" doc:"how long live calls may go on after SIGTERM before they are ended"`
	OfferFor      time.Duration `key:"offer_for" doc:"how long a call rings at one agent before the next is tried"`
	Countries     []string      `key:"countries" doc:"countries that may be called besides a line's own (ISO 3166 codes, or \"*\")"`
}

// Line is a phone number of the account.
type Line struct {
	Number    string   `key:"number" doc:"the line's number, E.164 with +"`
	Name      string   `key:"name" doc:"what agents see"`
	Countries []string `key:"countries" doc:"countries that may be called from this line besides its own; empty: calls.countries"`
}

// Trunk is the connection to one carrier. Trunks are tried in the order of the file.
type Trunk struct {
	Name            string         `key:"name" doc:"the trunk's name in logs, metrics and call records"`
	Host            string         `key:"host" doc:"the carrier's SIP host: a name or an address"`
	Port            int            `key:"port" doc:"the carrier's SIP port; 0: 5060, 5061 with tls"`
	Transport       string         `key:"transport" doc:"udp, tcp or tls; empty: udp"`
	TLSName         string         `key:"tls_name" doc:"name in the carrier's certificate; empty: host"`
	Proxy           string         `key:"proxy" doc:"outbound proxy, HOST or HOST:PORT; empty: the host itself"`
	Addresses       []netip.Prefix `key:"addresses" doc:"addresses or networks the carrier calls from; empty: what host resolves to"`
	MediaAddresses  []netip.Prefix `key:"media_addresses" doc:"addresses or networks its audio may come from besides those it names and signals from"`
	Announce        string         `key:"announce" doc:"name or address this carrier is told to reach us at; empty: sip.host"`
	Username        string         `key:"username" doc:"name for digest authentication, both ways"`
	Password        string         `key:"password" secret:"true" doc:"password for digest authentication"`
	PasswordFile    string         `key:"password_file" doc:"file that holds the password, in place of password"`
	InboundAuth     bool           `key:"inbound_auth" doc:"ask the carrier to prove the password on its calls, too"`
	Register        bool           `key:"register" doc:"register with the carrier and keep it up"`
	RegisterExpires time.Duration  `key:"register_expires" doc:"lifetime asked for in REGISTER; 0: 1h"`
	RegisterUser    string         `key:"register_user" doc:"user part of the registered address; empty: username"`
	Registrar       string         `key:"registrar" doc:"domain to register with; empty: from_domain, else host"`
	Codecs          []string       `key:"codecs" doc:"audio formats to offer, best first: PCMU, PCMA; empty: both"`
	SRTP            string         `key:"srtp" doc:"encrypted audio with keys in the signalling (SDES): off, optional or required; empty: off"`
	SRTPWithoutTLS  bool           `key:"srtp_without_tls" doc:"allow srtp where the signalling, with the keys in it, is not TLS"`
	Require100rel   bool           `key:"require_100rel" doc:"require reliable provisional responses (RFC 3262)"`
	SessionExpires  time.Duration  `key:"session_expires" doc:"session timer asked for (RFC 4028); 0: 30m"`
	Countries       []string       `key:"countries" doc:"countries this trunk may be used for; empty: all"`
	MaxCalls        int            `key:"max_calls" doc:"calls at once on this trunk; 0: no limit of its own"`
	OptionsInterval time.Duration  `key:"options_interval" doc:"time between OPTIONS checks; 0: 30s"`
	FromDomain      string         `key:"from_domain" doc:"domain of our From header; empty: the trunk's host"`
	Country         string         `key:"country" doc:"country (ISO 3166) that numbers without + from this carrier are read in; empty: the account's"`
	CallerIDFormat  string         `key:"caller_id_format" doc:"how our number is written: plus (+4930123456), e164 (4930123456) or national (030123456); empty: plus"`
	NumberFormat    string         `key:"number_format" doc:"how the called number is written: plus, e164 or national; empty: plus"`
}

// OIDC is a company's identity provider that people sign in with (OpenID Connect).
type OIDC struct {
	ID               string     `key:"id" doc:"short name in addresses (small letters, digits, -); the provider sends people back to https://HOST/api/v1/session/oidc/ID/callback"`
	Name             string     `key:"name" doc:"what the button on the sign-in page says"`
	Issuer           string     `key:"issuer" doc:"the provider's issuer, an https:// URL exactly as it writes it"`
	ClientID         string     `key:"client_id" doc:"what the provider calls this node"`
	ClientSecret     string     `key:"client_secret" secret:"true" doc:"what the node proves that with; empty: a public client (PKCE is used with both)"`
	ClientSecretFile string     `key:"client_secret_file" doc:"file that holds the client secret, in place of client_secret"`
	Domains          []string   `key:"domains" doc:"domains of the e-mail addresses that are let in; empty: all that belong to people here"`
	Scopes           []string   `key:"scopes" doc:"scopes to ask for besides openid, email and profile"`
	RoleClaim        string     `key:"role_claim" doc:"claim of the ID token that roles are found by, as groups"`
	Roles            []OIDCRole `key:"roles"`
	Create           bool       `key:"create" doc:"add people who are not known here, as agents unless roles say otherwise; needs domains"`
}

// OIDCRole gives a role to those who have a value in the role claim. With any of
// these the provider decides the roles of its people, agent when none fits.
type OIDCRole struct {
	Value string `key:"value" doc:"value of the role claim, or one in its list"`
	Role  string `key:"role" doc:"admin, team_lead or agent"`
}

// Default is the configuration when nothing is set.
func Default() Config {
	return Config{
		DataDir: "data",
		Account: Account{Name: "default", TimeZone: "UTC"},
		HTTPS:   HTTPS{Listen: ":8443"},
		SIP:     SIP{Listen: ":5060"},
		Media:   Media{Listen: ":40000", RTPPorts: PortRange{41000, 42999}},
		Metrics: Metrics{Listen: "127.0.0.1:9464"},
		Log:     Log{Level: "info", Format: "json"},
		Devices: Devices{MaxConnections: 20_000, MaxMessage: 64 << 10},
		Calls: Calls{
			MaxDuration: 4 * time.Hour, MaxConcurrent: 500,
			Drain: time.Minute, OfferFor: 30 * time.Second,
		},
	}
}
