package keyring

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/token"
)

// Options is what a Ring is opened with; all but Store may be left out.
type Options struct {
	Store   Store
	Health  *health.Board         // nil: nobody is warned
	Log     *slog.Logger          // nil: discarded
	Metrics prometheus.Registerer // nil: not registered
	Now     func() time.Time      // nil: time.Now
	// Client reads issuers' key sets. nil: one that goes to public addresses alone,
	// follows no redirect to another host and gives up after ten seconds.
	Client *http.Client
}

// Ring is what devices are let in by, of all accounts.
type Ring struct {
	store   Store
	health  *health.Board
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	state   atomic.Pointer[state]
	loading sync.Mutex  // held from reading to replacing, so that no reading replaces a newer one
	setting sync.Mutex  // of the ways in, from looking at them to the ring that knows
	stale   atomic.Bool // what is stored could not be read
	issuers issuers
	tickets shown
	uses    uses

	mu        sync.Mutex
	listeners []func()
}

var (
	_ token.Keys    = (*Ring)(nil)
	_ token.Tickets = (*Ring)(nil)
)

// Open reads everything and returns the ring; it fails when that fails.
func Open(ctx context.Context, o Options) (*Ring, error) {
	r := &Ring{store: o.Store, health: o.Health, log: o.Log, now: o.Now}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.health == nil {
		r.health = health.NewBoard()
	}
	if r.now == nil {
		r.now = time.Now
	}
	var err error
	if r.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, err
	}
	r.issuers.init(o.Client)
	r.tickets.init()
	r.uses.init()
	contents, err := r.store.Ring(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	s, err := build(contents, nil)
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	r.state.Store(s)
	r.issuers.recall(contents.Issuers)
	return r, nil
}

// OnChange adds a function that is called after every replacement of the ring.
// It runs on the goroutine that made the change and must not block.
func (r *Ring) OnChange(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, fn)
}

func (r *Ring) changed() {
	r.mu.Lock()
	listeners := r.listeners[:len(r.listeners):len(r.listeners)]
	r.mu.Unlock()
	for _, fn := range listeners {
		fn()
	}
}

const unreadable = "keys_unreadable"

// reload reads everything and replaces the ring, or keeps it and raises a warning.
func (r *Ring) reload(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		if ctx.Err() == nil { // otherwise it says nothing about the keys
			r.cannotRead(err)
		}
		return err
	}
	r.metrics.reloads.WithLabelValues("replaced").Inc()
	if r.stale.Swap(false) {
		r.log.Info("the stored keys can be read again")
	}
	r.health.Clear(unreadable, "")
	r.changed()
	return nil
}

func (r *Ring) cannotRead(err error) {
	r.metrics.reloads.WithLabelValues("failed").Inc()
	r.health.Raise(health.Warning{
		Code: unreadable, Severity: health.Degraded,
		Text: "The stored keys cannot be read; those read before are used. Check the disk, and that secret.key belongs to this database.",
	})
	if !r.stale.Swap(true) {
		r.log.Error("the stored keys cannot be read; those read before stay in use", "error", err)
	}
}

func (r *Ring) load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	contents, err := r.store.Ring(ctx)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	next, err := build(contents, r.state.Load())
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	r.state.Store(next)
	return nil
}

// settle takes a change over that the store has kept. The change is done even
// when whoever asked for it has gone.
func (r *Ring) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := r.reload(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The change was kept, but the keys cannot be read again now. It takes effect as soon as they can.")
	}
	return nil
}

type metrics struct {
	tickets *prometheus.CounterVec // outcome
	reloads *prometheus.CounterVec // outcome: replaced, failed
	lost    prometheus.Counter     // uses that were not counted
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		tickets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_tickets_total", Help: "Tickets issued and shown, by what came of it.",
		}, []string{"outcome"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dialtone_keyring_reloads_total", Help: "Readings of the stored keys.",
		}, []string{"outcome"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dialtone_keyring_uses_lost_total", Help: "Uses of the ways in that were not kept, because there were too many or the store was away.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.tickets, m.reloads, m.lost} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}

// NewSecret returns a fresh secret of a key or auth token: 256 bits, as 64 hex digits.
func NewSecret() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return []byte(hex.EncodeToString(b[:]))
}
