// Package node runs a whole demo node inside a test: every part of it, on free
// ports of the loopback, with a data directory of its own.
package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dialtone/internal/app"
	"dialtone/internal/app/logging"
	"dialtone/internal/config"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
)

// Options is how a test wants its node; the zero value is a demo.
type Options struct {
	Config  func(*config.Config) // changes the configuration before the start
	Carrier carrier.Options      // how the simulated carrier behaves
	App     func(*app.Options)   // changes what the node is built from
	Dir     string               // data directory; "": a temporary one
	Log     io.Writer            // nil: what is logged is shown when the test fails
}

// Node is a running node.
type Node struct {
	*app.Node
	Dir  string
	Demo talk.Demo
	HTTP *http.Client // trusts the node; keeps cookies

	stop    func()
	stopped chan error
}

// Start runs a node until the test ends, and fails the test when it does not
// stop well.
func Start(t testing.TB, o Options) *Node {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Log == nil {
		shown := &logged{}
		o.Log = shown
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the node's log:\n%s", shown.String())
			}
		})
	}
	c := config.Default()
	c.DataDir, c.Demo = o.Dir, true
	c.HTTPS.Listen, c.SIP.Listen, c.Media.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Media.RTPPorts = config.PortRange{}
	c.Calls.Drain = 2 * time.Second
	c.Log.Level = "debug"
	if o.Config != nil {
		o.Config(&c)
	}
	log, err := logging.New(o.Log, c.Log.Level, "text")
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Dir: o.Dir, stopped: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	build := app.Options{Config: c, Log: log, Version: "test", Demo: o.Carrier}
	if o.App != nil {
		o.App(&build)
	}
	n.Node, err = app.New(ctx, build)
	if err != nil {
		cancel()
		t.Fatalf("start: %v", err)
	}
	go func() { n.stopped <- n.Run(ctx) }()
	n.stop = cancel
	t.Cleanup(func() { n.Stop(t) })
	text, err := os.ReadFile(filepath.Join(o.Dir, app.DemoFile))
	if err == nil {
		err = json.Unmarshal(text, &n.Demo)
	}
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	n.HTTP = &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test's own node on the loopback
	}}
	t.Cleanup(n.HTTP.CloseIdleConnections)
	return n
}

// Stop stops the node and waits for it; repeating it is harmless.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	select {
	case err := <-n.stopped:
		if err != nil {
			t.Errorf("the node stopped with: %v", err)
		}
	case <-time.After(60 * time.Second):
		t.Error("the node did not stop within a minute")
	}
}

// URL returns the address of a path at the node.
func (n *Node) URL(path string) string { return "https://" + n.Addr().HTTPS + path }

// Port returns the port of the node's front door.
func (n *Node) Port() string {
	_, port, _ := net.SplitHostPort(n.Addr().HTTPS)
	return port
}

// Password returns the password of one of the demo's people.
func (n *Node) Password(t testing.TB, name string) string {
	t.Helper()
	for _, u := range n.Demo.Users {
		if u.Name == name {
			return u.Password
		}
	}
	t.Fatalf("the demo has no %s", name)
	return ""
}

// Ask makes a request as the demo's API key, and decodes the answer into out if
// that is not nil. It returns the status.
func (n *Node) Ask(t testing.TB, method, path string, in, out any) int {
	t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, n.URL(path), body) // bounded by the client; clean-ups ask too
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+n.Demo.APIKey)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := n.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return response.StatusCode
}

// Until waits until ok is true, and fails the test after the time.
func Until(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Idle waits until nothing of calls is left at the node.
func (n *Node) Idle(t testing.TB) {
	t.Helper()
	Until(t, 15*time.Second, fmt.Sprintf("no call is left (%+v)", n.Open()), func() bool {
		open := n.Open()
		return open.Calls == 0 && open.Devices.Legs == 0 && open.Trunks.Dialogs == 0 && open.Trunks.Sockets == 0
	})
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
