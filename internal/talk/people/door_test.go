package people_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
)

// cheap keeps the tests quick; what a hash costs is in its text.
var cheap = people.Params{Memory: 64, Time: 1, Threads: 1}

type house struct {
	*people.Door
	store   *sqlite.Store
	staff   *people.Staff
	alice   people.User
	revoked *[]string // identities whose devices were ended
}

const password = "correct horse battery"

func build(t *testing.T) house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	alice := people.User{
		ID: "USalice", Account: "AC1", Name: "Alice", Email: "alice@example.com", Role: people.Agent, Identity: "alice",
		Password: people.Hash(password, cheap),
	}
	for _, err := range []error{
		store.PutAccount(t.Context(), talk.Account{ID: "AC1", Name: "one"}),
		store.PutAccount(t.Context(), talk.Account{ID: "AC2", Name: "two"}),
		store.PutUser(t.Context(), alice),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	revoked := &[]string{}
	staff := people.NewStaff(people.StaffOptions{
		Store: store, Audit: people.NewRecorder(store, nil, nil), Hashing: cheap,
		RevokeIdentity: func(_ context.Context, account, identity, by, reason string) error {
			*revoked = append(*revoked, strings.Join([]string{account, identity, by, reason}, " "))
			return nil
		},
	})
	return house{store: store, staff: staff, alice: alice, revoked: revoked}.again()
}

// again is the same house with a door that remembers nothing.
func (h house) again() house {
	h.Door = people.NewDoor(h.store, people.DoorOptions{Hashing: cheap, Staff: h.staff, Account: "AC1"})
	return h
}

func (h house) close(t *testing.T) {
	t.Helper()
	if err := h.store.Close(); err != nil {
		t.Error(err)
	}
}

func (h house) sessions(t *testing.T) int {
	t.Helper()
	rows, err := h.store.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows["sessions"]
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("got %v, want an error of kind %v", err, kind)
	}
}

var office = people.Client{Remote: "192.0.2.1", Browser: "Mozilla"}

func TestSignIn(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	for _, login := range []string{"Alice", "alice", " ALICE@example.com "} {
		u, s, cookie, err := h.SignIn(ctx, login, password, office)
		if err != nil || u.ID != h.alice.ID || len(cookie) != 64 || s.CSRF == "" || s.Remote != office.Remote {
			t.Fatalf("%s: %+v %+v %q %v", login, u, s, cookie, err)
		}
		if strings.Contains(s.Hash+s.CSRF, cookie) || s.Hash == s.CSRF {
			t.Fatal("the cookie shows")
		}
		again, r, err := h.Resume(ctx, cookie)
		if err != nil || again.ID != u.ID || r.CSRF != s.CSRF || r.Hash != s.Hash {
			t.Fatalf("%+v %+v %v", again, r, err)
		}
		if err := h.SignOut(ctx, u.ActorFrom(office), u, s); err != nil {
			t.Fatal(err)
		}
		_, _, err = h.Resume(ctx, cookie)
		wantKind(t, err, fault.Unauthenticated)
	}
	for _, cookie := range []string{"", "x", strings.Repeat("0", 64), strings.Repeat("0", 1<<20)} {
		_, _, err := h.Resume(ctx, cookie)
		wantKind(t, err, fault.Unauthenticated)
	}
	if n := h.sessions(t); n != 0 {
		t.Fatalf("%d sessions left", n)
	}
}

