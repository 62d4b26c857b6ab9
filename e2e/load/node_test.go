package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/voice/carrier"
)

// tally is what is expected in the database after calls.
type tally struct {
	before traces // the first of them

	mu         sync.Mutex
	calls      map[string]int // "direction status cause legs"
	missed     int
	voicemails int
}

func (y *tally) add(call string, missed, voicemails int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.calls[call]++
	y.missed += missed
	y.voicemails += voicemails
}

// One node takes all that can be sent to it while a call goes on, which does not
// notice; then two hundred calls in a row and fifty at once, of every kind. In
// the end nothing is left: no goroutine, socket, SIP dialog or transaction, leg,
// call, file or row but the records that calls are to leave. It is one test,
// because SIP's last timers take 32 s.
func TestNode(t *testing.T) {
	w, control := newWorld(t, 26, 26), newWorld(t, 1, 0)
	w.node.Idle(t)
	control.node.Idle(t)
	before, where := w.traces(), stacks()
	t.Logf("before: %s", before)

	t.Run("others do not notice", func(t *testing.T) {
		cut := w.deaf(t)
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) {
				w.unharmed(t, control, func(ctx context.Context, g *goodCall) error { return a.attack(w, ctx, g) })
			})
		}
		if err := cut(); err != nil {
			t.Error(err)
		}
		w.node.Idle(t)
	})

	expected := &tally{calls: map[string]int{}, before: w.traces()}
	t.Run("200 calls in a row", func(t *testing.T) { w.inARow(t, expected) })
	t.Run("50 calls at once", func(t *testing.T) { w.atOnce(t, expected) })

	began := time.Now()
	after := w.settle(before, 50*time.Second)
	t.Logf("after %v more: %s", time.Since(began).Round(time.Millisecond), after)
	if after.open != before.open {
		t.Errorf("the node still holds %+v, before %+v", after.open, before.open)
	}
	if after.goroutines > before.goroutines+slack {
		t.Errorf("%d goroutines, before %d; more than before:\n%s", after.goroutines, before.goroutines, moreThan(where, stacks()))
	}
	if after.sockets != before.sockets {
		t.Errorf("%d sockets, before %d", after.sockets, before.sockets)
	}
	w.records(after, expected)
}

