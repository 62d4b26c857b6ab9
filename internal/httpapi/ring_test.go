package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// secretMark is in every secret of a fakeRing, so that one is found wherever it
// should not be.
const secretMark = "5ec2e7"

// fakeRing is a ring in memory that keeps no rule but those that the front door
// relies on, and remembers what it was asked.
type fakeRing struct {
	mu      sync.Mutex
	account string
	keys    []keyring.Key
	auth    []keyring.AuthToken
	ways    map[token.Kind]keyring.Way
	uses    []keyring.Use
	revoked []keyring.Revocation
	issuers []keyring.Issuer
	overlap time.Duration // of the last rotation
	tickets []keyring.TicketGrant
	next    int
}

func newFakeRing(account string) *fakeRing {
	r := &fakeRing{account: account, ways: map[token.Kind]keyring.Way{}}
	for _, k := range []token.Kind{token.Ticket, token.Access, token.Capability} {
		r.ways[k] = keyring.Way{Kind: k, Open: true}
	}
	for name, role := range map[string]string{keyring.ConsoleKey: "", "demo": "admin", "watch": "team_lead"} {
		r.add(keyring.Key{Account: account, Name: name, Role: role})
	}
	r.auth = []keyring.AuthToken{{ID: r.id("AT"), Account: account, Secret: r.secret(), Created: time.Now()}}
	return r
}

func (r *fakeRing) id(prefix string) string {
	r.next++
	return fmt.Sprintf("%s%032x", prefix, r.next)
}

func (r *fakeRing) secret() []byte {
	r.next++
	return fmt.Appendf(nil, "%s%058x", secretMark, r.next)
}

func (r *fakeRing) add(k keyring.Key) keyring.Key {
	k.ID, k.Created = r.id("SK"), time.Now()
	if len(k.PublicKey) == 0 {
		k.Secret, k.Algorithm = r.secret(), token.HS256
	}
	r.keys = append(r.keys, k)
	return k
}

func (r *fakeRing) named(name string) keyring.Key {
	i := slices.IndexFunc(r.keys, func(k keyring.Key) bool { return k.Name == name })
	return r.keys[i]
}

func (r *fakeRing) ByBearer(bearer string) (keyring.Key, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k.Bearer() == bearer {
			return k, true
		}
	}
	return keyring.Key{}, false
}

func (r *fakeRing) SignerOf(account, id string) (token.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k.ID == id && account == r.account {
			return token.Signer{Account: account, KeyID: id, Secret: k.Secret}, nil
		}
	}
	return token.Signer{}, fault.New(fault.NotFound, "none")
}

func (r *fakeRing) Keys(account string) []keyring.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if account != r.account {
		return nil
	}
	all := slices.Clone(r.keys)
	for i := range all {
		all[i].Secret = nil
	}
	return all
}

func (r *fakeRing) AddKey(_ context.Context, k keyring.Key) (keyring.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(k), nil
}

func (r *fakeRing) RotateKey(_ context.Context, account, id string, overlap time.Duration) (keyring.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overlap = overlap
	for i, k := range r.keys {
		if k.ID == id && account == r.account {
			next := r.add(keyring.Key{Account: account, Name: k.Name, Role: k.Role})
			r.keys[i].Retires, r.keys[i].Successor = time.Now().Add(overlap), next.ID
			return next, nil
		}
	}
	return keyring.Key{}, fault.New(fault.NotFound, "There is no such API key.")
}

func (r *fakeRing) ChangeKey(_ context.Context, account, id string, change keyring.KeyChange) (keyring.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.keys {
		k := &r.keys[i]
		if k.ID != id {
			continue
		}
		if change.Name != nil {
			k.Name = *change.Name
		}
		if change.Role != nil {
			k.Role = *change.Role
		}
		if change.Disabled != nil {
			k.Disabled = *change.Disabled
		}
		return *k, nil // its secret, too: the front door must not let it out
	}
	return keyring.Key{}, fault.New(fault.NotFound, "There is no such API key.")
}

func (r *fakeRing) AuthTokensOf(string) []keyring.AuthToken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.auth)
}

func (r *fakeRing) RotateAuthToken(_ context.Context, account string, overlap time.Duration) (keyring.AuthToken, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overlap = overlap
	r.auth[len(r.auth)-1].Retires = time.Now().Add(overlap)
	next := keyring.AuthToken{ID: r.id("AT"), Account: account, Secret: r.secret(), Created: time.Now()}
	r.auth = append(r.auth, next)
	return next, nil
}

