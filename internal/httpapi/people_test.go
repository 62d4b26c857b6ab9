package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/httpapi"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/softkey"
	"dialtone/internal/talk/people/sso"
	"dialtone/internal/talk/people/sso/idp"
)

// as is a signed-in person at a house.
type as struct {
	*house
	csrf string
}

func (h *house) as(name string) as {
	h.t.Helper()
	h.fresh()
	return as{h, h.signIn(name)}
}

// fresh is another browser.
func (h *house) fresh() {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.client.Jar = jar
}

func (a as) do(method, path, body string, want int, into any) answer {
	a.t.Helper()
	got := a.ask(method, "/api/v1"+path, body, "X-Dialtone-CSRF", a.csrf)
	if got.Status != want {
		a.t.Fatalf("%s %s %s: %d %s", method, path, body, got.Status, got.Body)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(got.Body), into); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, got.Body)
		}
	}
	return got
}

func (h *house) id(name string) string {
	h.t.Helper()
	found, err := h.store.UsersByLogin(h.t.Context(), name)
	if err != nil || len(found) != 1 {
		h.t.Fatal(found, err)
	}
	return found[0].ID
}

func TestAdminsAdministerPeople(t *testing.T) {
	h := newHouse(t, nil)
	a := h.as("admin")
	var added struct {
		User     httpapi.Member
		Password string
	}
	a.do("POST", "/users", `{"name":"Carl","email":"carl@example.com","role":"agent"}`, 201, &added)
	if added.User.Identity != "carl" || added.Password == "" {
		t.Fatalf("%+v", added)
	}
	for body, says := range map[string]string{
		`{"name":"CARL","role":"agent","identity":"x"}`:          "this name",
		`{"name":"d","role":"agent","email":"Carl@Example.com"}`: "e-mail",
		`{"name":"d","role":"agent","identity":"carl"}`:          "identity",
	} {
		if got := a.do("POST", "/users", body, 409, nil); !strings.Contains(got.Body, says) {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	for _, body := range []string{`{"name":"d","role":"boss"}`, `{"name":"","role":"agent"}`, `{"name":"d","role":"agent","email":"nonsense"}`, `{"role":"agent"}`} {
		a.do("POST", "/users", body, 422, nil)
	}

	// The last admin stays, and nobody shuts themselves out.
	me := h.id("admin")
	if got := a.do("PATCH", "/users/"+me, `{"role":"agent"}`, 409, nil); !strings.Contains(got.Body, "last admin") {
		t.Error(got.Body)
	}
	if got := a.do("PATCH", "/users/"+me, `{"disabled":true}`, 409, nil); !strings.Contains(got.Body, "themselves") {
		t.Error(got.Body)
	}
	a.do("PATCH", "/users/US404", `{"disabled":true}`, 404, nil)

	// Who is disabled is out: session, stream, devices.
	jar := h.client.Jar
	h.fresh()
	body, _ := json.Marshal(map[string]string{"name": "carl", "password": added.Password})
	if got := h.ask("POST", "/api/v1/session", string(body)); got.Status != 200 {
		t.Fatal(got)
	}
	stream := h.listen()
	defer stream.Body.Close()
	carls := h.client.Jar
	h.client.Jar = jar
	var changed httpapi.Member
	a.do("PATCH", "/users/"+added.User.ID, `{"disabled":true,"name":"Karl"}`, 200, &changed)
	if !changed.Disabled || changed.Name != "Karl" || changed.Seen.IsZero() {
		t.Errorf("%+v", changed)
	}
	if text, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(text), `{"reason":"signed_out"}`) {
		t.Errorf("%v %.200s", err, text)
	}
	if !slices.Equal(h.ended, []string{"carl"}) {
		t.Errorf("devices: %v", h.ended)
	}
	h.client.Jar = carls
	if got := h.ask("GET", "/api/v1/session", ""); got.Status != 401 {
		t.Errorf("still in: %d", got.Status)
	}
	h.client.Jar = jar

	var list struct{ Users []httpapi.Member }
	got := a.do("GET", "/users", "", 200, &list)
	if len(list.Users) != 4 || !list.Users[3].Disabled || strings.Contains(got.Body, "argon2") || strings.Contains(got.Body, "assword") {
		t.Errorf("%s", got.Body)
	}

	var reset struct{ Password string }
	a.do("PATCH", "/users/"+added.User.ID, `{"disabled":false}`, 200, nil)
	a.do("POST", "/users/"+added.User.ID+"/password", "", 201, &reset)
	if reset.Password == "" || reset.Password == added.Password {
		t.Errorf("%+v", reset)
	}
	a.do("DELETE", "/users/"+h.id("alice")+"/sessions", "", 204, nil)

	var log struct {
		Entries []people.AuditEntry
		Next    string
	}
	raw := a.do("GET", "/audit?act=user.&actor=ADMIN", "", 200, &log)
	if len(log.Entries) != 3 || log.Entries[2].Act != people.UserAdd || log.Entries[2].Target != "Carl" || log.Entries[2].ActorKind != people.ByPerson || log.Entries[0].Remote == "" {
		t.Errorf("%s", raw.Body)
	}
	for _, secret := range []string{added.Password, reset.Password} {
		if all := a.do("GET", "/audit?limit=200", "", 200, nil); strings.Contains(all.Body, secret) {
			t.Error("a password is in the audit log")
		}
	}
	var page struct {
		Entries []people.AuditEntry
		Next    string
	}
	a.do("GET", "/audit?limit=1", "", 200, &page)
	if len(page.Entries) != 1 || page.Next == "" {
		t.Errorf("%+v", page)
	}
	a.do("GET", "/audit?cursor=nonsense", "", 422, nil)
}

func TestOnlyAdminsAdminister(t *testing.T) {
	h := newHouse(t, nil)
	a := h.as("alice")
	watch := h.ring.named("watch")
	bob := h.id("bob")
	for _, o := range [][3]string{
		{"GET", "/users", ""},
		{"POST", "/users", `{"name":"x","role":"admin"}`},
		{"PATCH", "/users/" + bob, `{"role":"admin"}`},
		{"POST", "/users/" + bob + "/password", ""},
		{"DELETE", "/users/" + bob + "/sessions", ""},
		{"DELETE", "/users/" + bob + "/passkeys", ""},
		{"GET", "/audit", ""},
	} {
		a.do(o[0], o[1], o[2], 403, nil)
		if got := h.ask(o[0], "/api/v1"+o[1], o[2], "Authorization", "Bearer "+watch.Bearer()); got.Status != 403 {
			t.Errorf("a team lead's key: %s %s: %d", o[0], o[1], got.Status)
		}
		jar := h.client.Jar
		h.fresh()
		if got := h.ask(o[0], "/api/v1"+o[1], o[2]); got.Status != 401 {
			t.Errorf("nobody: %s %s: %d", o[0], o[1], got.Status)
		}
		h.client.Jar = jar
	}
	// A machine with the role administers people, too, and is on record by its id.
	if got := h.ask("POST", "/api/v1/users", `{"name":"Dora","role":"agent"}`, "Authorization", "Bearer "+h.demo.APIKey); got.Status != 201 {
		t.Fatal(got)
	}
	key := h.ring.named("demo")
	page, err := h.store.AuditPage(t.Context(), people.AuditFilter{Account: h.demo.Account.ID, Actor: key.ID})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].ActorKind != people.ByKey || page.Entries[0].Actor != "demo" {
		t.Errorf("%+v %v", page, err)
	}
}

