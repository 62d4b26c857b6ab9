package app_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dialtone/e2e/node"
	"dialtone/internal/app"
	"dialtone/internal/config"
	"dialtone/internal/fault"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
)

// signIn signs one of the demo's people in and returns the session's CSRF value.
func signIn(t *testing.T, n *node.Node, name string) string {
	t.Helper()
	body := `{"name":"` + name + `","password":"` + n.Password(t, name) + `"}`
	r, err := n.HTTP.Post(n.URL("/api/v1/session"), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var session struct {
		CSRF string `json:"csrf"`
		Demo bool   `json:"demo"`
	}
	if err := json.NewDecoder(r.Body).Decode(&session); err != nil || r.StatusCode != http.StatusOK || session.CSRF == "" || !session.Demo {
		t.Fatalf("sign-in: %d, %+v, %v", r.StatusCode, session, err)
	}
	return session.CSRF
}

func TestNodeServesItsPaths(t *testing.T) {
	n := node.Start(t, node.Options{})
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/api/v1/openapi.json": 200, "/api/v1/session": 401, "/api/v1/nothing": 404, "/api/v1/events": 401,
	} {
		r, err := n.HTTP.Get(n.URL(path))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
	r, err := http.Get("http://" + n.Addr().Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(text), "dialtone_calls_live 0") {
		t.Errorf("no call metrics in %.300s", text)
	}
}

func TestStartFailsOnATakenPortAndGivesBackTheRest(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := config.Default()
	c.DataDir, c.Demo = t.TempDir(), true
	c.HTTPS.Listen, c.SIP.Listen, c.Media.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", taken.Addr().String()
	for range 2 { // the second start fails for the same reason, not for a locked file
		_, err = app.New(t.Context(), app.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "metrics.listen") {
			t.Fatalf("start: %v", err)
		}
	}
}

func TestSessionsNeedTheirCSRFValue(t *testing.T) {
	n := node.Start(t, node.Options{})
	csrf := signIn(t, n, "alice")
	put := func(header string) int {
		r, err := http.NewRequest(http.MethodPut, n.URL("/api/v1/me"), strings.NewReader(`{"state":"away"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Dialtone-CSRF", header)
		response, err := n.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if got := put("wrong"); got != http.StatusForbidden {
		t.Errorf("a wrong CSRF value: %d", got)
	}
	if got := put(csrf); got != http.StatusOK {
		t.Errorf("the right CSRF value: %d", got)
	}
	cookies := n.HTTP.Jar.Cookies(&url.URL{Scheme: "https", Host: n.Addr().HTTPS, Path: "/"})
	if len(cookies) != 1 {
		t.Errorf("cookies %v", cookies)
	}
}

func TestWrongPasswordSaysNothingMore(t *testing.T) {
	n := node.Start(t, node.Options{})
	for _, name := range []string{"alice", "nobody"} {
		r, err := n.HTTP.Post(n.URL("/api/v1/session"), "application/json", strings.NewReader(`{"name":"`+name+`","password":"wrong"}`))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusUnauthorized || strings.Contains(string(text), name) {
			t.Errorf("%s: %d %s", name, r.StatusCode, text)
		}
	}
}

// Nobody is signed in, so the caller hears the greeting and leaves a message,
// which can be fetched.
func TestCallerLeavesAMessage(t *testing.T) {
	n := node.Start(t, node.Options{})
	result, err := carrier.Call(t.Context(), carrier.CallOptions{
		Node: n.Addr().SIP, To: talk.DemoNumber, From: "+15550123", For: 12 * time.Second, Tone: 440,
	})
	if err != nil || !result.Answered || result.Status != 200 {
		t.Fatalf("%+v, %v", result, err)
	}
	if gap := result.Call.Heard.LongestGap; gap > 2*time.Second { // a carrier would take the leg for dead
		t.Errorf("the caller got no packet for %v while speaking", gap)
	}
	n.Idle(t)
	var page struct {
		Voicemails []struct {
			ID       string
			Duration float64
			From     struct{ Number string }
		}
	}
	node.Until(t, 5*time.Second, "the message is listed", func() bool {
		return n.Ask(t, http.MethodGet, "/api/v1/voicemails", nil, &page) == 200 && len(page.Voicemails) == 1
	})
	v := page.Voicemails[0]
	if v.Duration < 1 || v.From.Number != "+15550123" {
		t.Errorf("message %+v", v)
	}
	if got := n.Ask(t, http.MethodGet, "/api/v1/voicemails/"+v.ID+"/audio", nil, nil); got != 200 {
		t.Errorf("audio: %d", got)
	}
	var calls struct {
		Calls []struct{ Status string }
	}
	if n.Ask(t, http.MethodGet, "/api/v1/calls", nil, &calls); len(calls.Calls) != 1 || calls.Calls[0].Status != "voicemail" {
		t.Errorf("calls %+v", calls)
	}
}

func TestPathsAndPagesReachTheirOperations(t *testing.T) {
	n := node.Start(t, node.Options{})
	var answer struct{ Detail string }
	if got := n.Ask(t, http.MethodPost, "/api/v1/voicemails/RE1/heard", map[string]bool{"heard": true}, &answer); got != 404 {
		t.Errorf("a message there is not: %d %s", got, answer.Detail)
	}
	for path, want := range map[string]int{
		"/api/v1/calls?limit=0": 422, "/api/v1/calls?limit=201": 422, "/api/v1/calls?kind=odd": 422,
		"/api/v1/calls?cursor=nonsense": 422, "/api/v1/calls?limit=5&kind=missed": 200, "/api/v1/voicemails?cursor=nonsense": 422,
	} {
		if got := n.Ask(t, http.MethodGet, path, nil, nil); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// A console's stream goes on while nothing happens, longer than the time that
// one write may take.
func TestEventStreamSurvivesSilence(t *testing.T) {
	n := node.Start(t, node.Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL("/api/v1/events"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+n.Demo.APIKey)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		t.Fatalf("the stream came by %s", response.Proto)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	var seen []string
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "event:") || strings.HasPrefix(line, ":") {
			if seen = append(seen, line); strings.HasPrefix(line, ":") {
				break
			}
		}
	}
	if len(seen) != 2 || seen[0] != "event: snapshot" {
		t.Errorf("seen %q, %v", seen, lines.Err())
	}
}

func TestOneNodeADataDirectory(t *testing.T) {
	n := node.Start(t, node.Options{})
	c := config.Default()
	c.DataDir, c.Demo = n.Dir, true
	c.HTTPS.Listen, c.SIP.Listen, c.Media.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", ""
	o := app.Options{Config: c, Log: slog.New(slog.DiscardHandler)}
	if _, err := app.New(t.Context(), o); fault.KindOf(err) != fault.Conflict {
		t.Fatalf("a second node: %v", err)
	}
	n.Stop(t)
	node.Start(t, node.Options{Dir: n.Dir}).Stop(t)
}

func TestDemoPasswordsAreTheUsersAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, app.DemoFile)
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	node.Start(t, node.Options{Dir: dir})
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
