package httpapi_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/httpapi"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// oneKey is what a verifier needs to know of a fakeRing.
type oneKey struct{ *fakeRing }

func (k oneKey) APIKey(id string) (*token.Key, token.Reason) {
	for _, have := range k.keys {
		if have.ID == id {
			key, err := token.NewSecretKey(have.ID, have.Account, have.Algorithm, have.Secret)
			if err == nil {
				return key, ""
			}
		}
	}
	return nil, token.ReasonUnknownKey
}

func (k oneKey) AuthTokens(account string) ([]*token.Key, token.Reason) {
	key, err := token.NewSecretKey(k.auth[0].ID, account, token.HS256, k.auth[0].Secret)
	if err != nil {
		return nil, token.ReasonUnknownAccount
	}
	return []*token.Key{key}, ""
}

func (oneKey) IssuerKey(string, string) (*token.Key, string, token.Reason) {
	return nil, "", token.ReasonUnknownIssuer
}
func (oneKey) Closed(string, token.Kind, time.Time) bool { return false }
func (oneKey) Revoked(*token.Claims) bool                { return false }

func TestDeviceTokens(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("alice")
	ask := func(body string, want int) (out httpapi.DeviceToken, text string) {
		t.Helper()
		a := h.ask("POST", "/api/v1/device-tokens", body, "X-Dialtone-CSRF", csrf)
		if a.Status != want {
			t.Fatalf("%s: %d %s", body, a.Status, a.Body)
		}
		if want == 201 {
			if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
				t.Fatal(err)
			}
		}
		return out, a.Body
	}
	verifier := token.NewVerifier(oneKey{h.ring}, nil, time.Now)
	for body, kind := range map[string]token.Kind{
		"": token.Access, "{}": token.Access, `{"kind":"access"}`: token.Access, `{"kind":"capability"}`: token.Capability,
	} {
		got, _ := ask(body, 201)
		claims, err := verifier.Verify(context.Background(), got.Token)
		if err != nil || got.Kind != kind || claims.Kind != kind || claims.Identity != "alice" || got.Identity != "alice" ||
			!claims.Incoming || claims.OutgoingApp != "AP"+strings.TrimPrefix(h.ring.account, "AC") || time.Until(got.ExpiresAt) < 50*time.Minute {
			t.Errorf("%s: %v %+v %+v", body, err, got, claims)
		}
		if !slices.Equal(got.Ways, []token.Kind{token.Ticket, token.Access}) {
			t.Errorf("%s: ways %v", body, got.Ways)
		}
	}
	got, _ := ask(`{"kind":"ticket"}`, 201)
	if g := h.ring.tickets[0]; got.Kind != token.Ticket || len(got.Token) != token.TicketSize || g.Identity != "alice" || !g.Incoming || g.Session != time.Hour || g.OutgoingApp == "" {
		t.Errorf("ticket: %+v %+v", got, g)
	}

	h.ring.ways[token.Ticket] = keyring.Way{Kind: token.Ticket}
	if _, text := ask(`{"kind":"ticket"}`, 409); !strings.Contains(text, `\"access\" or \"capability\"`) {
		t.Errorf("closed: %s", text)
	}
	if got, _ := ask(`{}`, 201); !slices.Equal(got.Ways, []token.Kind{token.Access}) {
		t.Errorf("ways %v", got.Ways)
	}
	h.ring.ways[token.Access] = keyring.Way{Kind: token.Access, Open: true, Closes: time.Now().Add(-time.Second)}
	ask(`{}`, 409)
	h.ring.ways[token.Access] = keyring.Way{Kind: token.Access, Open: true, Closes: time.Now().Add(time.Hour)}
	ask(`{}`, 201)
	for _, body := range []string{
		`{"kind":"password"}`, `{"instead_of":{}}`, `{"instead_of":{"kind":"ticket","code":-1}}`, `{"instead_of":{"kind":"ticket","code":100000}}`,
	} {
		ask(body, 422)
	}
	ask(`{"identity":"bob"}`, 403)
	ask(`{"identity":"alice"}`, 201)
}

