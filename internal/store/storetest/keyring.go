package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

func aKey(account, id, name string) keyring.Key {
	return keyring.Key{
		ID: "SK" + id, Account: account, Name: name, Algorithm: token.HS256, Role: keyring.RoleAdmin,
		Secret: []byte("very-secret-" + id), Created: noon,
	}
}

// revised runs a change, which must move the ring's revision.
func (b *bench) revised(t *testing.T, change func() error) {
	t.Helper()
	before := of(b.Revision(t.Context()))(t)
	must(t, change())
	if after := of(b.Revision(t.Context()))(t); after == before {
		t.Fatalf("the revision stays at %d", after)
	}
}

// unrevised runs a change that fails, which must leave the revision alone.
func (b *bench) unrevised(t *testing.T, kind fault.Kind, change func() error) {
	t.Helper()
	before := of(b.Revision(t.Context()))(t)
	wantKind(t, change(), kind)
	same(t, "revision", of(b.Revision(t.Context()))(t), before)
}

func keys(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	k := aKey(one.ID, "1", "robot")
	public := keyring.Key{ID: "SK2", Account: two.ID, Name: "elsewhere", Algorithm: token.ES256, PublicKey: []byte(`{"kty":"EC"}`), Created: noon}
	a := keyring.AuthToken{ID: "AT1", Account: one.ID, Secret: []byte("very-secret-token"), Created: noon}
	b.revised(t, func() error { return b.PutKey(ctx, k) })
	b.revised(t, func() error { return b.PutKey(ctx, public) })
	b.revised(t, func() error { return b.PutAuthToken(ctx, a) })
	k.Name, k.Role, k.Disabled, k.Revoked, k.LastUsed = "other", "", true, noon.Add(time.Hour), noon.Add(time.Minute)
	a.Retires, a.Revoked = noon.Add(2*time.Hour), noon.Add(3*time.Hour)
	b.revised(t, func() error { return b.PutKey(ctx, k) })
	b.revised(t, func() error { return b.PutAuthToken(ctx, a) })
	b.reopen(t)
	c := of(b.Ring(ctx))(t)
	same(t, "keys", c.Keys, []keyring.Key{k, public})
	same(t, "auth tokens", c.AuthTokens, []keyring.AuthToken{a})
	same(t, "revision", c.Revision, of(b.Revision(ctx))(t))

	k.Account = two.ID // a key does not change hands
	b.unrevised(t, fault.NotFound, func() error { return b.PutKey(ctx, k) })
	a.Account = two.ID
	b.unrevised(t, fault.NotFound, func() error { return b.PutAuthToken(ctx, a) })
	b.unrevised(t, fault.Invalid, func() error { return b.PutKey(ctx, aKey("ACnobody", "3", "x")) })
}

func replacedKey(t *testing.T, b *bench) {
	ctx := t.Context()
	account := b.account(t, "one").ID
	old, next, late := aKey(account, "1", "robot"), aKey(account, "2", "robot"), aKey(account, "3", "robot")
	must(t, b.PutKey(ctx, old))
	old.Retires, old.Successor = noon.Add(time.Hour), next.ID
	b.revised(t, func() error { return b.ReplaceKey(ctx, old, next) })
	same(t, "both", of(b.Ring(ctx))(t).Keys, []keyring.Key{old, next})
	again := old
	again.Successor = late.ID
	b.unrevised(t, fault.Conflict, func() error { return b.ReplaceKey(ctx, again, late) })
	same(t, "still both", of(b.Ring(ctx))(t).Keys, []keyring.Key{old, next})

	// A change leaves alone what it does not name, such as the end of a replaced key.
	name, role, disabled := "other", "", true
	b.revised(t, func() error { return b.ChangeKey(ctx, account, old.ID, keyring.KeyChange{Name: &name}) })
	b.revised(t, func() error {
		return b.ChangeKey(ctx, account, old.ID, keyring.KeyChange{Role: &role, Disabled: &disabled})
	})
	old.Name, old.Role, old.Disabled = name, role, disabled
	same(t, "both, one changed", of(b.Ring(ctx))(t).Keys, []keyring.Key{old, next})
	b.unrevised(t, fault.NotFound, func() error { return b.ChangeKey(ctx, b.account(t, "two").ID, old.ID, keyring.KeyChange{Name: &name}) })
	gone := keyring.Revocation{ID: "RV1", Account: account, Of: keyring.OfKey, Value: next.ID, At: noon}
	must(t, b.PutRevocation(ctx, gone))
	b.unrevised(t, fault.NotFound, func() error { return b.ChangeKey(ctx, account, next.ID, keyring.KeyChange{Name: &name}) })

	first := keyring.AuthToken{ID: "AT1", Account: account, Secret: []byte("s1"), Created: noon}
	second := keyring.AuthToken{ID: "AT2", Account: account, Secret: []byte("s2"), Created: noon.Add(time.Hour)}
	must(t, b.PutAuthToken(ctx, first))
	first.Retires = noon.Add(2 * time.Hour)
	b.revised(t, func() error { return b.ReplaceAuthToken(ctx, first, second) })
	same(t, "both tokens", of(b.Ring(ctx))(t).AuthTokens, []keyring.AuthToken{first, second})
	third := keyring.AuthToken{ID: "AT3", Account: account, Secret: []byte("s3"), Created: noon}
	b.unrevised(t, fault.Conflict, func() error { return b.ReplaceAuthToken(ctx, first, third) })
	same(t, "still both tokens", of(b.Ring(ctx))(t).AuthTokens, []keyring.AuthToken{first, second})
}

