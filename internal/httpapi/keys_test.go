package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"dialtone/internal/httpapi"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// settings is a house whose door is asked as the demo's API key, an admin.
type settings struct{ *house }

func (s settings) do(method, path, body string, want int, into any) answer {
	s.t.Helper()
	a := s.ask(method, "/api/v1"+path, body, "Authorization", "Bearer "+s.demo.APIKey)
	if a.Status != want {
		s.t.Errorf("%s %s %s: %d %s", method, path, body, a.Status, a.Body)
	}
	if into != nil && a.Status == want {
		if err := json.Unmarshal([]byte(a.Body), into); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, a.Body)
		}
	}
	return a
}

// operations are all that only an admin may use, with a body that would do.
func operations(key string) [][3]string {
	return [][3]string{
		{"GET", "/keys", ""},
		{"POST", "/keys", `{"name":"crm"}`},
		{"PATCH", "/keys/" + key, `{"disabled":true}`},
		{"POST", "/keys/" + key + "/rotate", `{}`},
		{"GET", "/auth-tokens", ""},
		{"POST", "/auth-tokens/rotate", ""},
		{"GET", "/ways", ""},
		{"PUT", "/ways/capability", `{"open":false}`},
		{"GET", "/ways/capability/uses", ""},
		{"GET", "/revocations", ""},
		{"POST", "/revocations", `{"of":"identity","value":"alice"}`},
		{"DELETE", "/revocations/RV1", ""},
		{"GET", "/issuers", ""},
		{"POST", "/issuers", `{"name":"sso","url":"https://a.example","jwks":"https://a.example/keys","audience":"phone"}`},
		{"DELETE", "/issuers/IS1", ""},
	}
}

func TestOnlyAdminsGetToTheKeys(t *testing.T) {
	h := newHouse(t, nil)
	h.audit.lines = nil
	watch, console := h.ring.named("watch"), h.ring.named(keyring.ConsoleKey)
	csrf := h.signIn("alice")
	h.audit.lines = nil
	for _, o := range operations(watch.ID) {
		for who, header := range map[string][]string{
			"an agent":               {"X-Dialtone-CSRF", csrf},
			"a key of a team lead's": {"Authorization", "Bearer " + watch.Bearer()},
		} {
			if a := h.ask(o[0], "/api/v1"+o[1], o[2], header...); a.Status != 403 {
				t.Errorf("%s: %s %s: %d %s", who, o[0], o[1], a.Status, a.Body)
			}
		}
		// A key that only signs tokens opens nothing here; a stranger has none.
		for who, bearer := range map[string]string{"a signing key": console.Bearer(), "a stranger": "SK1.2"} {
			if a := h.ask(o[0], "/api/v1"+o[1], o[2], "Authorization", "Bearer "+bearer); a.Status != 401 {
				t.Errorf("%s: %s %s: %d %s", who, o[0], o[1], a.Status, a.Body)
			}
		}
	}
	if len(h.audit.lines) > 0 || len(h.ring.keys) != 3 || len(h.ring.revoked) > 0 {
		t.Errorf("something was changed: %+v", h.audit.lines)
	}
	csrf = h.signIn("admin")
	for _, o := range operations(watch.ID) {
		if a := h.ask(o[0], "/api/v1"+o[1], o[2], "X-Dialtone-CSRF", csrf); a.Status/100 != 2 && a.Status != 404 {
			t.Errorf("admin: %s %s: %d %s", o[0], o[1], a.Status, a.Body)
		}
	}
}

