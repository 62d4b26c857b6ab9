package doctor

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/app/certs"
	"dialtone/internal/app/localca"
	"dialtone/internal/config"
)

// machine returns a configuration that this machine can serve, on free ports.
func machine(t *testing.T) config.Config {
	t.Helper()
	c := config.Default()
	c.Demo = true
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.HTTPS.Listen, c.SIP.Listen, c.Media.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", ""
	return c
}

func grades(found []Finding, check string) (grades []Grade, texts string) {
	for _, f := range found {
		if f.Check == check {
			grades = append(grades, f.Grade)
			texts += f.Text + "\n"
		}
	}
	return grades, texts
}

func want(t *testing.T, found []Finding, check string, g Grade, text string) {
	t.Helper()
	got, texts := grades(found, check)
	if !slices.Contains(got, g) || !strings.Contains(texts, text) {
		t.Errorf("%s: want %s with %q, got %v:\n%s", check, g, text, got, texts)
	}
}

func TestAFreeMachineHasNoProblem(t *testing.T) {
	for _, f := range Examine(t.Context(), machine(t)) {
		if f.Grade == Problem && f.Check != "disk" {
			t.Errorf("%s: %s", f.Check, f.Text)
		}
	}
}

func TestTakenPortsAreFound(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	c := machine(t)
	c.Metrics.Listen, c.Media.Listen, c.SIP.TLSListen = tcp.Addr().String(), udp.LocalAddr().String(), "192.0.2.1:5061"
	found := Examine(t.Context(), c)
	want(t, found, "port", Problem, "taken by another program; stop it or change metrics.listen")
	want(t, found, "port", Problem, "taken by another program; stop it or change media.listen")
	want(t, found, "port", Problem, "192.0.2.1:5061 is not an address of this machine")
}

func TestARunningNodeExplainsItsPorts(t *testing.T) {
	status := http.StatusOK
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer node.Close()
	c := machine(t)
	c.HTTPS.Listen = node.Listener.Addr().String()
	found := Examine(t.Context(), c)
	want(t, found, "node", Fine, "is ready")
	want(t, found, "port", Fine, "in use by the running node")
	status = http.StatusServiceUnavailable
	want(t, Examine(t.Context(), c), "node", Problem, "not ready")
	status = http.StatusNotFound
	want(t, Examine(t.Context(), c), "node", Problem, "another program answers")
}

func TestDataDirectories(t *testing.T) {
	c := machine(t)
	if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, Examine(t.Context(), c), "data", Problem, "is not a directory")

	c = machine(t)
	if err := os.Mkdir(c.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, Examine(t.Context(), c), "data", Warning, "chmod 700")
}

func TestCertificates(t *testing.T) {
	c := machine(t)
	c.HTTPS.Cert, c.HTTPS.Key = "nowhere.pem", "nowhere.pem"
	want(t, Examine(t.Context(), c), "certificate", Problem, "cannot be used")

	c = machine(t)
	want(t, Examine(t.Context(), c), "certificate", Fine, "will be made")
	if _, err := localca.Open(certs.AuthorityDir(c.DataDir)); err != nil {
		t.Fatal(err)
	}
	want(t, Examine(t.Context(), c), "certificate", Warning, "run dialtone trust")
}

func TestUnknownNames(t *testing.T) {
	c := machine(t)
	c.Trunks = []config.Trunk{{Name: "one", Host: "carrier.invalid"}, {Name: "two", Host: "192.0.2.1"}}
	found := Examine(t.Context(), c)
	want(t, found, "names", Problem, "carrier.invalid is not found")
	if got, _ := grades(found, "names"); len(got) != 1 {
		t.Errorf("an address was looked up as a name: %v", got)
	}
}