func waysAndIssuers(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	if c := of(b.Ring(ctx))(t); len(c.Ways) != 0 || len(c.Issuers) != 0 || len(c.Revocations) != 0 {
		t.Fatalf("a new store has %+v", c)
	}
	b.revised(t, func() error { return b.PutWay(ctx, one.ID, keyring.Way{Kind: token.Ticket}) })
	b.revised(t, func() error { return b.PutWay(ctx, two.ID, keyring.Way{Kind: token.Ticket, Open: true}) })
	capability := keyring.Way{Kind: token.Capability, Open: true, Closes: noon}
	b.revised(t, func() error { return b.PutWay(ctx, one.ID, capability) })
	b.revised(t, func() error { return b.PutWay(ctx, one.ID, keyring.Way{Kind: token.Ticket, Open: true}) })
	same(t, "ways", of(b.Ring(ctx))(t).Ways, map[string][]keyring.Way{
		one.ID: {capability, {Kind: token.Ticket, Open: true}}, two.ID: {{Kind: token.Ticket, Open: true}},
	})

	i := keyring.Issuer{ID: "IS1", Account: one.ID, Name: "ours", URL: "https://id.example.com", JWKS: "https://id.example.com/keys", Audience: "phones", Created: noon}
	b.revised(t, func() error { return b.PutIssuer(ctx, i) })
	i.Name = "mine"
	b.revised(t, func() error { return b.PutIssuer(ctx, i) })
	same(t, "issuers", of(b.Ring(ctx))(t).Issuers, []keyring.Issuer{i})
	revision := of(b.Revision(ctx))(t)
	i.KeySet, i.Fetched = []byte(`{"keys":[]}`), noon.Add(time.Minute)
	must(t, b.KeepKeySet(ctx, i.ID, i.KeySet, i.Fetched))
	same(t, "issuers with a key set", of(b.Ring(ctx))(t).Issuers, []keyring.Issuer{i})
	same(t, "the revision after a key set", of(b.Revision(ctx))(t), revision)
	wantKind(t, b.KeepKeySet(ctx, "IS0", i.KeySet, noon), fault.NotFound)
	other := i
	other.ID, other.Account = "IS2", two.ID
	b.unrevised(t, fault.Conflict, func() error { return b.PutIssuer(ctx, other) })
	b.unrevised(t, fault.NotFound, func() error { return b.DeleteIssuer(ctx, two.ID, i.ID) })
	b.revised(t, func() error { return b.DeleteIssuer(ctx, one.ID, i.ID) })
	same(t, "issuers after deletion", len(of(b.Ring(ctx))(t).Issuers), 0)
}

func revocations(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	k, a := aKey(one.ID, "1", "robot"), keyring.AuthToken{ID: "AT1", Account: one.ID, Secret: []byte("s"), Created: noon}
	must(t, b.PutKey(ctx, k))
	must(t, b.PutAuthToken(ctx, a))
	all := []keyring.Revocation{
		{ID: "RV1", Account: one.ID, Of: keyring.OfIdentity, Value: "alice", At: noon, Forever: true, By: "ann", Reason: "left"},
		{ID: "RV2", Account: one.ID, Of: keyring.OfToken, Value: "jti-1", At: noon},
		{ID: "RV3", Account: two.ID, Of: keyring.OfKey, Value: k.ID, At: noon}, // another account's key is not theirs to revoke
		{ID: "RV4", Account: one.ID, Of: keyring.OfKey, Value: k.ID, At: noon.Add(time.Hour)},
		{ID: "RV5", Account: one.ID, Of: keyring.OfKey, Value: a.ID, At: noon.Add(2 * time.Hour)},
	}
	for i, v := range all {
		b.revised(t, func() error { return b.PutRevocation(ctx, v) })
		if c := of(b.Ring(ctx))(t); i == 2 && !c.Keys[0].Revoked.IsZero() {
			t.Fatal("another account revoked the key")
		}
	}
	c := of(b.Ring(ctx))(t)
	same(t, "revocations", c.Revocations, all)
	if !c.Keys[0].Revoked.Equal(all[3].At) || !c.AuthTokens[0].Revoked.Equal(all[4].At) {
		t.Fatalf("not marked: %+v %+v", c.Keys, c.AuthTokens)
	}
	b.unrevised(t, fault.Conflict, func() error { return b.PutRevocation(ctx, all[0]) })
	b.unrevised(t, fault.NotFound, func() error { return b.DeleteRevocation(ctx, two.ID, "RV1") })
	b.revised(t, func() error { return b.DeleteRevocation(ctx, one.ID, "RV1") })
	same(t, "after lifting", of(b.Ring(ctx))(t).Revocations, all[1:])
}

