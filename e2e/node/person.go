package node

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"testing"
)

// Person is one of the demo's people, signed in with a session of their own.
type Person struct {
	node *Node
	http http.Client
	csrf string
}

// SignIn signs one of the demo's people in.
func (n *Node) SignIn(t testing.TB, name string) *Person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Person{node: n, http: *n.HTTP}
	p.http.Jar = jar
	var session struct{ CSRF string }
	if status := p.Ask(t, "POST", "/api/v1/session", map[string]string{"name": name, "password": n.Password(t, name)}, &session); status != 200 {
		t.Fatalf("sign in as %s: %d", name, status)
	}
	p.csrf = session.CSRF
	return p
}

// Ask makes a request as the person, and decodes the answer into out if that is
// not nil. It returns the status.
func (p *Person) Ask(t testing.TB, method, path string, in, out any) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, p.node.URL(path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if in == nil {
		r.Body, r.ContentLength = nil, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Dialtone-CSRF", p.csrf)
	response, err := p.http.Do(r)
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
