package config

import (
	"strings"
	"testing"
)

// Keys in the signalling want a signalling that nobody reads.
func TestSRTPIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		`srtp: required, transport: tls`:         "",
		`srtp: optional, srtp_without_tls: true`: "",
		`srtp: off`:                              "",
		`srtp: required`:                         "trunks[0].srtp: needs transport: tls",
		`srtp: optional, transport: tcp`:         "trunks[0].srtp: needs transport: tls",
		`srtp: always, transport: tls`:           "trunks[0].srtp: must be off, optional or required",
		`srtp_without_tls: true`:                 "trunks[0].srtp_without_tls: is of use only with srtp",
		`srtp: "off", srtp_without_tls: true`:    "trunks[0].srtp_without_tls: is of use only with srtp",
	} {
		_, err := Load(Sources{File: write(t, "trunks: [{name: a, host: sip.example.com, "+text+"}]\n")})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