func (w *world) inARow(t *testing.T, expected *tally) {
	for i := range 200 {
		kind := kinds[i%len(kinds)]
		if i%100 == 50 {
			kind = message
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := kind.hold(ctx, w, w.callers[i%len(w.callers)], expected)
		cancel()
		if err != nil {
			t.Fatalf("call %d, %s: %v", i+1, kind.name, err)
		}
	}
	w.node.Idle(t)
}

// records compares what is kept with what should be.
func (w *world) records(after traces, expected *tally) {
	t, before := w.t, expected.before
	found := map[string]int{}
	w.database(func(db *sql.DB) {
		// Calls in from another number and those between devices are of the attacks.
		for _, row := range column(t, db, `SELECT direction || ' ' || status || ' ' || cause || ' ' || (SELECT count(*) FROM legs WHERE call = id)
			FROM calls WHERE direction = 'outbound' OR direction = 'inbound' AND from_number = '`+counted+`'`) {
			found[row]++
		}
		if open := column(t, db, `SELECT id FROM calls WHERE ended = 0 OR offered = 0 OR cause = ''`); len(open) > 0 {
			t.Errorf("%d calls are recorded without an end", len(open))
		}
		if open := column(t, db, `SELECT leg FROM legs WHERE ended = 0 OR cause = '' OR call NOT IN (SELECT id FROM calls)`); len(open) > 0 {
			t.Errorf("%d legs are recorded without an end or a call", len(open))
		}
	})
	for _, key := range sortedKeys(found, expected.calls) {
		if found[key] != expected.calls[key] {
			t.Errorf("calls %q: %d recorded, %d made", key, found[key], expected.calls[key])
		}
	}
	want := map[string]int{"missed": expected.missed, "voicemails": expected.voicemails}
	for table, n := range after.rows {
		if table == "calls" || table == "legs" {
			continue // counted above
		}
		if n != before.rows[table]+want[table] {
			t.Errorf("table %s: %d rows, before %d, %d were to come", table, n, before.rows[table], want[table])
		}
	}
	if after.files["recordings"] != before.files["recordings"]+expected.voicemails || after.files["spool"] != 0 {
		t.Errorf("files: %v, before %v; %d recordings were to come", after.files, before.files, expected.voicemails)
	}
}

// kind is one way a call can go.
type kind struct {
	name string
	hold func(ctx context.Context, w *world, d *device.Device, y *tally) error
}

const soon = 20 * time.Millisecond // between hearing each other and the end

var kinds = []kind{
	{"answered, the carrier hangs up", func(ctx context.Context, w *world, _ *device.Device, y *tally) error {
		talking, hangUp := context.WithCancel(ctx)
		defer hangUp()
		done := w.callIn(talking, carrier.CallOptions{})
		c, err := w.answered(ctx)
		if err != nil {
			return err
		}
		hangUp()
		y.add("inbound completed completed 2", 0, 0)
		return errors.Join(c.AwaitEnd(ctx), wasAnswered(<-done))
	}},
	{"talks", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		y.add("outbound completed completed 2", 0, 0)
		return dialAndTalk(ctx, d, "+15550105")
	}},
	{"busy", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		y.add("outbound not_answered busy 2", 0, 0)
		return dialInVain(ctx, d, "+15550101", 31486)
	}},
	{"answered, the device hangs up", func(ctx context.Context, w *world, _ *device.Device, y *tally) error {
		done := w.callIn(ctx, carrier.CallOptions{})
		c, err := w.answered(ctx)
		if err != nil {
			return err
		}
		y.add("inbound completed completed 2", 0, 0)
		return errors.Join(c.HangUp(), wasAnswered(<-done))
	}},
	{"echoes", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		y.add("outbound completed completed 2", 0, 0)
		return dialAndTalk(ctx, d, "+15550100")
	}},
	{"refused", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		y.add("outbound failed carrier_error 2", 0, 0)
		return dialInVain(ctx, d, "+15550103", 31005)
	}},
	{"abandoned", func(ctx context.Context, w *world, _ *device.Device, y *tally) error {
		ringing, giveUp := context.WithCancel(ctx)
		defer giveUp()
		done := w.callIn(ringing, carrier.CallOptions{})
		c, err := w.rang(ctx)
		if err != nil {
			return err
		}
		giveUp()
		y.add("inbound abandoned cancelled 2", 1, 0)
		if err := c.AwaitEnd(ctx); err != nil {
			return err
		}
		if r := <-done; r.err != nil || r.Status != 487 {
			return fmt.Errorf("the carrier was told %d %s, %w", r.Status, r.Reason, r.err)
		}
		return nil
	}},
	{"given up by the device", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		c, err := d.Call(url.Values{"To": {"+15550102"}})
		if err != nil {
			return err
		}
		if err := rings(ctx, c); err != nil {
			return err
		}
		y.add("outbound not_answered cancelled 2", 0, 0)
		return c.HangUp()
	}},
	{"declined, then answered by the next agent", func(ctx context.Context, w *world, _ *device.Device, y *tally) error {
		done := w.callIn(ctx, carrier.CallOptions{})
		first, err := w.rang(ctx)
		if err != nil {
			return err
		}
		if err := first.Reject(); err != nil {
			return err
		}
		c, err := w.answered(ctx)
		if err != nil {
			return err
		}
		y.add("inbound completed completed 3", 1, 0)
		return errors.Join(c.HangUp(), wasAnswered(<-done))
	}},
	{"talks and hangs up", func(ctx context.Context, _ *world, d *device.Device, y *tally) error {
		c, err := d.Call(url.Values{"To": {"+15550109"}})
		if err != nil {
			return err
		}
		y.add("outbound completed completed 2", 0, 0)
		return errors.Join(c.AwaitAnswer(ctx), c.AwaitEnd(ctx))
	}},
}