func TestOwnAccount(t *testing.T) {
	h := newHouse(t, nil)
	h.as("alice")
	other := h.client.Jar
	a := h.as("alice")
	var list struct{ Sessions []httpapi.OwnSession }
	a.do("GET", "/me/sessions", "", 200, &list)
	if len(list.Sessions) != 2 || list.Sessions[0].Current == list.Sessions[1].Current {
		t.Fatalf("%+v", list)
	}
	at := slices.IndexFunc(list.Sessions, func(s httpapi.OwnSession) bool { return !s.Current })
	a.do("DELETE", "/me/sessions/"+list.Sessions[at].ID, "", 204, nil)
	a.do("DELETE", "/me/sessions/"+list.Sessions[at].ID, "", 404, nil)
	jar := h.client.Jar
	h.client.Jar = other
	if got := h.ask("GET", "/api/v1/session", ""); got.Status != 401 {
		t.Errorf("the ended session: %d", got.Status)
	}
	h.client.Jar = jar

	old := h.demo.Users[slices.IndexFunc(h.demo.Users, func(u talk.DemoUser) bool { return u.Name == "alice" })].Password
	if got := h.ask("PUT", "/api/v1/me/password", `{"current":"x","new":"12345678"}`); got.Status != 403 {
		t.Errorf("without CSRF: %d", got.Status)
	}
	a.do("PUT", "/me/password", `{"current":"guess","new":"a new password"}`, 422, nil)
	a.do("PUT", "/me/password", `{"current":"`+old+`","new":"short"}`, 422, nil)
	a.do("PUT", "/me/password", `{"current":"`+old+`","new":"a new password"}`, 204, nil)
	a.do("GET", "/session", "", 200, nil)
	h.fresh()
	if got := h.ask("POST", "/api/v1/session", `{"name":"alice","password":"a new password"}`); got.Status != 200 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := h.ask("PUT", "/api/v1/me/password", `{"current":"x","new":"12345678"}`, "Authorization", "Bearer "+h.demo.APIKey); got.Status != 403 {
		t.Errorf("a machine's password: %d", got.Status)
	}
}