// oneMoment: a key and its revocation are written in one step, so nobody may
// read one without the other, however many write meanwhile.
func oneMoment(t *testing.T, b *bench) {
	ctx := t.Context()
	account := b.account(t, "one").ID
	const n = 40
	for i := range n {
		must(t, b.PutKey(ctx, aKey(account, fmt.Sprint(i), "robot")))
	}
	var all sync.WaitGroup
	var done atomic.Bool
	for range 3 {
		all.Go(func() {
			last := int64(0)
			for !done.Load() {
				c, err := b.Ring(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				marked := 0
				for _, k := range c.Keys {
					if !k.Revoked.IsZero() {
						marked++
					}
				}
				if marked != len(c.Revocations) || c.Revision < last {
					t.Errorf("%d keys are marked, %d revocations, revision %d after %d", marked, len(c.Revocations), c.Revision, last)
					return
				}
				last = c.Revision
			}
		})
	}
	for i := range n {
		must(t, b.PutRevocation(ctx, keyring.Revocation{
			ID: fmt.Sprint("RV", i), Account: account, Of: keyring.OfKey, Value: fmt.Sprint("SK", i), At: noon,
		}))
	}
	done.Store(true)
	all.Wait()
}

func aTicket(account, hash string) keyring.Ticket {
	return keyring.Ticket{
		Hash: hash, ID: "TK" + hash, Account: account, Identity: "alice", Incoming: true, OutgoingApp: "AP1", KeyID: "SK1",
		Issued: noon, Expires: noon.Add(2 * time.Minute), Session: time.Hour,
	}
}

func tickets(t *testing.T, b *bench) {
	ctx := t.Context()
	account := b.account(t, "one").ID
	k := aTicket(account, "h1")
	before := of(b.Revision(ctx))(t)
	must(t, b.PutTicket(ctx, k))
	wantKind(t, b.PutTicket(ctx, k), fault.Conflict)
	b.reopen(t)
	same(t, "ticket", of(b.TicketByHash(ctx, "h1"))(t), k)
	_, err := b.TicketByHash(ctx, "h2")
	wantKind(t, err, fault.NotFound)
	_, _, err = b.RedeemTicket(ctx, "h2", noon)
	wantKind(t, err, fault.NotFound)

	redeem := func(hash string, at time.Time) (keyring.Ticket, bool) {
		t.Helper()
		k, ok, err := b.RedeemTicket(ctx, hash, at)
		must(t, err)
		return k, ok
	}
	used := noon.Add(time.Minute)
	got, ok := redeem("h1", used)
	k.Redeemed = used
	if !ok {
		t.Fatal("a good ticket was not redeemed")
	}
	same(t, "redeemed", got, k)
	got, ok = redeem("h1", used.Add(time.Second))
	if ok || !got.Redeemed.Equal(used) {
		t.Fatalf("redeemed twice: %v %+v", ok, got)
	}
	late := aTicket(account, "h2")
	must(t, b.PutTicket(ctx, late))
	if got, ok := redeem("h2", late.Expires); ok || !got.Redeemed.IsZero() {
		t.Fatalf("an expired ticket was redeemed: %+v", got)
	}
	same(t, "nothing of it is the ring's", of(b.Revision(ctx))(t), before)

	same(t, "swept too early", of(b.SweepTickets(ctx, late.Expires.Add(-1)))(t), 0)
	same(t, "swept", of(b.SweepTickets(ctx, late.Expires))(t), 1)
	same(t, "a session that goes on", of(b.TicketByHash(ctx, "h1"))(t), k)
	same(t, "swept after its session", of(b.SweepTickets(ctx, used.Add(time.Hour)))(t), 1)
}

// manyDoors: of fifty that show a ticket at once, over two stores on one file,
// one gets in.
func manyDoors(t *testing.T, b *bench) {
	ctx := t.Context()
	account := b.account(t, "one").ID
	other := b.open(t, b.dir)
	defer func() { must(t, other.Close()) }()
	for round := range 3 {
		hash := fmt.Sprint("h", round)
		must(t, b.PutTicket(ctx, aTicket(account, hash)))
		var all sync.WaitGroup
		var in atomic.Int64
		for i := range 50 {
			store := keyring.Store(b.Store)
			if i%2 == 1 {
				store = other
			}
			all.Go(func() {
				got, redeemed, err := store.RedeemTicket(ctx, hash, noon)
				if err != nil || !got.Redeemed.Equal(noon) {
					t.Errorf("%+v %v", got, err)
				}
				if redeemed {
					in.Add(1)
				}
			})
		}
		all.Wait()
		if n := in.Load(); n != 1 {
			t.Fatalf("%d got in", n)
		}
	}
}

func wayUses(t *testing.T, b *bench) {
	ctx := t.Context()
	one, two := b.account(t, "one"), b.account(t, "two")
	k := aKey(one.ID, "1", "robot")
	must(t, b.PutKey(ctx, k))
	revision := of(b.Revision(ctx))(t)
	use := func(account, identity, origin string, at time.Time, count int64) keyring.Use {
		return keyring.Use{
			Account: account, Kind: token.Access, Identity: identity, App: "AP1", Origin: origin, SDK: "2.18.5", KeyID: k.ID,
			First: at, Last: at, Count: count,
		}
	}
	alice, later := use(one.ID, "alice", "https://a.example", noon, 2), use(one.ID, "alice", "https://a.example", noon.Add(time.Hour), 3)
	later.SDK = "2.19.0"
	bob := use(one.ID, "bob", "", noon.Add(2*time.Hour), 1)
	must(t, b.AddUses(ctx, []keyring.Use{alice, use(two.ID, "alice", "", noon, 1)}))
	must(t, b.AddUses(ctx, []keyring.Use{later, bob}))
	must(t, b.AddUses(ctx, []keyring.Use{use(one.ID, "alice", "https://a.example", noon.Add(-time.Hour), 1)})) // an older one, late
	want := later
	want.First, want.Count = noon.Add(-time.Hour), 6
	b.reopen(t)
	same(t, "uses", of(b.Uses(ctx, one.ID, token.Access, noon, 10))(t), []keyring.Use{bob, want})
	same(t, "the last ones", of(b.Uses(ctx, one.ID, token.Access, noon, 1))(t), []keyring.Use{bob})
	same(t, "since", of(b.Uses(ctx, one.ID, token.Access, noon.Add(90*time.Minute), 10))(t), []keyring.Use{bob})
	same(t, "another way", len(of(b.Uses(ctx, one.ID, token.Ticket, noon, 10))(t)), 0)
	if used := of(b.Ring(ctx))(t).Keys[0].LastUsed; !used.Equal(bob.Last.Truncate(time.Minute)) {
		t.Fatalf("last used %v", used)
	}
	same(t, "a use is no change of the ring", of(b.Revision(ctx))(t), revision)
	wantKind(t, b.AddUses(ctx, []keyring.Use{bob, use("ACnobody", "x", "", noon, 1)}), fault.Invalid)
	same(t, "all or none", of(b.Uses(ctx, one.ID, token.Access, noon, 10))(t), []keyring.Use{bob, want})
	same(t, "swept too early", of(b.SweepUses(ctx, noon))(t), 0)
	same(t, "swept", of(b.SweepUses(ctx, bob.Last))(t), 2)
	same(t, "what is left", of(b.Uses(ctx, one.ID, token.Access, noon, 10))(t), []keyring.Use{bob})

	// A device that says it is somewhere else each time.
	const more = 30
	for range 2 {
		for i := range keyring.MaxOrigins + more {
			must(t, b.AddUses(ctx, []keyring.Use{use(two.ID, "carol", fmt.Sprint("https://", i, ".example"), noon.Add(time.Hour), 1)}))
		}
	}
	counts := map[string]int64{}
	for _, u := range of(b.Uses(ctx, two.ID, token.Access, noon.Add(time.Minute), 1000))(t) {
		counts[u.Origin] = u.Count
	}
	if len(counts) != keyring.MaxOrigins+1 || counts["https://0.example"] != 2 || counts[keyring.OtherOrigins] != 2*more {
		t.Errorf("%d origins: %v", len(counts), counts)
	}
}
