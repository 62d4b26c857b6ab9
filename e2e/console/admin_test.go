package console_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/voice/token"
)

// admin is an admin at the console, and a device that one of the account's keys
// lets in.
type admin struct {
	t       *testing.T
	node    *node.Node
	browser *browser.Browser
	page    *browser.Page

	account  string
	password string
	key      string // id of the key that was added
	bearer   string
	device   *device.Device
}

// TestAdmin does what an admin does with keys, ways in and their own account, and
// reads it in the audit log.
func TestAdmin(t *testing.T) {
	n := node.Start(t, node.Options{})
	b := browser.Start(t, browser.Options{Wait: 40 * time.Second})
	a := &admin{t: t, node: n, browser: b, page: b.Open("https://localhost:" + n.Port() + "/"), password: n.Password(t, "admin")}
	var session struct{ Account struct{ ID string } }
	n.SignIn(t, "admin").Ask(t, "GET", "/api/v1/session", nil, &session)
	a.account = session.Account.ID
	a.signIn()
	for _, c := range []struct {
		name string
		test func()
	}{
		{"agents do not see it", a.agentsDoNotSeeIt},
		{"a key is added and used", a.addsAKey},
		{"a key is rotated", a.rotatesIt},
		{"a key is revoked", a.revokesIt},
		{"a way is closed", a.closesAWay},
		{"the console comes in by another way", a.comesInByAnotherWay},
		{"a passkey is added and signs in", a.signsInByPasskey},
		{"the password is changed", a.changesThePassword},
		{"the audit log shows it", a.readsTheAuditLog},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			before, page := a.t, a.page
			a.t, a.page = t, a.page.For(t)
			defer func() { a.t, a.page = before, page }()
			c.test()
		}) {
			return // what follows would only fail after it
		}
	}
}

func (a *admin) signIn() {
	a.t.Helper()
	a.page.Fill(test("sign-in-name"), "admin")
	a.page.Fill(test("sign-in-password"), a.password)
	a.page.Click(test("sign-in-submit"))
	a.registered("ticket")
}

// registered waits until the console's phone came in by the way.
func (a *admin) registered(way string) {
	a.t.Helper()
	a.page.See(test("state") + `[data-way="` + way + `"]`)
}

func (a *admin) text(id string) string {
	a.t.Helper()
	a.page.See(test(id))
	return strings.TrimSpace(a.page.Text(`document.querySelector(arg).innerText`, test(id)))
}

func (a *admin) confirm() {
	a.t.Helper()
	a.page.Click(test("dialog-confirm"))
	a.page.SeeNot(test("dialog-confirm"))
}

// keyMenu chooses an item of the key's menu.
func (a *admin) keyMenu(item string) {
	a.t.Helper()
	a.page.Click(a.row(a.key) + ` ` + test("row-menu"))
	a.page.Click(test("row-" + item))
}

func (a *admin) row(key string) string { return test("key") + `[data-key="` + key + `"]` }

// asks returns the status of a question with the bearer that was shown.
func (a *admin) asks() int {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.node.URL("/api/v1/keys"), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.bearer)
	response, err := a.node.HTTP.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func (a *admin) agentsDoNotSeeIt() {
	page := a.browser.For(a.t).Open("https://localhost:" + a.node.Port() + "/admin/people")
	defer page.Leave()
	page.Fill(test("sign-in-name"), "alice")
	page.Fill(test("sign-in-password"), a.node.Password(a.t, "alice"))
	page.Click(test("sign-in-submit"))
	page.See(test("nav-settings"))
	page.SeeNot(test("nav-people"))
	page.Do("goto", "https://localhost:"+a.node.Port()+"/admin/people")
	page.See(`text="There is nothing here"`)
	if status := a.node.SignIn(a.t, "alice").Ask(a.t, "GET", "/api/v1/keys", nil, nil); status != http.StatusForbidden {
		a.t.Errorf("an agent reads the keys: %d", status)
	}
}