// A way in that could not even be had is told of here; a refusal is known where
// it happened.
func TestInsteadOf(t *testing.T) {
	h := newHouse(t, nil)
	csrf := h.signIn("alice")
	for body, told := range map[string]bool{
		`{"kind":"access"}`: false,
		`{"kind":"access","instead_of":{"kind":"ticket","code":20101}}`: false,
		`{"kind":"access","instead_of":{"kind":"access","code":0}}`:     false,
		`{"kind":"access","instead_of":{"kind":"ticket","code":0}}`:     true,
	} {
		h.devices.changed = nil
		if a := h.ask("POST", "/api/v1/device-tokens", body, "X-Dialtone-CSRF", csrf, "User-Agent", "browser"); a.Status != 201 {
			t.Fatalf("%s: %d %s", body, a.Status, a.Body)
		}
		if (len(h.devices.changed) == 1) != told {
			t.Errorf("%s: %+v", body, h.devices.changed)
		}
		if !told {
			continue
		}
		e := h.devices.changed[0]
		if e.Failed != "ticket" || e.Saved != "access" || e.Reason != httpapi.NotIssued || e.Code != 0 || e.Identity != "alice" ||
			e.Account != h.ring.account || e.Device.Browser != "browser" || e.Device.Remote == "" || e.At.IsZero() {
			t.Errorf("told: %+v", e)
		}
	}
}

// An app's server gets tokens for its users' devices.
func TestDeviceTokensForMachines(t *testing.T) {
	h := newHouse(t, nil)
	app := h.ring.add(keyring.Key{Account: h.ring.account, Name: "app"})
	ids := map[string]bool{}
	for _, c := range []struct {
		bearer, body string
		status       int
	}{
		{h.demo.APIKey, `{"kind":"ticket","identity":"who~é日本?"}`, 201},
		{h.demo.APIKey, `{"kind":"access","identity":"who~é日本?"}`, 201},
		{h.demo.APIKey, `{"kind":"ticket"}`, 422},
		{h.demo.APIKey, `{"identity":"` + strings.Repeat("x", 122) + `"}`, 422},
		{h.demo.APIKey, `{"kind":"capability","identity":"who~é日本?"}`, 201},
		{app.Bearer(), `{"kind":"ticket","identity":"who~é日本?"}`, 201},
		{app.Bearer(), `{"kind":"access","identity":"who~é日本?"}`, 201},
		{app.Bearer(), `{"kind":"access","identity":"who~é日本?"}`, 201},
		{app.Bearer(), `{"kind":"capability","identity":"alice"}`, 403},
		{h.ring.named("watch").Bearer(), `{"kind":"capability","identity":"alice"}`, 403},
	} {
		a := h.ask("POST", "/api/v1/device-tokens", c.body, "Authorization", "Bearer "+c.bearer)
		if a.Status != c.status {
			t.Errorf("%s: %d %s", c.body, a.Status, a.Body)
		}
		if c.status == 201 && !strings.Contains(a.Body, `"identity":"who~é日本?"`) {
			t.Errorf("%s: %s", c.body, a.Body)
		}
		// What a key lets in goes with it when it is revoked.
		if id, _, _ := strings.Cut(c.bearer, "."); strings.Contains(c.body, "ticket") && c.status == 201 && h.ring.tickets[len(h.ring.tickets)-1].KeyID != id {
			t.Errorf("%s: of %q", c.body, h.ring.tickets[len(h.ring.tickets)-1].KeyID)
		} else if strings.Contains(c.body, "access") {
			var out httpapi.DeviceToken
			err := json.Unmarshal([]byte(a.Body), &out)
			claims := token.Inspect(out.Token).Claims
			if ids[claims.ID] {
				t.Errorf("two tokens share the id %s: revoking one would revoke both", claims.ID)
			}
			ids[claims.ID] = true
			if err != nil || claims.KeyID != id {
				t.Errorf("%s: %v, %s", c.body, err, token.Inspect(out.Token).Claims.KeyID)
			}
		}
	}
	for _, path := range []string{"/api/v1/calls", "/api/v1/agents", "/api/v1/keys", "/api/v1/events"} {
		if a := h.ask("GET", path, "", "Authorization", "Bearer "+app.Bearer()); a.Status != 401 {
			t.Errorf("%s is open to a key without a role: %d", path, a.Status)
		}
	}
}
