package app_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/app"
	"dialtone/internal/config"
	"dialtone/internal/health"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// office is another process that works in the node's data directory.
func office(t *testing.T, n *node.Node) *app.Office {
	t.Helper()
	c := config.Default()
	c.DataDir, c.Account.Name = n.Dir, "demo"
	o, err := app.OpenOffice(t.Context(), c, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func ticket(t *testing.T, o *app.Office, identity string) (string, keyring.Ticket) {
	t.Helper()
	text, k, err := o.IssueTicket(t.Context(), keyring.TicketGrant{Identity: identity, Incoming: true, OutgoingApp: o.OutgoingApp()})
	if err != nil {
		t.Fatal(err)
	}
	return text, k
}

func connect(t *testing.T, n *node.Node, text string) *device.Device {
	t.Helper()
	d, err := dial(t, n, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dial(t *testing.T, n *node.Node, text string) (*device.Device, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := device.Open(ctx, device.Options{URL: "wss://" + n.Addr().HTTPS + "/signal", Token: text})
	if err != nil {
		return nil, err
	}
	t.Cleanup(d.Close)
	return d, d.Register(ctx)
}

// ends wants the device to be shut out within a second of what is done.
func ends(t *testing.T, what string, d *device.Device, do func()) {
	t.Helper()
	began := time.Now()
	do()
	select {
	case <-d.Done():
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: still connected after 5 s", what)
	}
	took := time.Since(began)
	t.Logf("%s: ended after %v", what, took)
	if took > time.Second {
		t.Errorf("%s: ended after %v", what, took)
	}
	if !slices.ContainsFunc(d.Errors(), func(e *device.Error) bool { return e.Code == 31201 }) {
		t.Errorf("%s: was told %v", what, d.Errors())
	}
}

func connected(t *testing.T, what string, all ...*device.Device) {
	t.Helper()
	for _, d := range all {
		select {
		case <-d.Done():
			t.Errorf("%s: %s was dropped", what, d.Identity)
		default:
		}
	}
}

func TestRevocationEndsDevicesWithinASecond(t *testing.T) {
	n := node.Start(t, node.Options{})
	o := office(t, n)
	text, bobs := ticket(t, o, "bob")
	alice, bob := connect(t, n, n.Token(t, token.Access, "alice")), connect(t, n, text)
	carol, dora := connect(t, n, n.Token(t, token.Capability, "carol")), connect(t, n, n.Token(t, token.Access, "dora"))

	call, err := alice.Call(url.Values{"To": {"+15550111"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := call.AwaitAnswer(ctx); err != nil {
		t.Fatal(err)
	}
	ends(t, "an identity, by the API", alice, func() {
		var answer struct{ Devices int }
		if status := n.Ask(t, http.MethodPost, "/api/v1/revocations", map[string]any{"of": "identity", "value": "alice"}, &answer); status != 201 || answer.Devices != 1 {
			t.Errorf("%d %+v", status, answer)
		}
	})
	n.Idle(t) // her call, too
	connected(t, "after alice", bob, carol, dora)

	ends(t, "a ticket, by another process", bob, func() {
		if _, err := o.Revoke(t.Context(), keyring.Revocation{Of: keyring.OfToken, Value: bobs.ID}); err != nil {
			t.Error(err)
		}
	})
	connected(t, "after bob", carol, dora)
	ends(t, "an auth token, by another process", carol, func() {
		if err := o.RevokeKey(t.Context(), o.Ring().AuthTokensOf(o.Account())[0].ID, ""); err != nil {
			t.Error(err)
		}
	})
	connected(t, "after carol", dora)
	keys := o.Keys()
	own := keys[slices.IndexFunc(keys, keyring.Key.Own)]
	ends(t, "the console's key, by another process", dora, func() {
		if err := o.RevokeKey(t.Context(), own.ID, "leaked"); err != nil {
			t.Error(err)
		}
	})
	connect(t, n, n.Token(t, token.Access, "dora")) // by the key that took its place
}

func TestRotationDropsNobody(t *testing.T) {
	n := node.Start(t, node.Options{})
	o := office(t, n)
	old := n.Token(t, token.Access, "alice")
	alice := connect(t, n, old)
	keys := o.Keys()
	own := keys[slices.IndexFunc(keys, keyring.Key.Own)]
	if status := n.Ask(t, http.MethodPost, "/api/v1/keys/"+own.ID+"/rotate", map[string]int{"overlap": 3600}, nil); status != 201 {
		t.Fatal(status)
	}
	both := connect(t, n, old)
	fresh := connect(t, n, n.Token(t, token.Access, "alice"))
	claims, err := office(t, n).Verifier().Verify(t.Context(), n.Token(t, token.Access, "alice"))
	if err != nil || claims.KeyID == own.ID {
		t.Errorf("signed by %s, %v", claims.KeyID, err)
	}
	connected(t, "after the rotation", alice, both, fresh)

	// The demo's own login goes on, and its key can be replaced by itself.
	key := n.Demo.APIKey[:34]
	var answer struct{ Bearer string }
	if status := n.Ask(t, http.MethodPost, "/api/v1/keys/"+key+"/rotate", map[string]int{"overlap": 60}, &answer); status != 201 {
		t.Fatal(status)
	}
	if status := n.Ask(t, http.MethodGet, "/api/v1/keys", nil, nil); status != 200 {
		t.Errorf("the old key in its overlap: %d", status)
	}
	n.Demo.APIKey = answer.Bearer
	if status := n.Ask(t, http.MethodGet, "/api/v1/keys", nil, nil); status != 200 {
		t.Errorf("the new key: %d", status)
	}
}

// A damaged row takes nothing of the ring over and nobody out of it.
func TestDamagedSecretKeepsTheOldRing(t *testing.T) {
	n := node.Start(t, node.Options{})
	o := office(t, n)
	added, err := o.AddKey(t.Context(), "app", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := connect(t, n, n.Token(t, token.Access, "alice"))
	text := n.Token(t, token.Access, "alice")
	db, err := sql.Open("sqlite", filepath.Join(n.Dir, sqlite.FileName)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	change := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`UPDATE revisions SET n = n + 1`); err != nil {
			t.Fatal(err)
		}
	}
	warned := func() bool {
		return slices.ContainsFunc(n.Health().Warnings(), func(w health.Warning) bool { return w.Code == "keys_unreadable" })
	}
	var listed struct{ Keys []struct{ ID, Name string } }
	node.Until(t, 5*time.Second, "the new key", func() bool {
		return n.Ask(t, http.MethodGet, "/api/v1/keys", nil, &listed) == 200 && len(listed.Keys) == 3
	})
	var sealed []byte
	if err := db.QueryRow(`SELECT secret FROM api_keys WHERE id = ?`, added.ID).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	change(`UPDATE api_keys SET secret = ?, name = 'damaged' WHERE id = ?`, damaged, added.ID)
	node.Until(t, 5*time.Second, "a warning", warned)
	connected(t, "with a damaged row", alice, connect(t, n, text))
	if status := n.Ask(t, http.MethodGet, "/api/v1/keys", nil, &listed); status != 200 || len(listed.Keys) != 3 ||
		!slices.ContainsFunc(listed.Keys, func(k struct{ ID, Name string }) bool { return k.ID == added.ID && k.Name == "app" }) {
		t.Errorf("the ring is not as it was: %d %+v", status, listed)
	}
	ends(t, "revoked nevertheless", alice, func() {
		if status := n.Ask(t, http.MethodPost, "/api/v1/revocations", map[string]any{"of": "identity", "value": "alice"}, nil); status != 201 {
			t.Error(status)
		}
	})
	change(`UPDATE api_keys SET secret = ?, name = 'repaired' WHERE id = ?`, sealed, added.ID)
	node.Until(t, 5*time.Second, "the warning's end", func() bool { return !warned() })
	if _, err := dial(t, n, text); !refusedWith(err, 31201) {
		t.Errorf("a revoked token after the repair: %v", err)
	}
	connect(t, n, n.Token(t, token.Access, "bob"))
}

func refusedWith(err error, code int) bool {
	var e *device.Error
	return errors.As(err, &e) && e.Code == code
}

// What lets devices in is counted, by way and page, and shown.
func TestUsesOfWaysAreKept(t *testing.T) {
	n := node.Start(t, node.Options{})
	o := office(t, n)
	text, _ := ticket(t, o, "bob")
	connect(t, n, text)
	connect(t, n, n.Token(t, token.Capability, "carol"))
	if _, err := dial(t, n, text); !refusedWith(err, 31205) {
		t.Errorf("a used ticket: %v", err)
	}
	for kind, who := range map[string]string{"ticket": "bob", "capability": "carol"} {
		var answer struct {
			Uses []struct {
				Identity string
				Count    int
			}
		}
		node.Until(t, 8*time.Second, kind+" is kept", func() bool {
			return n.Ask(t, http.MethodGet, "/api/v1/ways/"+kind+"/uses", nil, &answer) == 200 && len(answer.Uses) == 1
		})
		if answer.Uses[0].Identity != who || answer.Uses[0].Count != 1 {
			t.Errorf("%s: %+v", kind, answer)
		}
	}
}
