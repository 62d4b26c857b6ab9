package talk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dialtone/internal/event"
	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/store/sqlite"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
)

// office is a running desk over a real store that can be made to fail.
type office struct {
	t      *testing.T
	dir    string
	store  *flaky
	desk   *talk.Desk
	events *event.Fan
	health *health.Board
	stop   func()

	account talk.Account
	line    talk.LineSettings
	users   map[string]people.User

	mu        sync.Mutex
	reachable map[string]bool
	deleted   []string
}

// flaky is a store that can be away.
type flaky struct {
	talk.Store
	down   atomic.Bool
	refuse atomic.Bool // takes no calls, ever
}

var errAway = fault.Wrap(fault.Unavailable, errors.New("disk gone"), "The database cannot be used now.")

func (f *flaky) KeepCall(ctx context.Context, k talk.Call) error {
	switch {
	case f.down.Load():
		return errAway
	case f.refuse.Load():
		return fault.New(fault.Invalid, "no")
	}
	return f.Store.KeepCall(ctx, k)
}

func (f *flaky) KeepMissed(ctx context.Context, m talk.Missed) error {
	if f.down.Load() {
		return errAway
	}
	return f.Store.KeepMissed(ctx, m)
}

func (f *flaky) KeepVoicemail(ctx context.Context, v talk.Voicemail) error {
	if f.down.Load() {
		return errAway
	}
	return f.Store.KeepVoicemail(ctx, v)
}

// Reachable implements talk.Devices.
func (o *office) Reachable(account, identity string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return account == o.account.ID && o.reachable[identity]
}

// Delete implements talk.Recordings.
func (o *office) Delete(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deleted = append(o.deleted, id)
	return nil
}

// open opens an office in dir; the second time it finds what the first has kept.
func open(t *testing.T, dir string) *office {
	t.Helper()
	ctx := t.Context()
	db, err := sqlite.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{
		t: t, dir: dir, store: &flaky{Store: db}, events: event.NewFan(), health: health.NewBoard(),
		reachable: map[string]bool{}, users: map[string]people.User{},
		account: talk.Account{ID: "AC00000000000000000000000000000001", Name: "demo", Country: "US"},
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(db.PutAccount(ctx, o.account))
	for name, role := range map[string]people.Role{"admin": people.Admin, "alice": people.Agent, "bob": people.Agent} {
		u := people.User{ID: "US" + name, Account: o.account.ID, Name: name, Identity: name, Role: role}
		check(db.PutUser(ctx, u))
		o.users[name] = u
	}
	o.line = talk.LineSettings{
		ID: "PN1", Account: o.account.ID, Number: "+15550199", Name: "Support", Voicemail: true, Agents: []string{"USalice"},
	}
	check(db.PutLine(ctx, o.line))
	o.start()
	return o
}

func (o *office) start() {
	o.t.Helper()
	desk, err := talk.New(o.t.Context(), talk.Options{
		Store: o.store, Devices: o, Recordings: o, Events: o.events.Subscribe(64), Health: o.health,
		SpoolDir: filepath.Join(o.dir, "spool"), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.desk = desk
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- desk.Run(ctx) }()
	o.stop = func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Error(err)
		}
	}
}

func (o *office) close() {
	o.stop()
	if err := o.store.Close(); err != nil {
		o.t.Error(err)
	}
}

func (o *office) viewer(name string) talk.Viewer { return talk.ViewerOf(o.users[name]) }

func (o *office) register(name string) {
	o.mu.Lock()
	o.reachable[name] = true
	o.mu.Unlock()
	o.events.Publish(event.Registration{
		Account: o.account.ID, Identity: name, Outcome: event.Registered, Device: event.Device{Connection: "c"},
	})
	synctest.Wait()
}

// line is one call as a test plays it by hand.
type line struct {
	o      *office
	script call.Script
	offer  call.Offer

	mu   sync.Mutex
	said []call.Instruction
}

// Do implements call.Control.
func (l *line) Do(in ...call.Instruction) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, in...)
	return true
}

// heard returns what the desk has said since the last time.
func (l *line) heard() []call.Instruction {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	said := l.said
	l.said = nil
	return said
}

