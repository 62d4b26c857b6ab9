package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documentation")

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialtone.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	if _, err := Load(Sources{}); err != nil {
		t.Fatal(err)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	s := Sources{File: write(t, "https:\n  listen: :1\nmetrics:\n  listen: :2\nlog:\n  level: warn\n")}
	s.Environ = []string{"DIALTONE_METRICS_LISTEN=:3", "DIALTONE_LOG_LEVEL=error", "HOME=/"}
	s.Flags = map[string]string{"log.level": "debug"}
	c, err := Load(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ key, got, want string }{
		{"https.listen from the file", c.HTTPS.Listen, ":1"},
		{"metrics.listen from the variable", c.Metrics.Listen, ":3"},
		{"log.level from the flag", c.Log.Level, "debug"},
		{"sip.listen by default", c.SIP.Listen, ":5060"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.key, tt.got, tt.want)
		}
	}
}

func TestValuesOfEveryKind(t *testing.T) {
	c, err := Load(Sources{
		File: write(t, `
lines:
  - number: +15550199   # not a number: the plus stays
    countries: [NO, "US"]
trunks:
  - name: one
    host: sip.example.com
    addresses: [192.0.2.1, 198.51.100.0/24]
    register: true
    username: u
    password: 0123
    session_expires: 90m
    codecs: [PCMA]
media: {rtp_ports: 20000-20999}
`),
		Environ: []string{"DIALTONE_MEDIA_ANNOUNCE=203.0.113.7, 2001:db8::1", "DIALTONE_DEMO=true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Lines[0]; got.Number != "+15550199" || got.Countries[0] != "NO" {
		t.Errorf("line: %+v", got)
	}
	trunk := c.Trunks[0]
	if trunk.Password != "0123" || !trunk.Register || trunk.SessionExpires != 90*time.Minute {
		t.Errorf("trunk: %+v", trunk)
	}
	if want := netip.MustParsePrefix("192.0.2.1/32"); trunk.Addresses[0] != want {
		t.Errorf("a single address: got %v, want %v", trunk.Addresses[0], want)
	}
	if want := netip.MustParseAddr("2001:db8::1"); len(c.Media.Announce) != 2 || c.Media.Announce[1] != want {
		t.Errorf("announce: %v", c.Media.Announce)
	}
	if c.Media.RTPPorts != (PortRange{20000, 20999}) || !c.Demo {
		t.Errorf("rtp ports %v, demo %v", c.Media.RTPPorts, c.Demo)
	}
}

func TestEveryProblemIsListedWithItsPlace(t *testing.T) {
	path := write(t, `https:
  lisen: :8443
  cert: a.pem
log:
  level: wran
log:
  level: info
demo: maybe
calls:
  drain: ten
  countries: [usa]
trunks:
  - name: one
    transprot: tls
  - name: one
    host: "sip.example.com:5060"
    port: many
devices: none
`)
	_, err := Load(Sources{
		File:    path,
		Environ: []string{"DIALTONE_HTTP_LISTEN=:1", "DIALTONE_MEDIA_ANNOUNCE=here", "DIALTONE_PORT=tcp://10.0.0.1:80"},
		Flags:   map[string]string{"metrics.listen": "9464"},
	})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want Problems", err)
	}
	got := strings.ReplaceAll(problems.Error(), path, "dialtone.yaml")
	want := strings.TrimSpace(`
dialtone.yaml:1: https.key: must be set together with https.cert
dialtone.yaml:2: https.lisen: no such setting; did you mean listen?
dialtone.yaml:5: log.level: must be debug, info, warn or error; did you mean warn?
dialtone.yaml:6: log: set twice; the first time in line 4
dialtone.yaml:8: demo: must be true or false
dialtone.yaml:10: calls.drain: must be a duration, as 90s, 30m or 4h
dialtone.yaml:11: calls.countries[0]: must be a country's two capital letters (ISO 3166), or "*"
dialtone.yaml:13: trunks[0].host: must be the carrier's host name or IP address, without a port
dialtone.yaml:14: trunks[0].transprot: no such setting; did you mean transport?
dialtone.yaml:15: trunks[1].name: is the name of trunks[0] already
dialtone.yaml:16: trunks[1].host: must be the carrier's host name or IP address, without a port
dialtone.yaml:17: trunks[1].port: must be a whole number
dialtone.yaml:18: devices: must hold settings, one a line (origins, …)
DIALTONE_HTTP_LISTEN: no such setting; did you mean DIALTONE_HTTPS_LISTEN?
DIALTONE_MEDIA_ANNOUNCE: media.announce: "here": must be an IP address
--metrics: metrics.listen: must be [ADDRESS]:PORT, as :8443 or 127.0.0.1:8443`)
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestFileProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"not YAML", "https:\n  listen: [\n", "not valid YAML"},
		{"two documents", "demo: true\n---\ndemo: false\n", "a second YAML document"},
		{"a list", "- demo\n", "must hold settings"},
		{"too large", strings.Repeat("# nothing\n", 120_000), "larger than 1 MiB"},
		{"both passwords", "trunks: [{name: a, host: b.example, username: u, password: p, password_file: f}]", "set password or password_file, not both"},
		{"no password file", "trunks: [{name: a, host: b.example, username: u, password_file: nowhere}]", "cannot read nowhere: no such file or directory"},
		{"the whole world may call", "trunks: [{name: a, host: b.example, addresses: [192.0.2.0/24, 0.0.0.0/0]}]", "trunks[0].addresses[1]: lets half the world call"},
		{"in two halves", "trunks: [{name: a, host: b.example, addresses: [0.0.0.0/1, 128.0.0.0/1]}]", "trunks[0].addresses[1]: lets half the world call"},
		{"no password at all", "trunks: [{name: a, host: b.example, username: u, register: true}]", "trunks[0].password: must be set when there is a username"},
		{"a proxy that is a URI", "trunks: [{name: a, host: b.example, proxy: 'sip:p.example'}]", "trunks[0].proxy: must be HOST or HOST:PORT"},
		{"bits after the mask", "trunks: [{name: a, host: b.example, addresses: [192.0.2.1/24]}]", "did you mean 192.0.2.0/24?"},
		{"ports of media within those of RTP", "media: {listen: ':41000'}", "must not contain the port of media.listen"},
		{"one address twice", "metrics: {listen: ':8443'}", "uses the same address as https.listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Sources{File: write(t, tt.text)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Load(Sources{File: "nowhere.yaml"}); err == nil || err.Error() != "nowhere.yaml: cannot read nowhere.yaml: no such file or directory" {
		t.Errorf("missing file: %v", err)
	}
}