// byName is a house that browsers reach by a name.
func byName(t *testing.T, change ...func(*httpapi.Options)) *house {
	t.Helper()
	h := newHouse(t, nil, change...)
	h.url = strings.Replace(h.url, "127.0.0.1", "localhost", 1)
	return h
}

func TestPasskeysByAPI(t *testing.T) {
	h := byName(t)
	a := h.as("alice")
	k, err := softkey.New(h.url, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	var creation struct{ PublicKey json.RawMessage }
	a.do("POST", "/me/passkeys/options", "", 200, &creation)
	made, err := k.Create(creation.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var kept httpapi.Passkey
	a.do("POST", "/me/passkeys", `{"name":"laptop","credential":`+string(made)+`}`, 201, &kept)
	a.do("POST", "/me/passkeys", `{"name":"again","credential":`+string(made)+`}`, 422, nil)
	var list struct{ Passkeys []httpapi.Passkey }
	a.do("GET", "/me/passkeys", "", 200, &list)
	if len(list.Passkeys) != 1 || list.Passkeys[0] != kept || kept.Name != "laptop" {
		t.Fatalf("%+v %+v", list, kept)
	}

	enter := func() answer {
		h.fresh()
		var request struct {
			PublicKey json.RawMessage
			ID        string
		}
		got := h.ask("POST", "/api/v1/session/passkey/options", "")
		if err := json.Unmarshal([]byte(got.Body), &request); err != nil || got.Status != 200 {
			t.Fatal(got, err)
		}
		answer, err := k.Get(request.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		return h.ask("POST", "/api/v1/session/passkey", `{"id":"`+request.ID+`","credential":`+string(answer)+`}`)
	}
	got := enter()
	var session httpapi.Session
	if err := json.Unmarshal([]byte(got.Body), &session); err != nil || got.Status != 200 || session.User.Name != "alice" || session.CSRF == "" ||
		!strings.Contains(got.Header.Get("Set-Cookie"), "SameSite=Strict") {
		t.Fatal(got, err)
	}
	if me := h.ask("GET", "/api/v1/session", ""); me.Status != 200 {
		t.Fatal(me)
	}
	k.Origin = "https://localhost:1"
	if got := enter(); got.Status != 401 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("from another origin: %v", got)
	}
	k.Origin = h.url

	var users struct{ Users []httpapi.Member }
	b := h.as("admin")
	b.do("GET", "/users", "", 200, &users)
	if at := slices.IndexFunc(users.Users, func(u httpapi.Member) bool { return u.Name == "alice" }); users.Users[at].Passkeys != 1 {
		t.Errorf("%+v", users.Users[at])
	}
	b.do("DELETE", "/users/"+h.id("alice")+"/passkeys", "", 204, nil)
	if got := enter(); got.Status != 401 {
		t.Errorf("with a removed passkey: %d", got.Status)
	}
	for _, body := range []string{`{}`, `{"id":"x","credential":{}}`, `{"id":"x","credential":"y"}`, `[]`} {
		if got := h.ask("POST", "/api/v1/session/passkey", body); got.Status < 400 || got.Status >= 500 {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
}

func TestWhichWaysToSignInThereAre(t *testing.T) {
	h := newHouse(t, nil, func(o *httpapi.Options) {
		o.SSO = sso.New(sso.Options{Providers: []sso.Provider{{ID: "acme", Name: "Acme", Issuer: "https://id.example"}}})
		o.Hosts = func(name string) bool { return name == "127.0.0.1" || name == "calls.example.com" }
	})
	ask := func(host string) (m httpapi.Methods) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/api/v1/session/methods", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&m); err != nil || response.StatusCode != 200 {
			t.Fatal(response.Status, err)
		}
		return m
	}
	for host, want := range map[string][2]bool{ // passkeys, providers
		"calls.example.com": {true, true}, "CALLS.example.com:8443": {true, true}, "localhost:8443": {true, true},
		"127.0.0.1:8443": {false, true}, "evil.example": {false, false}, "calls.example.com.evil.example": {false, false},
	} {
		if m := ask(host); !m.Password || m.Passkeys != want[0] || (len(m.OIDC) == 1) != want[1] {
			t.Errorf("%s: %+v", host, m)
		}
	}
	if m := ask("localhost"); m.OIDC[0] != (httpapi.OIDCMethod{ID: "acme", Name: "Acme", URL: "/api/v1/session/oidc/acme/start"}) {
		t.Errorf("%+v", m)
	}

	a := h.as("alice")
	got := a.do("POST", "/me/passkeys/options", "", 409, nil) // 127.0.0.1
	if !strings.Contains(got.Body, "IP address") {
		t.Error(got.Body)
	}
}

// company is a house with an identity provider, and a browser.
type company struct {
	*house
	idp *idp.Provider
}

func newCompany(t *testing.T, change func(*sso.Provider)) company {
	t.Helper()
	p, err := idp.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	h := byName(t, func(o *httpapi.Options) {
		one := sso.Provider{ID: "acme", Name: "Acme", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.Secret}
		if change != nil {
			change(&one)
		}
		account, _ := o.Accounts("")
		o.SSO = sso.New(sso.Options{Account: account.ID, Providers: []sso.Provider{one}, Transport: p.Client().Transport})
	})
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return company{h, p}
}

// away begins a sign-in and returns the query that the provider sends back.
func (c company) away() url.Values {
	c.t.Helper()
	got := c.ask("GET", "/api/v1/session/oidc/acme/start", "")
	cookie := got.Header.Get("Set-Cookie")
	if got.Status != 302 || !strings.HasPrefix(cookie, "__Host-dialtone_oidc=") {
		c.t.Fatal(got)
	}
	for _, want := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"} {
		if !strings.Contains(cookie, want) {
			c.t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	q, err := c.idp.Browse(got.Header.Get("Location"))
	if err != nil {
		c.t.Fatal(err)
	}
	return q
}

// back comes back from the provider, and returns where the browser is sent.
func (c company) back(q url.Values) string {
	c.t.Helper()
	got := c.ask("GET", "/api/v1/session/oidc/acme/callback?"+q.Encode(), "")
	if got.Status != 302 || got.Header.Get("Cache-Control") != "no-store" {
		c.t.Fatal(got)
	}
	return got.Header.Get("Location")
}

func (c company) who() string {
	c.t.Helper()
	got := c.ask("GET", "/api/v1/session", "")
	var s httpapi.Session
	if got.Status == 200 {
		if err := json.Unmarshal([]byte(got.Body), &s); err != nil {
			c.t.Fatal(err)
		}
	}
	return s.User.Name
}

func ann(sub string, more ...any) map[string]any {
	claims := map[string]any{"sub": sub, "email": "alice@example.com", "email_verified": true, "name": "Alice A"}
	for i := 0; i < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	return claims
}

func TestSignInByCompany(t *testing.T) {
	c := newCompany(t, nil)
	email := ""
	for _, u := range c.demo.Users {
		if u.Name == "alice" {
			email = u.Email
		}
	}
	c.idp.Person(ann("s1", "email", strings.ToUpper(email)))
	q := c.away()
	if to := c.back(q); to != "/" || c.who() != "alice" {
		t.Fatalf("%s as %q", to, c.who())
	}
	// From now on the provider's id counts, whatever the address says.
	c.fresh()
	c.idp.Person(ann("s1", "email", "new@example.com", "email_verified", false))
	if to := c.back(c.away()); to != "/" || c.who() != "alice" {
		t.Errorf("%s as %q", to, c.who())
	}
	// Somebody else who gets her address does not get her place.
	c.fresh()
	c.idp.Person(ann("s2", "email", email))
	if to := c.back(c.away()); to != "/sign-in?problem=oidc_conflict" || c.who() != "" {
		t.Errorf("%s as %q", to, c.who())
	}
	for name, person := range map[string]map[string]any{
		"oidc_unverified": ann("s3", "email", email, "email_verified", false),
		"oidc_unknown":    ann("s4", "email", "nobody@example.com"),
	} {
		c.fresh()
		c.idp.Person(person)
		if to := c.back(c.away()); to != "/sign-in?problem="+name || c.who() != "" {
			t.Errorf("%s: %s as %q", name, to, c.who())
		}
	}
	a := c.as("admin")
	a.do("PATCH", "/users/"+c.id("alice"), `{"disabled":true}`, 200, nil)
	c.fresh()
	c.idp.Person(ann("s1"))
	if to := c.back(c.away()); to != "/sign-in?problem=oidc_disabled" || c.who() != "" {
		t.Errorf("%s as %q", to, c.who())
	}
	page, err := c.store.AuditPage(t.Context(), people.AuditFilter{Account: c.demo.Account.ID, Act: "session.", Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Entries {
		if e.Detail["method"] == "oidc" {
			got = append(got, e.Act+" "+e.Target+" "+e.Detail["reason"])
		}
	}
	slices.Sort(got)
	want := []string{
		"session.begin alice ", "session.begin alice ", "session.refused  oidc_unknown", "session.refused  oidc_unverified",
		"session.refused alice oidc_conflict", "session.refused alice oidc_disabled",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAttacksOnSignInByCompany(t *testing.T) {
	c := newCompany(t, nil)
	c.idp.Person(ann("s1", "email", c.demo.Users[1].Email))
	const late = "/sign-in?problem=oidc_expired"

	// The same return twice: the first way is used up, the cookie gone.
	q := c.away()
	if to := c.back(q); to != "/" {
		t.Fatal(to)
	}
	if to := c.back(q); to != late {
		t.Errorf("twice: %s", to)
	}
	// A return that began in the attacker's browser, opened by the victim.
	c.fresh()
	q = c.away()
	c.fresh()
	if to := c.back(q); to != late || c.who() != "" {
		t.Errorf("in another browser: %s as %q", to, c.who())
	}
	q = c.away() // she has begun one of her own, too
	other := c.away()
	if to := c.back(q); to != late || c.who() != "" {
		t.Errorf("with the state before: %s as %q", to, c.who())
	}
	_ = other

	// Nothing sends the browser elsewhere.
	for _, more := range []string{"redirect_uri", "next", "return_to", "url"} {
		c.fresh()
		q := c.away()
		q.Set(more, "https://evil.example/")
		if to := c.back(q); to != "/" {
			t.Errorf("%s: %s", more, to)
		}
	}
	for _, id := range []string{"other", "..", "a%2Fb"} {
		got := c.ask("GET", "/api/v1/session/oidc/"+id+"/start", "")
		if to := got.Header.Get("Location"); got.Status == 302 && to != "/sign-in?problem=oidc_refused" && !strings.HasPrefix(to, "/api/v1/") {
			t.Errorf("%s: %v", id, got)
		}
	}
	// A name that the node does not serve never gets to a provider.
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/api/v1/session/oidc/acme/start", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	response, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 409 || response.Header.Get("Location") != "" {
		t.Errorf("a made-up name: %s to %s", response.Status, response.Header.Get("Location"))
	}

	c.idp.Away(true)
	c.fresh()
	fresh := newCompany(t, func(p *sso.Provider) { p.Issuer = c.idp.URL })
	if got := fresh.ask("GET", "/api/v1/session/oidc/acme/start", ""); got.Header.Get("Location") != "/sign-in?problem=oidc_unavailable" {
		t.Errorf("away: %v", got)
	}
}

func TestTheCompanyDecidesRoles(t *testing.T) {
	c := newCompany(t, func(p *sso.Provider) {
		p.Domains, p.Create, p.RoleClaim = []string{"example.com", "demo.example"}, true, "groups"
		p.Roles = map[string]people.Role{"leads": people.TeamLead, "admins": people.Admin}
	})
	c.idp.Person(ann("s1", "email", "zoe@example.com", "name", "Zoe", "groups", []string{"x", "leads"}))
	if to := c.back(c.away()); to != "/" || c.who() != "Zoe" {
		t.Fatalf("%s as %q", to, c.who())
	}
	role := func(name string) people.Role {
		found, err := c.store.UsersByLogin(t.Context(), name)
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if found[0].Password != "" {
			t.Error("somebody whom the company let in has a password")
		}
		return found[0].Role
	}
	if r := role("zoe@example.com"); r != people.TeamLead {
		t.Error(r)
	}
	c.idp.Person(ann("s1", "email", "zoe@example.com", "groups", "x"))
	if to := c.back(c.away()); to != "/" || role("Zoe") != people.Agent {
		t.Errorf("%s as %s", to, role("Zoe"))
	}
	// A namesake is somebody else, and is let in by their address as the name.
	c.fresh()
	c.idp.Person(ann("s2", "email", "zoe2@example.com", "name", "Zoe"))
	if to := c.back(c.away()); to != "/" || c.who() != "zoe2@example.com" {
		t.Errorf("%s as %q", to, c.who())
	}
	// Nobody signs in by password who has none.
	if got := c.ask("POST", "/api/v1/session", `{"name":"Zoe","password":"x"}`); got.Status != 401 {
		t.Errorf("%d", got.Status)
	}
	c.fresh()
	c.idp.Person(ann("s3", "email", "eve@evil.example"))
	if to := c.back(c.away()); to != "/sign-in?problem=oidc_unknown" || c.who() != "" {
		t.Errorf("another domain: %s as %q", to, c.who())
	}
	// The last admin stays one, though the provider says otherwise.
	c.fresh()
	admin := c.demo.Users[0]
	if u := c.id(admin.Name); u == "" || admin.Role != people.Admin {
		t.Fatal(admin)
	}
	c.idp.Person(ann("s4", "email", admin.Email))
	if to := c.back(c.away()); to != "/" || c.who() != admin.Name {
		t.Errorf("%s as %q", to, c.who())
	}
	if got := c.ask("GET", "/api/v1/users", ""); got.Status != 200 {
		t.Errorf("the last admin is one no more: %d", got.Status)
	}
}