// dialled returns the Dial among what the desk has said.
func (l *line) dialled() call.Dial {
	l.o.t.Helper()
	for _, in := range l.heard() {
		if d, ok := in.(call.Dial); ok {
			return d
		}
	}
	l.o.t.Fatal("nobody is dialled")
	return call.Dial{}
}

func said[T call.Instruction](l *line) bool {
	for _, in := range l.heard() {
		if _, ok := in.(T); ok {
			return true
		}
	}
	return false
}

func (o *office) callIn() *line {
	id := call.NewLegID()
	l := &line{o: o, offer: call.Offer{
		Call: call.ID(id), Leg: id, Account: o.account.ID, From: call.Phone("+15550123"), To: call.Phone("+15550199"),
		Trunk: "simulated", At: time.Now(),
	}}
	l.script = o.desk.Begin(l.offer, l)
	return l
}

func (l *line) tell(events ...call.Event) {
	for _, e := range events {
		l.script.Event(e)
	}
	synctest.Wait()
}

// over ends the call.
func (l *line) over(cause call.EndCause) {
	l.tell(call.LegEnded{Leg: l.offer.Leg, Cause: cause}, call.Ended{Record: call.CallRecord{
		Call: l.offer.Call, Account: l.offer.Account, Direction: call.Inbound, From: l.offer.From, To: l.offer.To,
		Offered: l.offer.At, Ended: time.Now(), Cause: cause,
		Legs: []call.LegRecord{{Leg: l.offer.Leg, Address: l.offer.From, Started: l.offer.At, Ended: time.Now(), Cause: cause}},
	}})
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("got %v, want an error of kind %v", err, kind)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// next returns the feed's next change of the name.
func next(t *testing.T, f *talk.Feed, name string) talk.Change {
	t.Helper()
	synctest.Wait()
	for {
		select {
		case ch, ok := <-f.Changes():
			if !ok {
				t.Fatalf("no %s: the feed ended, %s", name, f.Reason())
			}
			if ch.Event == name {
				return ch
			}
		default:
			t.Fatalf("no %s in the feed", name)
		}
	}
}

func TestCallThroughTheDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		ctx := t.Context()
		feed := must(o.desk.Subscribe(ctx, o.viewer("alice")))(t)
		others := must(o.desk.Subscribe(ctx, o.viewer("bob")))(t)
		first := next(t, feed, talk.ChangeSnapshot).Data.(talk.Snapshot)
		if first.Me.ID != "USalice" || first.Me.State != talk.Offline || len(first.Agents) != 3 || len(first.Lines) != 1 || first.Missed == nil {
			t.Fatalf("snapshot %+v", first)
		}
		o.register("alice")
		if a := next(t, feed, talk.ChangeAgent).Data.(talk.Agent); a.State != talk.Online || !a.Device.Reachable || a.Device.Count != 1 {
			t.Fatalf("%+v", a)
		}

		l := o.callIn()
		leg := l.dialled().Leg
		ringing := next(t, feed, talk.ChangeRinging).Data.(talk.Offered)
		if ringing.Leg != leg || ringing.Call != l.offer.Call || ringing.Line.ID != "PN1" || ringing.From.Number != "+15550123" || ringing.Contacts == nil {
			t.Fatalf("%+v", ringing)
		}
		wantKind(t, o.desk.Hold(ctx, o.viewer("alice"), string(leg), true), fault.Conflict)
		l.tell(call.LegRinging{Leg: leg}, call.LegAnswered{Leg: leg}, call.LegAnswered{Leg: l.offer.Leg}, call.Bridged{A: l.offer.Leg, B: leg})
		l.heard()

		wantKind(t, o.desk.Hold(ctx, o.viewer("bob"), string(leg), true), fault.NotFound)
		wantKind(t, o.desk.HangUp(ctx, o.viewer("bob"), string(leg)), fault.NotFound)
		wantKind(t, o.desk.Hold(ctx, o.viewer("alice"), "CAnone", true), fault.NotFound)
		wantKind(t, o.desk.HangUp(ctx, talk.Viewer{Account: "AC2", Role: people.Admin}, string(leg)), fault.NotFound)
		for _, id := range []string{string(leg), string(l.offer.Call)} {
			if err := o.desk.Hold(ctx, o.viewer("alice"), id, true); err != nil {
				t.Fatal(err)
			}
			if in := l.heard(); len(in) != 1 || in[0] != call.Instruction(call.Hold{Leg: leg}) {
				t.Fatalf("%+v", in)
			}
		}
		l.tell(call.Held{Leg: leg, On: true})
		if h := next(t, feed, talk.ChangeHeld).Data.(talk.HeldChange); !h.On || h.Leg != leg {
			t.Fatalf("%+v", h)
		}
		if err := o.desk.Hold(ctx, o.viewer("alice"), string(leg), false); err != nil || !said[call.Resume](l) {
			t.Fatal("no resume ", err)
		}
		if err := o.desk.HangUp(ctx, o.viewer("alice"), string(leg)); err != nil || !said[call.End](l) {
			t.Fatal("no end ", err)
		}
		l.over(call.Completed)
		k := next(t, feed, talk.ChangeCall).Data.(talk.Call)
		if k.Agent != "USalice" || k.Status != talk.StatusCompleted {
			t.Fatalf("%+v", k)
		}
		if got := must(o.desk.Call(ctx, o.viewer("alice"), string(k.ID)))(t); got.ID != k.ID {
			t.Fatalf("%+v", got)
		}
		_, err := o.desk.Call(ctx, o.viewer("bob"), string(k.ID))
		wantKind(t, err, fault.NotFound)
		if page := must(o.desk.Calls(ctx, o.viewer("bob"), "", "", 0))(t); len(page.Calls) != 0 {
			t.Fatalf("bob sees %+v", page)
		}
		if page := must(o.desk.Calls(ctx, o.viewer("admin"), talk.KindInbound, "", 0))(t); len(page.Calls) != 1 {
			t.Fatalf("admin sees %+v", page)
		}
		_, err = o.desk.Calls(ctx, o.viewer("admin"), "strange", "", 0)
		wantKind(t, err, fault.Invalid)
		if a := must(o.desk.Agent(ctx, o.account.ID, "USalice"))(t); a.Activity != nil {
			t.Fatalf("left busy: %+v", a.Activity)
		}
		others.Close()
		synctest.Wait()
		for ch := range others.Changes() {
			switch ch.Event {
			case talk.ChangeRinging, talk.ChangeHeld, talk.ChangeCall:
				t.Errorf("bob is told about alice's %s", ch.Event)
			}
		}
		if others.Reason() != talk.ByeClosed {
			t.Errorf("reason %q", others.Reason())
		}
	})
}