func TestEmptyFileAndEmptyKeysKeepDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "https:\nlog:\n  level:\n"} {
		c, err := Load(Sources{File: write(t, text)})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if c.Log.Level != "info" || c.HTTPS.Listen != ":8443" {
			t.Errorf("%q changed a default: %+v", text, c)
		}
	}
}

func TestPasswordFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Sources{File: write(t, "trunks: [{name: a, host: b.example, username: u, password_file: "+secret+"}]")})
	if err != nil || c.Trunks[0].Password != "hunter2" {
		t.Errorf("got %q, %v", c.Trunks[0].Password, err)
	}
}

func TestPrintShowsSourcesAndHidesSecrets(t *testing.T) {
	s := Sources{
		File:  write(t, "trunks: [{name: a, host: b.example, username: u, password: hunter2}]\nlines: [{number: +15550199}]\n"),
		Flags: map[string]string{"https.listen": ":9443"},
	}
	text, err := Print(s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Error("the password is printed")
	}
	if !strings.Contains(string(text), "listen: :9443 # --https") {
		t.Errorf("the flag's place is missing:\n%s", text)
	}
	again, err := Load(Sources{File: write(t, string(text))})
	if err != nil {
		t.Fatalf("what was printed cannot be read: %v\n%s", err, text)
	}
	if again.Lines[0].Number != "+15550199" || again.HTTPS.Listen != ":9443" {
		t.Errorf("read again: %+v", again)
	}
}

func TestEveryKeyHasADescription(t *testing.T) {
	flags := map[string]string{}
	for _, k := range Keys() {
		if k.Doc == "" || k.Path == "" || strings.HasSuffix(k.Path, ".") {
			t.Errorf("key %q has no name or no description", k.Path)
		}
		if other, twice := flags[k.Flag]; twice && k.Flag != "" {
			t.Errorf("--%s is %s and %s", k.Flag, other, k.Path)
		}
		flags[k.Flag] = k.Path
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "demo: true", "https: {listen: :1, hosts: [a]}", "a: &x [*x]", "<<: {}",
		"trunks: [{name: a, host: b, addresses: [::/0]}]", "? [a]\n: b", "media: {rtp_ports: 1-2}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		r := newReader(&c)
		r.yaml("f.yaml", []byte(text))
		check(&c, r.problem)
		for _, p := range r.problems {
			if p.Text == "" || p.line < 0 {
				t.Errorf("a problem without words or place: %+v", p)
			}
		}
	})
}