func TestWrongNameAndWrongPasswordLookTheSame(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	locked := h.alice
	locked.ID, locked.Name, locked.Email, locked.Identity, locked.Disabled = "USbob", "bob", "", "", true
	nopass := h.alice
	nopass.ID, nopass.Name, nopass.Email, nopass.Identity, nopass.Password = "UScarol", "carol", "", "", ""
	for _, u := range []people.User{locked, nopass} {
		if err := h.store.PutUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for i, try := range [][2]string{
		{"alice", "wrong"},
		{"nobody", password},
		{"bob", password},
		{"carol", password},
		{"carol", ""},
		{"", password},
		{"alice", ""},
		{"alice", password + " "},
		{"alice", strings.Repeat("x", 1<<20)},
		{strings.Repeat("x", 1<<20), password},
	} {
		client := people.Client{Remote: fmt.Sprintf("192.0.2.%d", i)}
		_, _, cookie, err := h.SignIn(ctx, try[0], try[1], client)
		wantKind(t, err, fault.Unauthenticated)
		if cookie != "" {
			t.Fatal("a cookie beside an error")
		}
		seen[err.Error()] = true
	}
	if len(seen) != 1 {
		t.Fatalf("answers tell apart: %v", seen)
	}
	if n := h.sessions(t); n != 0 {
		t.Fatalf("%d sessions begun", n)
	}
}

func TestOneNameInTwoAccounts(t *testing.T) {
	h := build(t)
	defer h.close(t)
	ctx := t.Context()
	other := people.User{ID: "USother", Account: "AC2", Name: "alice", Role: people.Admin, Password: people.Hash("another password", cheap)}
	if err := h.store.PutUser(ctx, other); err != nil {
		t.Fatal(err)
	}
	if u, _, _, err := h.SignIn(ctx, "alice", "another password", office); err != nil || u.ID != other.ID {
		t.Fatalf("%+v %v", u, err)
	}
	other.Password = people.Hash(password, cheap)
	if err := h.store.PutUser(ctx, other); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := h.SignIn(ctx, "alice", password, office)
	wantKind(t, err, fault.Unauthenticated)
	if u, _, _, err := h.SignIn(ctx, "alice@example.com", password, office); err != nil || u.ID != h.alice.ID {
		t.Fatalf("%+v %v", u, err)
	}
}

func TestSessionsSlideAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		defer h.close(t)
		ctx := t.Context()
		_, _, cookie, err := h.SignIn(ctx, "alice", password, office)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(11 * time.Hour)
			if _, _, err := h.Resume(ctx, cookie); err != nil {
				t.Fatal(err)
			}
		}
		_, stay, other, err := h.SignIn(ctx, "alice", password, office)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(12*time.Hour + time.Second)
		_, _, err = h.Resume(ctx, cookie)
		wantKind(t, err, fault.Unauthenticated)

		sweep, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Sweep(sweep, func(err error) { t.Error(err) })
		}()
		synctest.Wait()
		if n := h.sessions(t); n != 0 {
			t.Fatalf("%d sessions after the sweep (%s, %s)", n, stay.Hash, other)
		}
		cancel()
		<-done

		_, _, cookie, err = h.SignIn(ctx, "alice", password, office)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.staff.SignOut(ctx, people.Actor{Kind: people.BySystem}, "AC1", h.alice.ID); err != nil {
			t.Fatal(err)
		}
		_, _, err = h.Resume(ctx, cookie)
		wantKind(t, err, fault.Unauthenticated)
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		defer h.close(t)
		ctx := t.Context()
		try := func(login, password, remote string) error {
			_, _, _, err := h.SignIn(ctx, login, password, people.Client{Remote: remote})
			return err
		}
		wait := func(err error) time.Duration {
			t.Helper()
			wantKind(t, err, fault.TooMany)
			var b *people.Backoff
			if !errors.As(err, &b) || b.RetryAfter <= 0 {
				t.Fatalf("no wait in %v", err)
			}
			return b.RetryAfter
		}
		for i := range 6 {
			wantKind(t, try("alice", "wrong", fmt.Sprint("192.0.2.", i)), fault.Unauthenticated)
		}
		// Even with the right password and from elsewhere, until the time is over.
		first := wait(try("ALICE", password, "198.51.100.1"))
		time.Sleep(first)
		wantKind(t, try("alice", "wrong", "198.51.100.1"), fault.Unauthenticated)
		second := wait(try("alice", password, "198.51.100.1"))
		if second <= first {
			t.Fatalf("the wait does not grow: %v, %v", first, second)
		}
		time.Sleep(second)
		if err := try("alice", password, "198.51.100.1"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			wantKind(t, try("alice", "wrong", "198.51.100.2"), fault.Unauthenticated)
		}
		if err := try("alice", password, "198.51.100.2"); err != nil {
			t.Fatal("a few mistakes cost nothing: ", err)
		}

		// One address that tries many names.
		for i := range 21 {
			wantKind(t, try(fmt.Sprint("guess", i), "wrong", "203.0.113.9"), fault.Unauthenticated)
		}
		wait(try("alice", password, "203.0.113.9"))
		if err := try("alice", password, "198.51.100.3"); err != nil {
			t.Fatal("others are not affected: ", err)
		}

		// However many fail, nobody is locked out for longer than five minutes.
		for range 40 {
			_ = try("alice", "wrong", "203.0.113.10")
			time.Sleep(2 * time.Minute)
		}
		time.Sleep(5 * time.Minute)
		if err := try("alice", password, "198.51.100.4"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGuessesAtOnce(t *testing.T) {
	h := build(t)
	defer h.close(t)
	var all sync.WaitGroup
	var judged atomic.Int32
	for i := range 50 {
		all.Go(func() {
			_, _, _, err := h.SignIn(t.Context(), "alice", "guess", people.Client{Remote: fmt.Sprint("192.0.2.", i)})
			if fault.KindOf(err) == fault.Unauthenticated {
				judged.Add(1)
			}
		})
	}
	all.Wait()
	if n := judged.Load(); n < 5 || n > 8 { // a second may pass meanwhile
		t.Fatalf("%d of 50 guesses were judged", n)
	}
}

func TestPasswords(t *testing.T) {
	one, two := people.Hash(password, people.DefaultParams), people.Hash(password, cheap)
	if one == people.Hash(password, people.DefaultParams) || strings.Contains(one, password) {
		t.Fatal("no salt")
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash %s", one)
	}
	for _, phc := range []string{one, two} {
		if !people.Matches(password, phc) || people.Matches(password+"x", phc) || people.Matches("", phc) {
			t.Fatalf("%s does not tell", phc)
		}
	}
	for password, ok := range map[string]bool{
		"": false, "1234567": false, "12345678": true, "пароль12": true, strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false,
	} {
		if err := people.CheckPassword(password); (err == nil) != ok {
			t.Errorf("%.20q: %v", password, err)
		}
	}
	first, second := people.RandomPassword(), people.RandomPassword()
	if first == second || people.CheckPassword(first) != nil {
		t.Fatal("random passwords: ", first, second)
	}
}

// A stored hash may be damaged or made to cost us everything.
func FuzzMatches(f *testing.F) {
	f.Add(people.Hash("x", cheap))
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("$2a$10$abcdefghijklmnopqrstuv")
	f.Add("")
	f.Fuzz(func(t *testing.T, phc string) {
		// One that asks for much, within bounds, is allowed to take its time.
		if people.Expensive(phc) {
			return
		}
		if people.Matches("a password that no corpus holds", phc) {
			t.Fatalf("%q matches", phc)
		}
	})
}

// One address that tries many names at once is slowed down as if it came one by one,
// and an office whose people all sign in is not.
func TestNamesAtOnce(t *testing.T) {
	h := build(t)
	defer h.close(t)
	var all sync.WaitGroup
	var judged atomic.Int32
	for i := range 100 {
		all.Go(func() {
			_, _, _, err := h.SignIn(t.Context(), fmt.Sprint("guess", i), "guess", people.Client{Remote: "203.0.113.9"})
			if fault.KindOf(err) == fault.Unauthenticated {
				judged.Add(1)
			}
		})
	}
	all.Wait()
	if n := judged.Load(); n < 20 || n > 23 { // a second or two may pass meanwhile
		t.Errorf("%d of 100 guesses were judged", n)
	}
	for range 50 {
		if _, _, _, err := h.SignIn(t.Context(), "alice", password, people.Client{Remote: "198.51.100.1"}); err != nil {
			t.Fatal(err)
		}
	}
}
