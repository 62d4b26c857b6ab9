package people_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
	"dialtone/internal/talk/people/softkey"
)

var site = people.Site{Host: "calls.example.com", Origin: "https://calls.example.com:8443"}

// options begins a registration of alice's.
func (h house) options(t *testing.T) []byte {
	t.Helper()
	o, err := h.BeginPasskey(t.Context(), h.alice, site, office)
	if err != nil {
		t.Fatal(err)
	}
	return text(t, o)
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// key registers a passkey of alice's.
func (h house) key(t *testing.T) *softkey.Key {
	t.Helper()
	k, err := softkey.New(site.Origin, site.Host)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.register(t, k, h.options(t)); err != nil {
		t.Fatal(err)
	}
	return k
}

func (h house) register(t *testing.T, k *softkey.Key, options []byte) error {
	t.Helper()
	made, err := k.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.AddPasskey(t.Context(), h.alice.ActorFrom(office), h.alice, site, "my key", made)
	return err
}

// begin begins a sign-in.
func (h house) begin(t *testing.T) (options []byte, id string) {
	t.Helper()
	o, id, err := h.BeginPasskeySignIn(site, office)
	if err != nil {
		t.Fatal(err)
	}
	return text(t, o), id
}

func (h house) enter(t *testing.T, k *softkey.Key, options []byte, id string) (people.User, error) {
	t.Helper()
	answer, err := k.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	u, _, _, err := h.SignInByPasskey(t.Context(), site, id, answer, office)
	return u, err
}

func TestPasskeys(t *testing.T) {
	h := build(t)
	defer h.close(t)
	k := h.key(t)
	for range 3 {
		options, id := h.begin(t)
		if strings.Contains(string(options), h.alice.ID) || strings.Contains(string(options), "allowCredentials") {
			t.Errorf("says who may sign in: %s", options)
		}
		if !strings.Contains(string(options), `"userVerification":"required"`) {
			t.Errorf("the user need not be verified: %s", options)
		}
		if u, err := h.enter(t, k, options, id); err != nil || u.ID != h.alice.ID {
			t.Fatal(u, err)
		}
	}
	keys, err := h.Passkeys(t.Context(), h.alice.ID)
	if err != nil || len(keys) != 1 || keys[0].Name != "my key" || keys[0].Used.IsZero() || keys[0].Counter != 3 {
		t.Fatalf("%+v %v", keys, err)
	}

	// An authenticator that does not count (as those that are synchronized) works on.
	still, err := softkey.New(site.Origin, site.Host)
	if err != nil {
		t.Fatal(err)
	}
	still.Step = 0
	if err := h.register(t, still, h.options(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		options, id := h.begin(t)
		if _, err := h.enter(t, still, options, id); err != nil {
			t.Fatal(err)
		}
	}

	// The browser is told which keys are known, so that one device has one.
	if o := h.options(t); !bytes.Contains(o, []byte("excludeCredentials")) {
		t.Errorf("%s", o)
	}
	wantKind(t, h.RemovePasskey(t.Context(), boss, people.User{ID: "USbob", Account: "AC1"}, keys[0].ID), fault.NotFound)
	if err := h.RemovePasskey(t.Context(), h.alice.ActorFrom(office), h.alice, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	options, id := h.begin(t)
	_, err = h.enter(t, k, options, id)
	wantKind(t, err, fault.Unauthenticated)
	if acts := h.acts(t); !strings.Contains(acts, "Alice passkey.add Alice") || !strings.Contains(acts, "Alice passkey.remove Alice") {
		t.Errorf("%s", acts)
	}
}

func TestPasskeysThatDoNotLetIn(t *testing.T) {
	shared := build(t)
	defer shared.close(t)
	for name, c := range map[string]struct {
		reason string
		attack func(t *testing.T, h house, k *softkey.Key) error
	}{
		"a challenge used twice": {"expired", func(t *testing.T, h house, k *softkey.Key) error {
			options, id := h.begin(t)
			if _, err := h.enter(t, k, options, id); err != nil {
				t.Fatal(err)
			}
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"an answer sent twice": {"expired", func(t *testing.T, h house, k *softkey.Key) error {
			options, id := h.begin(t)
			answer, err := k.Get(options)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := h.SignInByPasskey(t.Context(), site, id, answer, office); err != nil {
				t.Fatal(err)
			}
			_, _, _, err = h.SignInByPasskey(t.Context(), site, id, answer, office)
			return err
		}},
		"an answer to another challenge": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			options, _ := h.begin(t)
			_, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"another origin": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			k.Origin = "https://calls.example.com.evil.example"
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"another port of the same host": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			k.Origin = "https://calls.example.com:9999"
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"another relying party": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			k.Host = "evil.example"
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"a ceremony of another site": {"expired", func(t *testing.T, h house, k *softkey.Key) error {
			options, id := h.begin(t)
			answer, err := k.Get(options)
			if err != nil {
				t.Fatal(err)
			}
			_, _, _, err = h.SignInByPasskey(t.Context(), people.Site{Host: "other.example.com", Origin: "https://other.example.com"}, id, answer, office)
			return err
		}},
		"a user who was not verified": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			k.Flags = softkey.UserPresent
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"a counter that goes back": {"cloned", func(t *testing.T, h house, k *softkey.Key) error {
			for range 2 {
				options, id := h.begin(t)
				if _, err := h.enter(t, k, options, id); err != nil {
					t.Fatal(err)
				}
			}
			k.Counter = 0
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"a counter that stays": {"cloned", func(t *testing.T, h house, k *softkey.Key) error {
			options, id := h.begin(t)
			if _, err := h.enter(t, k, options, id); err != nil {
				t.Fatal(err)
			}
			k.Step = 0
			options, id = h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"a key that is not known": {"unknown", func(t *testing.T, h house, k *softkey.Key) error {
			other, err := softkey.New(site.Origin, site.Host)
			if err != nil {
				t.Fatal(err)
			}
			other.User = k.User
			options, id := h.begin(t)
			_, err = h.enter(t, other, options, id)
			return err
		}},
		"the id of another's key": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			other, err := softkey.New(site.Origin, site.Host)
			if err != nil {
				t.Fatal(err)
			}
			other.User, other.ID = k.User, k.ID
			options, id := h.begin(t)
			_, err = h.enter(t, other, options, id)
			return err
		}},
		"the handle of another user": {"invalid", func(t *testing.T, h house, k *softkey.Key) error {
			k.User = []byte("USbob")
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			return err
		}},
		"a disabled user": {"disabled", func(t *testing.T, h house, k *softkey.Key) error {
			if _, err := h.staff.Change(t.Context(), boss, "AC1", h.alice.ID, people.Change{Disabled: ptr(true)}); err != nil {
				t.Fatal(err)
			}
			options, id := h.begin(t)
			_, err := h.enter(t, k, options, id)
			if _, err := h.staff.Change(t.Context(), boss, "AC1", h.alice.ID, people.Change{Disabled: ptr(false)}); err != nil {
				t.Fatal(err)
			}
			return err
		}},
		"a challenge of a registration": {"expired", func(t *testing.T, h house, k *softkey.Key) error {
			var o struct{ Challenge string }
			options := h.options(t)
			if err := json.Unmarshal(options, &o); err != nil {
				t.Fatal(err)
			}
			_, err := h.enter(t, k, options, o.Challenge)
			return err
		}},
		"no credential": {"invalid", func(t *testing.T, h house, _ *softkey.Key) error {
			_, id := h.begin(t)
			_, _, _, err := h.SignInByPasskey(t.Context(), site, id, []byte(`{"id":"x"}`), office)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := shared.again()
			k := h.key(t)
			before := len(h.lines(t))
			wantKind(t, c.attack(t, h, k), fault.Unauthenticated)
			refused := slices.DeleteFunc(h.lines(t)[before:], func(e people.AuditEntry) bool { return e.Act != people.SessionRefused })
			if len(refused) != 1 || refused[0].Detail["reason"] != c.reason {
				t.Errorf("%+v", refused)
			}
		})
	}
}

func TestPasskeysThatAreNotKept(t *testing.T) {
	h := build(t)
	defer h.close(t)
	for name, spoil := range map[string]func(*softkey.Key){
		"another origin":        func(k *softkey.Key) { k.Origin = "https://evil.example" },
		"another relying party": func(k *softkey.Key) { k.Host = "evil.example" },
		"the user not verified": func(k *softkey.Key) { k.Flags = softkey.UserPresent },
		"nobody there at all":   func(k *softkey.Key) { k.Flags = 0 },
	} {
		k, err := softkey.New(site.Origin, site.Host)
		if err != nil {
			t.Fatal(err)
		}
		spoil(k)
		if err := h.register(t, k, h.options(t)); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}

	k, err := softkey.New(site.Origin, site.Host)
	if err != nil {
		t.Fatal(err)
	}
	options := h.options(t)
	made, err := k.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	bob, _, err := h.staff.Add(t.Context(), boss, "AC1", people.NewUser{Name: "bob", Role: people.Agent})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.AddPasskey(t.Context(), boss, bob, site, "", made)
	wantKind(t, err, fault.Invalid) // begun by alice; it is used up now
	wantKind(t, h.register(t, k, options), fault.Invalid)
	if err := h.register(t, k, h.options(t)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, h.register(t, k, h.options(t)), fault.Conflict) // the same credential again
}

func TestCeremoniesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		defer h.close(t)
		k := h.key(t)
		options, id := h.begin(t)
		time.Sleep(5 * time.Minute)
		_, err := h.enter(t, k, options, id)
		wantKind(t, err, fault.Unauthenticated)

		// Who begins thousands pushes out their own, not others'.
		options, id = h.begin(t)
		for i := range 600 {
			if _, _, err := h.BeginPasskeySignIn(site, people.Client{Remote: fmt.Sprintf("2001:db8::%x", i)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.enter(t, k, options, id); err != nil {
			t.Errorf("pushed out: %v", err)
		}
	})
}

func TestGuessingByPasskeyIsSlowedDown(t *testing.T) {
	h := build(t)
	defer h.close(t)
	for range 100 {
		_, _, _, err := h.SignInByPasskey(t.Context(), site, "none", []byte("{}"), office)
		if fault.KindOf(err) == fault.TooMany {
			_, _, err := h.BeginPasskeySignIn(site, office)
			wantKind(t, err, fault.TooMany)
			return
		}
		wantKind(t, err, fault.Unauthenticated)
	}
	t.Error("a hundred attempts were taken")
}

func TestSitesWithoutPasskeys(t *testing.T) {
	h := build(t)
	defer h.close(t)
	for _, host := range []string{"192.0.2.1", "::1", "[::1]", "", "a b", "https://x"} {
		s := people.Site{Host: host, Origin: "https://" + host}
		if err := s.CanHavePasskeys(); err == nil || fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v", host, err)
		}
		_, err := h.BeginPasskey(t.Context(), h.alice, s, office)
		wantKind(t, err, fault.Conflict)
	}
	if err := (people.Site{Host: "localhost", Origin: "https://localhost:8443"}).CanHavePasskeys(); err != nil {
		t.Error(err)
	}
}
