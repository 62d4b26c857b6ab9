package keyring_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

const (
	account = "AC00000000000000000000000000000001"
	other   = "AC00000000000000000000000000000002"
)

// memory is a store that can be made to fail.
type memory struct {
	mu      sync.Mutex
	broken  error // what reading says
	full    error // what writing says
	reads   int
	c       keyring.Contents
	tickets map[string]keyring.Ticket
	uses    []keyring.Use

	changing func() // called before a key is changed, or a way; nil: nothing happens
}

var _ keyring.Store = (*memory)(nil)

func newMemory() *memory {
	return &memory{c: keyring.Contents{Revision: 1, Ways: map[string][]keyring.Way{}}, tickets: map[string]keyring.Ticket{}}
}

func (m *memory) Ring(context.Context) (keyring.Contents, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.broken != nil {
		return keyring.Contents{}, m.broken
	}
	c := m.c
	c.Keys, c.AuthTokens, c.Issuers, c.Revocations = slices.Clone(c.Keys), slices.Clone(c.AuthTokens), slices.Clone(c.Issuers), slices.Clone(c.Revocations)
	c.Ways = map[string][]keyring.Way{}
	for a, w := range m.c.Ways {
		c.Ways[a] = slices.Clone(w)
	}
	return c, nil
}

func (m *memory) Revision(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c.Revision, nil
}

func (m *memory) change(fn func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	fn()
	m.c.Revision++
	return nil
}

func put[T any](all *[]T, v T, same func(T) bool) {
	if at := slices.IndexFunc(*all, same); at >= 0 {
		(*all)[at] = v
		return
	}
	*all = append(*all, v)
}

func (m *memory) PutKey(_ context.Context, k keyring.Key) error {
	return m.change(func() { put(&m.c.Keys, k, func(o keyring.Key) bool { return o.ID == k.ID }) })
}

func (m *memory) ChangeKey(_ context.Context, account, id string, c keyring.KeyChange) error {
	if m.changing != nil {
		m.changing()
	}
	return m.change(func() {
		at := slices.IndexFunc(m.c.Keys, func(k keyring.Key) bool { return k.ID == id && k.Account == account })
		k := &m.c.Keys[at]
		if c.Name != nil {
			k.Name = *c.Name
		}
		if c.Role != nil {
			k.Role = *c.Role
		}
		if c.Disabled != nil {
			k.Disabled = *c.Disabled
		}
	})
}

func (m *memory) PutAuthToken(_ context.Context, a keyring.AuthToken) error {
	return m.change(func() { put(&m.c.AuthTokens, a, func(o keyring.AuthToken) bool { return o.ID == a.ID }) })
}

func (m *memory) ReplaceKey(ctx context.Context, old, next keyring.Key) error {
	return errors.Join(m.PutKey(ctx, old), m.PutKey(ctx, next))
}

func (m *memory) ReplaceAuthToken(ctx context.Context, old, next keyring.AuthToken) error {
	return errors.Join(m.PutAuthToken(ctx, old), m.PutAuthToken(ctx, next))
}

func (m *memory) PutWay(_ context.Context, account string, w keyring.Way) error {
	if m.changing != nil {
		m.changing()
	}
	return m.change(func() {
		of := m.c.Ways[account]
		put(&of, w, func(o keyring.Way) bool { return o.Kind == w.Kind })
		m.c.Ways[account] = of
	})
}

func (m *memory) PutIssuer(_ context.Context, i keyring.Issuer) error {
	return m.change(func() { put(&m.c.Issuers, i, func(o keyring.Issuer) bool { return o.ID == i.ID }) })
}

func (m *memory) DeleteIssuer(_ context.Context, account, id string) error {
	found := false
	err := m.change(func() {
		m.c.Issuers = slices.DeleteFunc(m.c.Issuers, func(i keyring.Issuer) bool {
			found = found || i.ID == id && i.Account == account
			return i.ID == id && i.Account == account
		})
	})
	if err == nil && !found {
		return fault.New(fault.NotFound, "none")
	}
	return err
}

func (m *memory) PutRevocation(_ context.Context, v keyring.Revocation) error {
	return m.change(func() {
		m.c.Revocations = append(m.c.Revocations, v)
		for i := range m.c.Keys {
			if v.Of == keyring.OfKey && m.c.Keys[i].ID == v.Value {
				m.c.Keys[i].Revoked = v.At
			}
		}
		for i := range m.c.AuthTokens {
			if v.Of == keyring.OfKey && m.c.AuthTokens[i].ID == v.Value {
				m.c.AuthTokens[i].Revoked = v.At
			}
		}
	})
}