func TestKeys(t *testing.T) {
	s := settings{newHouse(t, nil)}
	var made httpapi.NewKey
	s.do("POST", "/keys", `{"name":"crm","role":"team_lead"}`, 201, &made)
	k := s.ring.named("crm")
	if made.Secret != string(k.Secret) || made.Bearer != k.Bearer() || made.Key.State != "active" || made.Key.Own {
		t.Errorf("made: %+v", made)
	}
	if l := s.audit.last(); l.Act != people.KeyAdd || l.Target != k.ID || l.ActorKind != people.ByKey || l.Actor != "demo" || l.Detail["role"] != "team_lead" || l.Remote == "" {
		t.Errorf("audit: %+v", l)
	}
	var plain httpapi.NewKey
	if s.do("POST", "/keys", `{"name":"signs"}`, 201, &plain); plain.Bearer != "" || plain.Secret == "" {
		t.Errorf("a key that only signs: %+v", plain)
	}
	var public httpapi.NewKey
	a := s.do("POST", "/keys", `{"name":"ours","algorithm":"ES256","public_key":{"kty":"EC","crv":"P-256","x":"AA","y":"AQ"}}`, 201, &public)
	if public.Secret != "" || public.Key.PublicKey["kty"] != "EC" || strings.Contains(a.Body, "secret") {
		t.Errorf("by its public half: %s", a.Body)
	}

	s.audit.last()
	var changed httpapi.Key
	if s.do("PATCH", "/keys/"+k.ID, `{"disabled":true,"name":"old crm"}`, 200, &changed); changed.State != "disabled" || changed.Name != "old crm" {
		t.Errorf("changed: %+v", changed)
	}
	if l := s.audit.last(); l.Act != people.KeyChange || l.Detail["disabled"] != "yes" || l.Detail["name"] != "old crm" {
		t.Errorf("audit: %+v", l)
	}
	s.do("PATCH", "/keys/"+k.ID, `{"disabled":false,"role":""}`, 200, &changed)
	if changed.State != "active" || changed.Role != "" {
		t.Errorf("changed back: %+v", changed)
	}

	var next httpapi.NewKey
	s.do("POST", "/keys/"+k.ID+"/rotate", `{"overlap":60}`, 201, &next)
	if s.ring.overlap != time.Minute || next.Secret == "" || next.Key.ID == k.ID {
		t.Errorf("rotated: %+v, %v", next, s.ring.overlap)
	}
	if l := s.audit.last(); l.Act != people.KeyRotate || l.Target != k.ID || l.Detail["successor"] != next.Key.ID {
		t.Errorf("audit: %+v", l)
	}
	s.do("POST", "/keys/"+next.Key.ID+"/rotate", "", 201, nil)
	if s.ring.overlap != keyring.DefaultOverlap {
		t.Errorf("an overlap that nobody named: %v", s.ring.overlap)
	}

	var token struct {
		AuthToken httpapi.AuthToken `json:"auth_token"`
		Secret    string
	}
	if s.do("POST", "/auth-tokens/rotate", `{"overlap":3600}`, 201, &token); s.ring.overlap != time.Hour || !strings.Contains(token.Secret, secretMark) {
		t.Errorf("auth token: %+v", token)
	}
	if l := s.audit.last(); l.Act != people.AuthTokenRotate || l.Target != token.AuthToken.ID {
		t.Errorf("audit: %+v", l)
	}

	var all struct{ Keys []httpapi.Key }
	s.do("GET", "/keys", "", 200, &all)
	states := map[string]string{}
	for _, k := range all.Keys {
		states[k.ID] = k.State
		if k.Own != (k.Name == keyring.ConsoleKey) {
			t.Errorf("whose is %+v", k)
		}
	}
	if states[k.ID] != "retiring" || states[next.Key.ID] != "retiring" || len(all.Keys) != 8 {
		t.Errorf("keys: %+v", all.Keys)
	}
}

// A secret is in the answer that makes it, and nowhere else.
func TestSecretsAreShownOnce(t *testing.T) {
	s := settings{newHouse(t, nil)}
	secrets := 0
	for _, o := range [][3]string{{"POST", "/keys", `{"name":"a","role":"admin"}`}, {"POST", "/keys/" + s.ring.named("watch").ID + "/rotate", ""}, {"POST", "/auth-tokens/rotate", ""}} {
		a := s.do(o[0], o[1], o[2], 201, nil)
		if strings.Contains(a.Body, secretMark) {
			secrets++
		}
	}
	if secrets != 3 {
		t.Fatalf("%d of 3 secrets were shown", secrets)
	}
	id := s.ring.named("a").ID
	for _, o := range [][3]string{
		{"GET", "/keys", ""},
		{"GET", "/auth-tokens", ""},
		{"GET", "/revocations", ""},
		{"GET", "/ways", ""},
		{"GET", "/issuers", ""},
		{"PATCH", "/keys/" + id, `{"name":"b"}`},
		{"POST", "/revocations", `{"of":"key","value":"` + id + `"}`},
	} {
		if a := s.do(o[0], o[1], o[2], map[string]int{"GET": 200, "PATCH": 200, "POST": 201}[o[0]], nil); strings.Contains(a.Body, secretMark) {
			t.Errorf("%s %s shows a secret: %s", o[0], o[1], a.Body)
		}
	}
	lines, err := json.Marshal(s.audit.lines)
	if err != nil || len(s.audit.lines) < 5 || strings.Contains(string(lines), secretMark) {
		t.Errorf("the audit log: %v %s", err, lines)
	}
}

