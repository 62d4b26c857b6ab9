package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/httpapi"
	"dialtone/internal/voice/keyring"
)

// slowly is a body that something happens before.
type slowly struct {
	before func()
	text   *strings.Reader
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.before != nil {
		s.before()
		s.before = nil
	}
	return s.text.Read(p)
}

// A request that was begun before its sender was disabled and is finished after it
// does nothing.
func TestARequestOutlivesNobody(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("alice")
	id := h.id("alice")
	u, err := h.store.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	// The server asks for the body when it reads it: who sends it is known by then.
	h.client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	ask := func(before func()) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/api/v1/device-tokens",
			&slowly{before, strings.NewReader(`{"kind":"access"}`)})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Expect": "100-continue", "Content-Type": "application/json", "X-Dialtone-CSRF": csrf} {
			r.Header.Set(name, value)
		}
		response, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if status := ask(nil); status != http.StatusCreated {
		t.Fatalf("in time: %d", status)
	}
	status := ask(func() {
		u.Disabled = true
		if err := h.store.PutUser(t.Context(), u); err != nil {
			t.Error(err)
		}
	})
	if status != http.StatusUnauthorized {
		t.Errorf("disabled before the body came: %d", status)
	}
}

// A page of another site cannot make a browser sign in, even where the browser
// would not ask the server first.
func TestOtherSitesDoNotSignAnybodyIn(t *testing.T) {
	h := newHouse(t, nil)
	body, err := json.Marshal(map[string]string{"name": "alice", "password": h.demo.Users[1].Password})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"our page", []string{"Sec-Fetch-Site", "same-origin", "Origin", h.url}, 200},
		{"our page in an old browser", []string{"Origin", h.url}, 200},
		{"no browser", nil, 200},
		{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"another host of the domain", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://blog.example.com"}, 403},
		{"another site in an old browser", []string{"Origin", "https://evil.example"}, 403},
	} {
		// Without a type, as a page sends a Blob that has none: no preflight is made.
		a := h.ask("POST", "/api/v1/session", string(body), append(c.header, "Content-Type", "")...)
		if a.Status != c.status {
			t.Errorf("%s: %d %.200s", c.name, a.Status, a.Body)
		}
	}
	if a := h.ask("POST", "/v4/EndpointEvents", "{}", "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"); a.Status != 200 {
		t.Errorf("devices' reports come from other sites' pages: %d", a.Status)
	}
}

// slowIssuer is an issuer whose key set takes longer to read than a request.
type slowIssuer struct{ httpapi.Ring }

func (slowIssuer) AddIssuer(ctx context.Context, i keyring.Issuer) (keyring.Issuer, error) {
	select {
	case <-ctx.Done():
		return keyring.Issuer{}, fault.Wrap(fault.Unavailable, ctx.Err(), "given up")
	case <-time.After(5500 * time.Millisecond):
		return i, nil
	}
}

// The time in which a request must have come is none for its answer: over HTTP/1.1
// both are of one connection.
func TestAnAnswerMayTakeLongerThanTheRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil, func(o *httpapi.Options) { o.Ring = slowIssuer{o.Ring} })
	csrf := h.signIn("admin")
	a := h.ask("POST", "/api/v1/issuers", `{"name":"ours","url":"https://id.example.com","jwks":"https://id.example.com/keys","audience":"phones"}`,
		"X-Dialtone-CSRF", csrf)
	if a.Status != http.StatusCreated {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