func (m *memory) DeleteRevocation(_ context.Context, _, id string) error {
	return m.change(func() {
		m.c.Revocations = slices.DeleteFunc(m.c.Revocations, func(v keyring.Revocation) bool { return v.ID == id })
	})
}

func (m *memory) PutTicket(_ context.Context, t keyring.Ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tickets[t.Hash] = t
	return m.full
}

func (m *memory) RedeemTicket(_ context.Context, hash string, now time.Time) (keyring.Ticket, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tickets[hash]
	if m.broken != nil || !ok {
		return t, false, errors.Join(m.broken, fault.New(fault.NotFound, "none"))
	}
	if !t.Redeemed.IsZero() || !now.Before(t.Expires) {
		return t, false, nil
	}
	t.Redeemed = now
	m.tickets[hash] = t
	return t, true, nil
}

func (m *memory) TicketByHash(_ context.Context, hash string) (keyring.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	t, ok := m.tickets[hash]
	if !ok {
		return t, fault.New(fault.NotFound, "none")
	}
	return t, m.broken
}

func (m *memory) SweepTickets(_ context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.tickets)
	for hash, t := range m.tickets {
		if !now.Before(t.Expires) && t.Redeemed.IsZero() {
			delete(m.tickets, hash)
		}
	}
	return before - len(m.tickets), nil
}

func (m *memory) KeepKeySet(_ context.Context, issuer string, set []byte, fetched time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.c.Issuers {
		if m.c.Issuers[i].ID == issuer {
			m.c.Issuers[i].KeySet, m.c.Issuers[i].Fetched = set, fetched
			return nil
		}
	}
	return fault.New(fault.NotFound, "none")
}

func (m *memory) SweepUses(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.uses)
	m.uses = slices.DeleteFunc(m.uses, func(u keyring.Use) bool { return u.Last.Before(before) })
	return n - len(m.uses), nil
}

func (m *memory) AddUses(_ context.Context, uses []keyring.Use) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.uses = append(m.uses, uses...)
	return nil
}

func (m *memory) Uses(_ context.Context, account string, kind token.Kind, since time.Time, _ int) ([]keyring.Use, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.uses), func(u keyring.Use) bool {
		return u.Account != account || u.Kind != kind || u.Last.Before(since)
	}), nil
}

func (m *memory) breaks(reading, writing error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken, m.full = reading, writing
}

// world is a ring over a memory, in fake time.
type world struct {
	*keyring.Ring
	t       *testing.T
	store   *memory
	health  *health.Board
	metrics *prometheus.Registry
	stop    func() // ends Run, if it runs
}

// inWorld runs the test in a bubble of fake time, with the ring running.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	inWorldWith(t, keyring.Options{}, test)
}

func inWorldWith(t *testing.T, o keyring.Options, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, o)
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- w.Run(ctx) }()
		w.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
		defer w.stop()
		test(w)
	})
}

func newWorld(t *testing.T, o keyring.Options) *world {
	t.Helper()
	w := &world{t: t, store: newMemory(), health: health.NewBoard(), metrics: prometheus.NewRegistry()}
	o.Store, o.Health, o.Metrics = w.store, w.health, w.metrics
	var err error
	if w.Ring, err = keyring.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return w
}

// verifier is what devices' tokens are checked with.
func (w *world) verifier() *token.Verifier { return token.NewVerifier(w, w, time.Now) }

// mints returns an access token of the identity, signed as the account does now.
func (w *world) mints(identity string) string {
	w.t.Helper()
	signer, err := w.Signer(account)
	return w.mintsWith(signer, err, identity)
}

func (w *world) mintsWith(s token.Signer, err error, identity string) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := token.NewMinter(s).MintAccess(token.AccessGrant{Identity: identity, Incoming: true}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// verdict is what the verifier says of a token: "" or the reason.
func (w *world) verdict(text string) token.Reason {
	w.t.Helper()
	_, err := w.verifier().Verify(w.t.Context(), text)
	return w.reason(err)
}

func (w *world) reason(err error) token.Reason {
	w.t.Helper()
	var r *token.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Reason
	}
	w.t.Fatal(err)
	return ""
}

func (w *world) wants(what string, got, want token.Reason) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fails(what string, err error, kind fault.Kind) {
	w.t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		w.t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

func (w *world) warned(code string) bool {
	return slices.ContainsFunc(w.health.Warnings(), func(h health.Warning) bool { return h.Code == code })
}

// count returns the value of a counter with the label's value.
func (w *world) count(name, value string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	w.must(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == value) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