func (a *admin) addsAKey() {
	a.page.Click(test("nav-access"))
	a.page.Click(test("tab-keys"))
	a.page.Click(test("key-add"))
	a.page.See(test("key-name") + ":focus")
	a.page.Fill(test("key-name"), "Night export")
	a.page.Locate(test("key-role"), "selectOption", "admin")
	a.confirm()
	a.key, a.bearer = a.text("key-id"), a.text("key-bearer")
	secret := a.text("key-secret")
	a.page.Click(test("secret-stored"))
	a.page.See(a.row(a.key) + `[data-state="active"]`)
	var shown bool
	if a.page.Eval(`document.documentElement.innerHTML.includes(arg)`, &shown, secret); shown {
		a.t.Error("the secret is still in the page after it was stored")
	}
	if status := a.asks(); status != http.StatusOK {
		a.t.Fatalf("the bearer that was shown: %d", status)
	}
	text, err := token.NewMinter(token.Signer{Account: a.account, KeyID: a.key, Secret: []byte(secret)}).MintAccess(
		token.AccessGrant{Identity: "night", TTL: time.Hour, Incoming: true}, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	// It outlives this part of the test.
	a.device, err = device.Open(a.t.Context(), device.Options{URL: "wss://" + a.node.Addr().HTTPS + "/signal", Token: text})
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.device.Register(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

func (a *admin) rotatesIt() {
	a.keyMenu("rotate")
	a.page.Locate(test("overlap"), "selectOption", "3600")
	a.confirm()
	if successor := a.text("key-id"); successor == a.key {
		a.t.Error("the new key has the old one's id")
	}
	a.page.Click(test("secret-stored"))
	a.page.See(a.row(a.key) + `[data-state="retiring"]`)
	select {
	case <-a.device.Done():
		a.t.Fatal("the rotation dropped a device")
	default:
	}
	if status := a.asks(); status != http.StatusOK {
		a.t.Errorf("the old key within its overlap: %d", status)
	}
}

func (a *admin) revokesIt() {
	a.keyMenu("revoke")
	a.page.See(test("dialog-cancel") + ":focus") // Enter alone must not revoke
	a.confirm()
	select {
	case <-a.device.Done():
	case <-time.After(5 * time.Second):
		a.t.Fatal("the device of a revoked key is still connected")
	}
	a.device.Close()
	if status := a.asks(); status != http.StatusUnauthorized {
		a.t.Errorf("a revoked key's bearer: %d", status)
	}
	a.page.SeeNot(a.row(a.key) + `[data-state="retiring"]`)
}

func (a *admin) closesAWay() {
	legacy := a.node.Token(a.t, token.Capability, "legacy")
	a.page.Click(test("tab-ways"))
	a.page.Click(test("way-capability-switch"))
	a.confirm()
	a.page.See(test("way-capability") + `[data-open="false"]`)
	d, err := device.Open(a.t.Context(), device.Options{URL: "wss://" + a.node.Addr().HTTPS + "/signal", Token: legacy})
	if err == nil {
		d.Close()
		a.t.Error("a capability token is let in although its way is closed")
	}
}

func (a *admin) comesInByAnotherWay() {
	a.page.Click(test("way-ticket-switch"))
	a.confirm()
	a.page.See(test("way-ticket") + `[data-open="false"]`)
	a.page.Reload()
	a.registered("access")
	a.page.SeeNot(test("banner"))
	// Neither of the two may go.
	a.page.Click(test("way-access-switch"))
	a.page.Click(test("dialog-confirm"))
	a.page.See(test("dialog-problem"))
	a.page.Click(test("dialog-cancel"))
	a.page.Click(test("way-ticket-switch"))
	a.confirm()
	a.page.See(test("way-ticket") + `[data-open="true"]`)
	a.page.Reload()
	a.registered("ticket")
}

func (a *admin) signsInByPasskey() {
	a.page.CDP("WebAuthn.enable", map[string]any{}, nil)
	a.page.CDP("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
		"isUserVerified": true, "automaticPresenceSimulation": true,
	}}, nil)
	a.page.Click(test("nav-settings"))
	a.page.Click(test("passkey-add"))
	a.page.Fill(test("passkey-name"), "A test's laptop")
	a.page.Click(test("passkey-make"))
	a.page.See(test("passkey"))
	a.page.Click(test("user-menu"))
	a.page.Click(test("sign-out"))
	a.page.Click(test("sign-in-passkey"))
	a.registered("ticket")
}

func (a *admin) changesThePassword() {
	elsewhere := a.node.SignIn(a.t, "admin")
	was := a.password
	a.password = "three quiet lanterns"
	a.page.Click(test("nav-settings"))
	a.page.Click(test("password-open"))
	a.page.Fill(test("password-current"), was)
	a.page.Fill(test("password-new"), a.password)
	a.page.Fill(test("password-again"), a.password)
	a.page.Click(test("password-save"))
	a.page.SeeNot(test("password-save"))
	if status := elsewhere.Ask(a.t, "GET", "/api/v1/session", nil, nil); status != http.StatusUnauthorized {
		a.t.Errorf("a session elsewhere after the change: %d", status)
	}
	// Its phone was let in before the change: it comes back with a new ticket.
	node.Until(a.t, 10*time.Second, "the phone is told", func() bool {
		return slices.ContainsFunc(a.page.Log(), func(line string) bool { return strings.Contains(line, "20151") })
	})
	a.registered("ticket")
	a.page.SeeNot(test("banner"))
	a.page.Click(test("user-menu"))
	a.page.Click(test("sign-out"))
	a.page.Fill(test("sign-in-name"), "admin")
	a.page.Fill(test("sign-in-password"), was)
	a.page.Click(test("sign-in-submit"))
	a.page.See(test("sign-in-error"))
	a.signIn()
}

func (a *admin) readsTheAuditLog() {
	a.page.Click(test("nav-audit"))
	a.page.See(test("audit"))
	for _, act := range []string{
		"session.begin", "session.refused", "password.change", "passkey.add", "way.change", "key.revoke", "key.rotate", "key.add",
	} {
		a.page.See(test("audit-entry") + `[data-act="` + act + `"] >> nth=0`)
	}
	a.page.See(`text="admin rotated the key Night export"`)
	a.page.See(`text="admin closed capability tokens"`)
	a.page.See(`text="admin signed in with a passkey" >> nth=0`)
	a.page.Locate(test("audit-act"), "selectOption", "key.")
	a.page.SeeNot(test("audit-entry") + `[data-act="way.change"] >> nth=0`)
	var acts []string
	a.page.Eval(`[...document.querySelectorAll(arg)].map((e) => e.dataset.act)`, &acts, test("audit-entry"))
	if len(acts) < 3 || slices.ContainsFunc(acts, func(act string) bool { return !strings.HasPrefix(act, "key.") }) {
		a.t.Errorf("the log of keys has %q", acts)
	}
	if errors := a.page.Errors(); len(errors) > 0 {
		a.t.Errorf("the page's errors: %q", errors)
	}
}