// What would take the consoles' own tokens away is refused, with what to do.
func TestTheConsolesOwnKey(t *testing.T) {
	s := settings{newHouse(t, nil)}
	own := s.ring.named(keyring.ConsoleKey).ID
	for _, o := range [][4]string{
		{"PATCH", "/keys/" + own, `{"disabled":true}`, "rotate it"},
		{"PATCH", "/keys/" + own, `{"name":"x"}`, "rotate it"},
		{"POST", "/revocations", `{"of":"key","value":"` + own + `"}`, "/keys/" + own + "/rotate"},
	} {
		if a := s.do(o[0], o[1], o[2], 409, nil); !strings.Contains(a.Body, o[3]) {
			t.Errorf("%s %s does not say what to do: %s", o[0], o[1], a.Body)
		}
	}
	s.do("POST", "/keys", `{"name":"console"}`, 422, nil)
	s.do("PATCH", "/keys/"+s.ring.named("watch").ID, `{"name":" console "}`, 422, nil)
	if len(s.ring.revoked) > 0 {
		t.Fatal("it was revoked")
	}
	s.do("POST", "/keys/"+own+"/rotate", "", 201, nil)
	s.do("POST", "/revocations", `{"of":"key","value":"`+own+`"}`, 201, nil)
	if len(s.ring.revoked) != 1 {
		t.Error("it was not revoked")
	}
}

func TestWhatIsNoKey(t *testing.T) {
	s := settings{newHouse(t, nil)}
	id := s.ring.named("watch").ID
	for _, o := range [][3]string{
		{"POST", "/keys", `{}`},
		{"POST", "/keys", `{"name":""}`},
		{"POST", "/keys", `{"name":"` + strings.Repeat("x", 81) + `"}`},
		{"POST", "/keys", `{"name":"a","algorithm":"none"}`},
		{"POST", "/keys", `{"name":"a","role":"root"}`},
		{"POST", "/keys", `{"name":"a","secret":"mine"}`},
		{"POST", "/keys", `{"name":"a","public_key":{"kty":"EC","crv":"P-256","x":"AA","y":"AQ","d":"AQ"}}`},
		{"POST", "/keys", `{"name":"a","public_key":{"kty":"oct","k":"AQ"}}`},
		{"PATCH", "/keys/" + id, `{"role":"root"}`},
		{"POST", "/keys/" + id + "/rotate", `{"overlap":-1}`},
		{"POST", "/keys/" + id + "/rotate", `{"overlap":7776001}`},
		{"POST", "/auth-tokens/rotate", `{"overlap":7776001}`},
		{"GET", "/ways/password/uses", ""},
		{"GET", "/ways/access/uses?days=0", ""},
		{"GET", "/ways/access/uses?days=367", ""},
		{"PUT", "/ways/access", `{}`},
		{"PUT", "/ways/access", `{"open":true,"closes_at":"2020-01-01T00:00:00Z"}`},
		{"PUT", "/ways/access", `{"open":true,"closes_at":"2199-01-01T00:00:00Z"}`},
		{"PUT", "/ways/access", `{"open":false,"closes_at":"2030-01-01T00:00:00Z"}`},
		{"POST", "/revocations", `{"of":"account","value":"x"}`},
		{"POST", "/revocations", `{"of":"identity","value":""}`},
		{"POST", "/revocations", `{"of":"token","value":"x","forever":true}`},
		{"POST", "/revocations", `{"of":"identity","value":"x","reason":"` + strings.Repeat("x", 201) + `"}`},
		{"POST", "/issuers", `{"name":"a","url":"http://a.example","jwks":"https://a.example/keys","audience":"a"}`},
		{"POST", "/issuers", `{"name":"a","url":"https://a.example","jwks":"file:///etc/passwd","audience":"a"}`},
		{"POST", "/issuers", `{"name":"a","url":"https://a.example","jwks":"https://a.example/keys","audience":""}`},
		{"POST", "/issuers", `{"name":"a","url":"https://a.example","jwks":"https://away.example/keys","audience":"a"}`},
	} {
		s.do(o[0], o[1], o[2], 422, nil)
	}
	for _, o := range [][3]string{
		{"PATCH", "/keys/SK0", `{"name":"x"}`},
		{"POST", "/keys/SK0/rotate", ""},
		{"POST", "/revocations", `{"of":"key","value":"SK0"}`},
		{"DELETE", "/revocations/RV0", ""},
		{"DELETE", "/issuers/IS0", ""},
	} {
		s.do(o[0], o[1], o[2], 404, nil)
	}
	if l := s.audit.last(); l.Act != "" {
		t.Errorf("audit: %+v", l)
	}
}