var message = kind{"leaves a message", func(ctx context.Context, w *world, _ *device.Device, y *tally) error {
	// # skips the greeting; the beep and 1.5 s of message follow.
	r := <-w.callIn(ctx, carrier.CallOptions{To: w.cast.Mailbox, DTMF: "#", For: 4 * time.Second})
	y.add("inbound voicemail completed 1", 0, 1)
	return wasAnswered(r)
}}

func wasAnswered(r called) error {
	if r.err != nil {
		return r.err
	}
	if !r.Answered || r.Status != 200 {
		return fmt.Errorf("the carrier was told %d %s", r.Status, r.Reason)
	}
	return nil
}

// answered takes the next call that rings and listens until it is heard.
func (w *world) answered(ctx context.Context) (*device.Call, error) {
	c, err := w.rang(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.Accept(); err != nil {
		return nil, err
	}
	if err := c.AwaitSound(ctx); err != nil {
		return nil, err
	}
	pause(ctx, soon)
	return c, nil
}

func dialAndTalk(ctx context.Context, d *device.Device, number string) error {
	c, err := d.Call(url.Values{"To": {number}})
	if err != nil {
		return err
	}
	if err := c.AwaitAnswer(ctx); err != nil {
		return err
	}
	if err := c.AwaitSound(ctx); err != nil {
		return err
	}
	pause(ctx, soon)
	return c.HangUp()
}

// rings waits until a device's call rings at the far end.
func rings(ctx context.Context, c *device.Call) error {
	for c.Times().Ringing.IsZero() {
		if !pause(ctx, time.Millisecond) {
			return errors.New("it did not ring")
		}
	}
	return nil
}

func dialInVain(ctx context.Context, d *device.Device, number string, code int) error {
	c, err := d.Call(url.Values{"To": {number}})
	if err != nil {
		return err
	}
	var refused *device.Error
	if err := c.AwaitEnd(ctx); !errors.As(err, &refused) || refused.Code != code {
		return fmt.Errorf("ended with %w, want %d", err, code)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// atOnce holds fifty calls at the same time, and a few beside them that come to
// nothing, and lets all go together once each is where it shall be.
func (w *world) atOnce(t *testing.T, y *tally) {
	const answered, ringing, messages, talking, echoing, unanswered = 20, 3, 5, 10, 8, 4
	g := newGathering(t)
	recordings := w.traces().files["recordings"]

	for range messages {
		g.call("message", func() error {
			r := <-w.callIn(g.enough, carrier.CallOptions{To: w.cast.Mailbox, DTMF: "#"})
			y.add("inbound voicemail completed 1", 0, 1)
			return wasAnswered(r)
		})
	}
	for range answered + ringing {
		g.call("call in", func() error {
			r := <-w.callIn(g.enough, carrier.CallOptions{})
			switch {
			case r.err != nil:
				return r.err
			case r.Answered:
				y.add("inbound completed completed 2", 0, 0)
			default:
				y.add("inbound abandoned cancelled 2", 1, 0)
			}
			return nil
		})
	}
	for i := range answered {
		g.call("answer", func() error {
			up := g.begin()
			c, err := w.answered(g.ctx)
			up()
			if err != nil {
				return err
			}
			g.here()
			if i%2 == 0 {
				_ = c.HangUp() // or the carrier was faster
			}
			return c.AwaitEnd(g.ctx)
		})
	}
	free := w.callers
	next := func() *device.Device {
		d := free[0]
		free = free[1:]
		return d
	}
	for range talking + echoing {
		number, d := "+15550105", next()
		if len(free)%2 == 0 {
			number = "+15550100"
		}
		y.add("outbound completed completed 2", 0, 0)
		g.call("call to "+number, func() error {
			up := g.begin()
			defer up()
			c, err := d.Call(url.Values{"To": {number}})
			if err != nil {
				return err
			}
			if err := c.AwaitSound(g.ctx); err != nil {
				return err
			}
			up()
			g.here()
			return c.HangUp()
		})
	}
	for range unanswered {
		d := next()
		y.add("outbound not_answered cancelled 2", 0, 0)
		g.call("call without an answer", func() error {
			c, err := d.Call(url.Values{"To": {"+15550102"}})
			if err != nil {
				return err
			}
			if err := rings(g.ctx, c); err != nil {
				return err
			}
			g.here()
			return c.HangUp()
		})
	}
	for _, refused := range []struct {
		number, row string
		code        int
	}{
		{"+15550101", "outbound not_answered busy 2", 31486},
		{"+15550103", "outbound failed carrier_error 2", 31005},
		{"+15550101", "outbound not_answered busy 2", 31486},
		{"+15550103", "outbound failed carrier_error 2", 31005},
	} {
		d := next()
		y.add(refused.row, 0, 0)
		g.call("call to "+refused.number, func() error { return dialInVain(g.ctx, d, refused.number, refused.code) })
	}

	g.await(answered + talking + echoing + unanswered)
	node.Until(t, 30*time.Second, "the other callers ring and leave messages", func() bool {
		return len(w.rings) == ringing && w.traces().files["recordings"] == recordings+messages || g.failed()
	})
	pause(g.ctx, 2*time.Second) // a message is one from a second on
	open := w.node.Open()
	t.Logf("at once: %+v", open)
	if open.Calls != answered+ringing+messages+talking+echoing+unanswered {
		t.Errorf("%d calls at once", open.Calls)
	}
	g.letGo()
	// What rang unanswered is no longer of interest.
	for len(w.rings) > 0 {
		<-w.rings
	}
	w.node.Idle(t)
}

// gathering lets many calls wait for each other.
type gathering struct {
	t      *testing.T
	ctx    context.Context // all must be over before it is
	enough context.Context // done: let go
	let    context.CancelFunc
	cancel context.CancelFunc
	all    sync.WaitGroup
	there  chan struct{}
	places chan struct{} // for calls whose audio comes up
}

// setUp is how many calls are set up at the same time. More handshakes at once
// would take two cores with the race detector longer than calls wait for audio.
const setUp = 8

// begin waits for a place to set a call up; the function gives it back, once.
func (g *gathering) begin() (up func()) {
	g.places <- struct{}{}
	return sync.OnceFunc(func() { <-g.places })
}

func newGathering(t *testing.T) *gathering {
	g := &gathering{t: t, there: make(chan struct{}, 100), places: make(chan struct{}, setUp)}
	g.ctx, g.cancel = context.WithTimeout(t.Context(), 2*time.Minute)
	g.enough, g.let = context.WithCancel(g.ctx)
	return g
}

// call holds one; when it goes wrong, all let go.
func (g *gathering) call(what string, f func() error) {
	g.all.Go(func() {
		if err := f(); err != nil {
			g.t.Errorf("%s: %v", what, err)
			g.cancel()
		}
	})
}

// here says that a call is where it shall be, and waits for the end.
func (g *gathering) here() {
	g.there <- struct{}{}
	<-g.enough.Done()
}

func (g *gathering) failed() bool { return g.ctx.Err() != nil }

func (g *gathering) await(n int) {
	for range n {
		select {
		case <-g.there:
		case <-g.ctx.Done():
			return
		}
	}
}

func (g *gathering) letGo() {
	g.let()
	g.all.Wait()
	g.cancel()
}

func sortedKeys(maps ...map[string]int) []string {
	seen := map[string]bool{}
	var all []string
	for _, m := range maps {
		for k := range m {
			if !seen[k] {
				seen[k] = true
				all = append(all, k)
			}
		}
	}
	return all
}