func TestHangUpOfWhatRingsDeclines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		o.register("alice")
		l := o.callIn()
		leg := l.dialled().Leg
		if err := o.desk.HangUp(t.Context(), o.viewer("alice"), string(leg)); err != nil {
			t.Fatal(err)
		}
		if in := l.heard(); len(in) != 1 || in[0] != call.Instruction(call.HangUp{Leg: leg, Cause: call.Declined}) {
			t.Fatalf("%+v", in)
		}
		l.tell(call.LegEnded{Leg: leg, Cause: call.Declined})
		missed := must(o.desk.Missed(t.Context(), o.viewer("alice")))(t)
		if len(missed) != 1 || missed[0].Why != talk.WhyDeclined {
			t.Fatalf("%+v", missed)
		}
		wantKind(t, o.desk.Seen(t.Context(), o.viewer("bob"), missed[0].ID), fault.NotFound)
		if err := o.desk.Seen(t.Context(), o.viewer("alice"), missed[0].ID); err != nil {
			t.Fatal(err)
		}
		if missed := must(o.desk.Missed(t.Context(), o.viewer("alice")))(t); len(missed) != 0 {
			t.Fatalf("%+v", missed)
		}
		l.over(call.Cancelled)
	})
}

// leaveMessage plays a caller who leaves a message and returns its id.
func (l *line) leaveMessage(length time.Duration) string {
	l.o.t.Helper()
	l.tell(call.LegAnswered{Leg: l.offer.Leg})
	id := ""
	for range 5 {
		for _, in := range l.heard() {
			switch in := in.(type) {
			case call.Play:
				l.tell(call.PlayEnded{Leg: in.Leg, ID: in.ID})
			case call.Record:
				id = in.ID
				l.tell(call.RecordEnded{Leg: in.Leg, ID: id, Duration: length})
			}
		}
	}
	return id
}

func TestVoicemailThroughTheDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		ctx := t.Context()
		alice := must(o.desk.Subscribe(ctx, o.viewer("alice")))(t)
		bob := must(o.desk.Subscribe(ctx, o.viewer("bob")))(t)
		l := o.callIn()
		id := l.leaveMessage(7 * time.Second)
		l.over(call.Completed)
		if m := next(t, alice, talk.ChangeVoicemail).Data.(talk.Voicemail); m.ID != id || m.Duration != 7 || m.Heard {
			t.Fatalf("%+v", m)
		}
		if _, err := o.desk.Voicemail(ctx, o.viewer("bob"), id); fault.KindOf(err) != fault.NotFound || err == nil {
			t.Fatal("bob may hear a line that is not his: ", err)
		}
		wantKind(t, o.desk.Heard(ctx, o.viewer("bob"), id, true), fault.NotFound)
		wantKind(t, o.desk.DeleteVoicemail(ctx, o.viewer("bob"), id), fault.NotFound)
		unheard := func(name string) int {
			f := must(o.desk.Subscribe(ctx, o.viewer(name)))(t)
			defer f.Close()
			return next(t, f, talk.ChangeSnapshot).Data.(talk.Snapshot).VoicemailsUnheard
		}
		if unheard("alice") != 1 || unheard("admin") != 1 || unheard("bob") != 0 {
			t.Fatal("unheard: ", unheard("alice"), unheard("admin"), unheard("bob"))
		}
		if err := o.desk.Heard(ctx, o.viewer("alice"), id, true); err != nil {
			t.Fatal(err)
		}
		if m := next(t, alice, talk.ChangeVoicemail).Data.(talk.Voicemail); !m.Heard || m.HeardBy != "alice" {
			t.Fatalf("%+v", m)
		}
		if unheard("alice") != 0 {
			t.Fatal("still unheard")
		}
		if page := must(o.desk.Voicemails(ctx, o.viewer("bob"), "", 0))(t); len(page.Voicemails) != 0 {
			t.Fatalf("bob sees %+v", page)
		}
		if err := o.desk.DeleteVoicemail(ctx, o.viewer("alice"), id); err != nil {
			t.Fatal(err)
		}
		if len(o.deleted) != 1 || o.deleted[0] != id {
			t.Fatalf("audio deleted: %v", o.deleted)
		}
		if page := must(o.desk.Voicemails(ctx, o.viewer("admin"), "", 0))(t); len(page.Voicemails) != 0 {
			t.Fatalf("%+v", page)
		}

		short := o.callIn()
		id = short.leaveMessage(200 * time.Millisecond)
		short.over(call.Completed)
		if len(o.deleted) != 2 || o.deleted[1] != id {
			t.Fatalf("the audio of no message stays: %v", o.deleted)
		}
		bob.Close()
		synctest.Wait()
		for ch := range bob.Changes() {
			if ch.Event == talk.ChangeVoicemail {
				t.Error("bob is told of another line's message")
			}
		}
	})
}

func TestRecordsOutliveTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		ctx := t.Context()
		feed := must(o.desk.Subscribe(ctx, o.viewer("admin")))(t)
		o.register("alice")
		o.store.down.Store(true)
		var ids []call.ID
		for range 3 {
			l := o.callIn()
			leg := l.dialled().Leg
			l.tell(call.LegEnded{Leg: leg, Cause: call.Declined})
			l.over(call.Cancelled)
			ids = append(ids, l.offer.Call)
			next(t, feed, talk.ChangeCall) // calls go on, and are told
		}
		if w := o.health.Warnings(); len(w) != 1 || w[0].Code != "records-queued" {
			t.Fatalf("warnings %+v", w)
		}
		time.Sleep(2 * time.Second)
		if w := next(t, feed, talk.ChangeWarnings).Data.([]health.Warning); len(w) != 1 {
			t.Fatalf("warnings %+v", w)
		}

		// The node dies: a line is cut short, and what was written twice is there twice.
		o.stop()
		spool := filepath.Join(o.dir, "spool", "records.jsonl")
		data, err := os.ReadFile(spool)
		if err != nil || strings.Count(string(data), "\n") != 6 {
			t.Fatalf("%d lines, %v", strings.Count(string(data), "\n"), err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		if err := os.WriteFile(spool, []byte(string(data)+first+"\n"+`{"kind":"call","acc`), 0o600); err != nil {
			t.Fatal(err)
		}
		o.store.down.Store(false)
		o.start()
		defer o.close()
		synctest.Wait()
		page := must(o.desk.Calls(ctx, o.viewer("admin"), "", "", 0))(t)
		if len(page.Calls) != len(ids) {
			t.Fatalf("%d calls, want %d", len(page.Calls), len(ids))
		}
		if _, err := os.Stat(spool); !os.IsNotExist(err) {
			t.Fatal("the spool is left: ", err)
		}
		if w := o.health.Warnings(); len(w) != 0 {
			t.Fatalf("warnings %+v", w)
		}
		if missed := must(o.desk.Missed(ctx, o.viewer("alice")))(t); len(missed) != 3 {
			t.Fatalf("%d missed", len(missed))
		}
		rows := must(o.store.Store.(*sqlite.Store).Rows(ctx))(t)
		if rows["calls"] != 3 || rows["missed"] != 3 {
			t.Fatalf("rows %v", rows)
		}

		// The store goes away and comes back while the node runs.
		o.store.down.Store(true)
		l := o.callIn()
		l.over(call.Cancelled)
		o.store.down.Store(false)
		time.Sleep(2 * time.Minute)
		if page := must(o.desk.Calls(ctx, o.viewer("admin"), "", "", 0))(t); len(page.Calls) != 4 || len(o.health.Warnings()) != 0 {
			t.Fatalf("%d calls, warnings %v", len(page.Calls), o.health.Warnings())
		}

		// After a restart the desk knows what it knew, from the store.
		o.stop()
		o.start()
		if missed := must(o.desk.Missed(ctx, o.viewer("alice")))(t); len(missed) != 4 {
			t.Fatalf("%d missed", len(missed))
		}
		feed = must(o.desk.Subscribe(ctx, o.viewer("alice")))(t)
		synctest.Wait()
		l = o.callIn()
		l.dialled()
		if r := next(t, feed, talk.ChangeRinging).Data.(talk.Offered); len(r.Contacts) != talk.MaxContacts {
			t.Fatalf("contacts %+v", r.Contacts)
		}
		l.over(call.Cancelled)
	})
}

func TestRecordThatIsNeverTakenIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		o.store.refuse.Store(true)
		bad := o.callIn()
		bad.over(call.Cancelled)
		o.store.refuse.Store(false)
		good := o.callIn()
		good.over(call.Cancelled)
		page := must(o.desk.Calls(t.Context(), o.viewer("admin"), "", "", 0))(t)
		if len(page.Calls) != 1 || page.Calls[0].ID != good.offer.Call {
			t.Fatalf("%+v", page.Calls)
		}
		data, err := os.ReadFile(filepath.Join(o.dir, "spool", "rejected.jsonl"))
		if err != nil || !strings.Contains(string(data), string(bad.offer.Call)) {
			t.Fatalf("not set aside: %s %v", data, err)
		}
	})
}

func TestSlowConsoleIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		ctx := t.Context()
		slow := must(o.desk.Subscribe(ctx, o.viewer("alice")))(t)
		quick := must(o.desk.Subscribe(ctx, o.viewer("bob")))(t)
		read := 0
		for i := range 2 * talk.FeedSize {
			state := []talk.State{talk.Away, talk.Online}[i%2]
			must(o.desk.SetState(ctx, o.account.ID, "USalice", state))(t)
			synctest.Wait()
			for len(quick.Changes()) > 0 {
				<-quick.Changes()
				read++
			}
		}
		n := 0
		for range slow.Changes() {
			n++
		}
		if n != talk.FeedSize || slow.Reason() != talk.ByeTooSlow {
			t.Fatalf("%d changes, reason %q", n, slow.Reason())
		}
		if read < 2*talk.FeedSize || quick.Reason() != "" {
			t.Fatalf("the quick one got %d, %q", read, quick.Reason())
		}
		slow.Close() // once more does no harm
	})
}

func TestAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		feed := must(o.desk.Subscribe(t.Context(), o.viewer("alice")))(t)
		o.close()
		for range feed.Changes() {
		}
		if feed.Reason() != talk.ByeShutdown {
			t.Fatalf("reason %q", feed.Reason())
		}
		l := o.callIn()
		if in := l.heard(); len(in) != 1 || in[0] != call.Instruction(call.End{Cause: call.Overload}) {
			t.Fatalf("%+v", in)
		}
		l.over(call.Overload)
		_, err := o.desk.Agents(t.Context(), o.account.ID)
		wantKind(t, err, fault.Unavailable)
		_, err = o.desk.Subscribe(t.Context(), o.viewer("alice"))
		wantKind(t, err, fault.Unavailable)
	})
}

func TestRequestsOfPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		ctx := t.Context()
		_, err := o.desk.SetState(ctx, o.account.ID, "USalice", "asleep")
		wantKind(t, err, fault.Invalid)
		_, err = o.desk.SetState(ctx, o.account.ID, "USnobody", talk.Away)
		wantKind(t, err, fault.NotFound)
		_, err = o.desk.Agent(ctx, "ACnobody", "USalice")
		wantKind(t, err, fault.NotFound)
		_, err = o.desk.Calls(ctx, o.viewer("alice"), talk.KindAll, "rubbish", 0)
		wantKind(t, err, fault.Invalid)

		carol := people.User{ID: "UScarol", Account: o.account.ID, Name: "Carol", Identity: "carol", Role: people.Agent}
		if err := o.store.PutUser(ctx, carol); err != nil {
			t.Fatal(err)
		}
		o.line.Name = "Sales"
		if err := o.store.PutLine(ctx, o.line); err != nil {
			t.Fatal(err)
		}
		o.register("alice")
		if err := o.desk.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		agents := must(o.desk.Agents(ctx, o.account.ID))(t)
		if len(agents) != 4 || agents[3].Name != "Carol" {
			t.Fatalf("%+v", agents)
		}
		if lines := must(o.desk.Lines(ctx, o.account.ID))(t); len(lines) != 1 || lines[0].Name != "Sales" || lines[0].AgentsReachable != 1 {
			t.Fatalf("%+v", lines)
		}
	})
}

func TestCallOfAnUnknownAccountEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, t.TempDir())
		defer o.close()
		l := &line{o: o, offer: call.Offer{Call: "CA1", Leg: "CA1", Account: "ACother", From: call.Client("x"), At: time.Now()}}
		l.script = o.desk.Begin(l.offer, l)
		if in := l.heard(); len(in) != 1 || in[0] != call.Instruction(call.End{Cause: call.NotFound}) {
			t.Fatalf("%+v", in)
		}
		l.tell(call.LegAnswered{Leg: "CA1"}, call.Digit{Leg: "CA1", Digit: '1'}, call.RecordEnded{Leg: "CA1"}, call.Held{Leg: "CA1"})
		l.over(call.NotFound)
	})
}

func TestSeedDemo(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	db, err := sqlite.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first := must(talk.SeedDemo(ctx, db, talk.Demo{}))(t)
	rows := must(db.Rows(ctx))(t)
	if len(first.Users) != 3 || rows["users"] != 3 || rows["lines"] != 1 || rows["accounts"] != 1 {
		t.Fatalf("%+v %v", first.Users, rows)
	}
	door := people.NewDoor(db, people.DoorOptions{})
	for _, u := range first.Users {
		got, _, _, err := door.SignIn(ctx, u.Email, u.Password, people.Client{Remote: "192.0.2.1"})
		if err != nil || got.Name != u.Name || got.Role != u.Role || got.Identity != u.Name {
			t.Fatalf("%s: %+v %v", u.Email, got, err)
		}
	}
	if line := must(db.Lines(ctx))(t)[0]; line.Number != talk.DemoNumber || len(line.Agents) != 2 || !line.Voicemail {
		t.Fatalf("%+v", line)
	}
	again := must(talk.SeedDemo(ctx, db, first))(t)
	if again.Users[1] != first.Users[1] {
		t.Fatalf("known passwords were replaced: %+v", again)
	}
	lost := must(talk.SeedDemo(ctx, db, talk.Demo{}))(t)
	if lost.Users[1].Password == first.Users[1].Password {
		t.Fatalf("%+v", lost)
	}
	if after := must(db.Rows(ctx))(t); after["users"] != 3 || after["lines"] != 1 {
		t.Fatalf("seeded twice: %v", after)
	}
}