func (r *fakeRing) Ways(string) []keyring.Way {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []keyring.Way{r.ways[token.Ticket], r.ways[token.Access], r.ways[token.Capability]}
}

func (r *fakeRing) SetWay(_ context.Context, _ string, w keyring.Way) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	other := map[token.Kind]token.Kind{token.Ticket: token.Access, token.Access: token.Ticket}[w.Kind]
	if !w.Open && other != "" && !r.ways[other].Open {
		return fault.New(fault.Conflict, "Tickets or access tokens must stay open.")
	}
	r.ways[w.Kind] = w
	return nil
}

func (r *fakeRing) Uses(_ context.Context, _ string, kind token.Kind, since time.Time, limit int) ([]keyring.Use, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []keyring.Use
	for _, u := range r.uses {
		if u.Kind == kind && !u.Last.Before(since) && len(all) < limit {
			all = append(all, u)
		}
	}
	return all, nil
}

func (r *fakeRing) Revocations(string) []keyring.Revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.revoked)
}

func (r *fakeRing) Revoke(_ context.Context, v keyring.Revocation) (keyring.Revocation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.ID, v.At = r.id("RV"), time.Now()
	r.revoked = append(r.revoked, v)
	return v, nil
}

func (r *fakeRing) Lift(_ context.Context, _, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.revoked, func(v keyring.Revocation) bool { return v.ID == id })
	if at < 0 {
		return fault.New(fault.NotFound, "There is no such revocation.")
	}
	if r.revoked[at].Of == keyring.OfKey {
		return fault.New(fault.Conflict, "A key is revoked for good.")
	}
	r.revoked = slices.Delete(r.revoked, at, at+1)
	return nil
}

func (r *fakeRing) Issuers(string) []keyring.Issuer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.issuers)
}

func (r *fakeRing) AddIssuer(_ context.Context, i keyring.Issuer) (keyring.Issuer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(i.JWKS, "away") {
		return keyring.Issuer{}, fault.New(fault.Invalid, "The key set could not be read: connection refused.")
	}
	i.ID, i.Keys, i.Fetched = r.id("IS"), 2, time.Now()
	r.issuers = append(r.issuers, i)
	return i, nil
}

func (r *fakeRing) RemoveIssuer(_ context.Context, _, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.issuers, func(i keyring.Issuer) bool { return i.ID == id })
	if at < 0 {
		return fault.New(fault.NotFound, "There is no such issuer.")
	}
	r.issuers = slices.Delete(r.issuers, at, at+1)
	return nil
}

func (r *fakeRing) IssueTicket(_ context.Context, g keyring.TicketGrant) (string, keyring.Ticket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.Identity == "bob" {
		return "", keyring.Ticket{}, errors.New("the vault at 10.1.2.3 is closed")
	}
	r.tickets = append(r.tickets, g)
	return strings.Repeat("0f", 32), keyring.Ticket{Identity: g.Identity, Expires: time.Now().Add(keyring.DefaultTicketTTL)}, nil
}

func (r *fakeRing) Signer(account string) (token.Signer, error) {
	k := r.named(keyring.ConsoleKey)
	return token.Signer{Account: account, KeyID: k.ID, Secret: k.Secret, AuthToken: r.auth[0].Secret}, nil
}

// fakeDevices are those of which the front door asks, and to which it tells.
type fakeDevices struct {
	mu      sync.Mutex
	in      []token.Claims
	changed []event.WayChanged
}

func (d *fakeDevices) CountOf(match func(token.Claims) bool) (n int) {
	for _, c := range d.in {
		if match(c) {
			n++
		}
	}
	return n
}

func (d *fakeDevices) FellBack(e event.WayChanged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, e)
}

// fakeAudit keeps lines.
type fakeAudit struct {
	mu    sync.Mutex
	lines []people.AuditEntry
}

func (a *fakeAudit) Record(_ context.Context, e people.AuditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, e)
}

// last returns the newest line and forgets all.
func (a *fakeAudit) last() (e people.AuditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.lines); n > 0 {
		e = a.lines[n-1]
	}
	a.lines = nil
	return e
}