func TestRevocations(t *testing.T) {
	s := settings{newHouse(t, nil)}
	watch := s.ring.named("watch").ID
	s.devices.in = append(s.devices.in, []token.Claims{
		{Account: s.ring.account, KeyID: watch, ID: "one", Identity: "alice"},
		{Account: s.ring.account, KeyID: watch, ID: "two", Identity: "alice"},
		{Account: s.ring.account, KeyID: "other", ID: "three", Identity: "bob"},
		{Account: s.ring.account, KeyID: watch, Issuer: "https://a.example", ID: "four", Identity: "carol"}, // a kid of theirs
		{Account: "AC0", KeyID: watch, ID: "one", Identity: "alice"},
	}...)
	for _, c := range []struct {
		body, act string
		devices   int
	}{
		{`{"of":"key","value":"` + watch + `","reason":"leaked"}`, people.KeyRevoke, 2},
		{`{"of":"token","value":"three"}`, people.RevocationAdd, 1},
		{`{"of":"identity","value":"alice","forever":true}`, people.RevocationAdd, 2},
		{`{"of":"key","value":"` + s.ring.auth[0].ID + `"}`, people.KeyRevoke, 0},
	} {
		var made struct {
			httpapi.Revocation
			Devices int
		}
		a := s.do("POST", "/revocations", c.body, 201, &made)
		if made.Devices != c.devices || made.ID == "" || made.By != "demo" || made.At.IsZero() {
			t.Errorf("%s: %s", c.body, a.Body)
		}
		if l := s.audit.last(); l.Act != c.act || l.Target != made.Value || l.Detail["of"] != made.Of {
			t.Errorf("%s: audit: %+v", c.body, l)
		}
	}
	var all struct{ Revocations []httpapi.Revocation }
	if s.do("GET", "/revocations", "", 200, &all); len(all.Revocations) != 4 || !all.Revocations[2].Forever || all.Revocations[0].Reason != "leaked" {
		t.Errorf("all: %+v", all)
	}
	s.do("DELETE", "/revocations/"+all.Revocations[0].ID, "", 409, nil)
	s.do("DELETE", "/revocations/"+all.Revocations[2].ID, "", 204, nil)
	if l := s.audit.last(); l.Act != people.RevocationLift || l.Detail["value"] != "alice" {
		t.Errorf("audit: %+v", l)
	}
}

func TestIssuers(t *testing.T) {
	s := settings{newHouse(t, nil)}
	var made httpapi.Issuer
	s.do("POST", "/issuers", `{"name":"sso","url":"https://a.example","jwks":"https://a.example/keys","audience":"phone"}`, 201, &made)
	if l := s.audit.last(); made.Keys != 2 || l.Act != people.IssuerAdd || l.Target != made.ID || l.Detail["url"] != "https://a.example" {
		t.Errorf("%+v, audit: %+v", made, l)
	}
	var all struct{ Issuers []httpapi.Issuer }
	if s.do("GET", "/issuers", "", 200, &all); len(all.Issuers) != 1 || all.Issuers[0] != made {
		t.Errorf("all: %+v", all)
	}
	s.do("DELETE", "/issuers/"+made.ID, "", 204, nil)
	if l := s.audit.last(); l.Act != people.IssuerRemove || l.Detail["name"] != "sso" {
		t.Errorf("audit: %+v", l)
	}
}
