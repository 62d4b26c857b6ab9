package ways

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/device"
	"dialtone/e2e/node"
	"dialtone/internal/event"
	"dialtone/internal/httpapi"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/token"
	"dialtone/internal/voice/token/wrong"
)

var kinds = []token.Kind{token.Ticket, token.Access, token.Capability}

// soon is the longest that an agent may be out of reach.
const soon = 5 * time.Second

func TestWays(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name string
		test func()
	}{
		{"every name by every way", w.everyNameByEveryWay},
		{"an issuer of one's own", w.ownIssuer},
		{"the console falls back", w.console},
		{"a page falls back", w.page},
		{"a page of version 1 falls back", w.pageV1},
		{"a revoked device is gone", w.revoked},
		{"a rotated key drops nobody", w.rotated},
		{"a closed way", w.closedWay},
		{"refusals", w.refusals},
		{"no token is written down", w.noTokens},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			end := w.begin(t)
			defer end()
			c.test()
		}) {
			return
		}
	}
}

// everyNameByEveryWay registers names of each length modulo 3 with what their
// tokens' Base64 makes '-', '_' and nothing of, and calls each.
func (w *world) everyNameByEveryWay() {
	var names []string
	for _, special := range []string{"?", "~", "é", "日本"} {
		for pad := range 3 {
			names = append(names, "who"+strings.Repeat("x", pad)+special)
		}
	}
	seen := map[int]int{}
	for _, name := range names {
		seen[len(name)%3]++
	}
	if len(seen) != 3 {
		w.t.Fatalf("the names' lengths modulo 3: %v", seen)
	}
	from := w.caller()
	v2 := w.open("v2.html")
	defer v2.Close()
	began := time.Now()
	for k, kind := range kinds {
		for i, name := range names {
			since := w.mark()
			if got := v2.Text("app.start(arg)", w.token(kind, name)); got != name {
				w.t.Errorf("%s of %q registered as %q", kind, name, got)
			}
			e := await(w, since, "the registration of "+name, func(e event.Registration) bool {
				return e.Outcome == event.Registered && e.Identity == name
			})
			if e.Token.Kind != string(kind) || e.Token.IdentityMod3 != len(name)%3 || e.Token.IdentityNonASCII == (name[3:] == strings.Trim(name[3:], "é日本")) {
				w.t.Errorf("%s of %q: %+v", kind, name, e.Token)
			}
			if i%len(kinds) == k { // every name once, every way four times
				w.calls(from, v2, name)
			}
			v2.Eval("app.stop()", nil)
		}
	}
	w.t.Logf("%d registered, a third of them rang, %v each", len(kinds)*len(names), (time.Since(began) / time.Duration(len(kinds)*len(names))).Round(time.Millisecond))
	v1 := w.open("v1.html")
	defer v1.Close()
	for i, kind := range kinds {
		name := names[3*i+i]
		v1.Eval("app.show(arg)", nil, w.token(kind, name))
		v1.Until("app.ready()")
		w.calls(from, v1, name)
		v1.Eval("app.stop()", nil)
	}
}

func (w *world) ownIssuer() {
	var made httpapi.Issuer
	w.ask("POST", "/issuers", map[string]string{"name": "sign-in", "url": w.issuer.url, "jwks": w.issuer.url + "/keys", "audience": audience}, 201, &made)
	if made.Keys != 1 {
		w.t.Errorf("the issuer: %+v", made)
	}
	const name = "Zoë ~ O'Neil?"
	text := w.issuer.token(w.t, name, "AP"+strings.TrimPrefix(w.account, "AC"))
	w.shown = append(w.shown, text)
	p := w.open("v2.html")
	defer p.Close()
	if got := p.Text("app.start(arg)", text); got != name {
		w.t.Errorf("registered as %q", got)
	}
	w.calls(w.caller(), p, name)
	p.Eval("app.stop()", nil)
	w.ask("DELETE", "/issuers/"+made.ID, nil, 204, nil)
	p.Eval("app.show(arg)", nil, text)
	p.Until("app.saw('error 20151')")
	p.Eval("app.stop()", nil)
}

// console: a person signs in and works; what is broken is broken behind them.
func (w *world) console() {
	// Broken from the start.
	w.breaker.use(wrong.Tickets(w.breaker.real))
	since, began := w.mark(), time.Now()
	p := w.browser.Open("https://localhost:" + w.wire.port + "/")
	defer p.Close()
	p.Fill(testid("sign-in-name"), "alice")
	p.Fill(testid("sign-in-password"), w.node.Password(w.t, "alice"))
	p.Click(testid("sign-in-submit"))
	changed := w.saved(since, "alice", token.Ticket, token.Access)
	w.t.Logf("signed in with tickets broken: registered %v after the page was opened, %v after the refusal", changed.At.Sub(began).Round(time.Millisecond), changed.After.Round(time.Millisecond))
	if changed.After > soon || changed.Reason != string(token.ReasonTicketUnknown) || changed.Code == 0 {
		w.t.Errorf("changed: %+v", changed)
	}
	w.rings(p)

	// Mended, it comes back by a ticket in its own time; what counts is that each
	// break while it is registered goes by unnoticed.
	for _, c := range []struct {
		failed, saved token.Kind
		double        sdk.Verifier
	}{
		{token.Access, token.Ticket, wrong.Access(w.breaker.real)},
		{token.Ticket, token.Access, wrong.Tickets(w.breaker.real)},
		{token.Access, token.Ticket, wrong.Access(w.breaker.real)},
		{token.Ticket, token.Access, storeless{w.breaker.real}},
	} {
		w.breaker.use(c.double)
		since, began = w.mark(), time.Now()
		w.wire.cut()
		e := w.back(since, "alice")
		if e.Token.Kind != string(c.saved) || e.At.Sub(began) > soon {
			w.t.Errorf("with %s broken it is back by %s after %v", c.failed, e.Token.Kind, e.At.Sub(began))
		}
		changed := w.saved(since, "alice", c.failed, c.saved)
		w.t.Logf("%s broken while registered, line cut: registered by %s after %v, %v after the refusal", c.failed, c.saved, e.At.Sub(began).Round(time.Millisecond), changed.After.Round(time.Millisecond))
		w.rings(p)
	}
	if errs := p.Errors(); len(errs) > 0 {
		w.t.Errorf("uncaught: %v", errs)
	}
}

// saved waits for the event that says which way failed and which saved the device.
func (w *world) saved(since int, name string, failed, by token.Kind) event.WayChanged {
	w.t.Helper()
	e := await(w, since, fmt.Sprintf("%s fell back from %s to %s", name, failed, by), func(e event.WayChanged) bool {
		return e.Identity == name && e.Failed == string(failed) && e.Saved == string(by)
	})
	if e.Account != w.account || e.After <= 0 || e.Token.Kind != string(failed) || e.Device.SDK == "" {
		w.t.Errorf("the event: %+v", e)
	}
	if n := w.counted(fmt.Sprintf(`dialtone_sdk_fallbacks_total{failed=%q,saved=%q}`, failed, by)); n == 0 {
		w.t.Errorf("the fallback from %s to %s is not counted", failed, by)
	}
	return e
}

// back waits until the name is registered anew.
func (w *world) back(since int, name string) event.Registration {
	w.t.Helper()
	return await(w, since, name+" is registered again", func(e event.Registration) bool {
		return e.Outcome == event.Registered && e.Identity == name
	})
}

func testid(id string) string { return `[data-testid="` + id + `"]` }

// rings shows that a call to the line reaches the agent at the console.
func (w *world) rings(p *browser.Page) {
	w.t.Helper()
	node.Until(w.t, patient, "alice is free", func() bool {
		var all struct{ Agents []talk.Agent }
		w.ask("GET", "/agents", nil, 200, &all)
		return slices.ContainsFunc(all.Agents, func(a talk.Agent) bool { return a.Name == "alice" && a.Device.Reachable && a.Activity == nil })
	})
	done := make(chan error, 1)
	go func() {
		_, err := w.node.Carrier().CallIn(w.t.Context(), carrier.CallOptions{To: talk.DemoNumber, From: "+15550123", Tone: 440, For: time.Minute})
		done <- err
	}()
	p.See(testid("answer"))
	p.Click(testid("answer"))
	p.See(testid("timer"))
	p.Click(testid("hangup"))
	p.See(testid("dial-input"))
	if err := <-done; err != nil {
		w.t.Errorf("call in: %v", err)
	}
	w.node.Idle(w.t)
}

// page: an app with the helper, one verifier broken after the other.
func (w *world) page() {
	from := w.caller()
	p := w.open("v2.html")
	defer p.Close()
	for _, c := range []struct {
		failed, saved token.Kind
		double        sdk.Verifier
	}{
		{token.Ticket, token.Access, wrong.Tickets(w.breaker.real)},
		{token.Access, token.Ticket, wrong.Access(w.breaker.real)},
		{token.Capability, token.Ticket, wrong.Capability(w.breaker.real)},
		{token.Ticket, token.Access, storeless{w.breaker.real}},
	} {
		name := "app of " + string(c.failed)
		ways := []token.Kind{c.failed, c.saved}
		// Broken from the start.
		w.breaker.use(c.double)
		since, began := w.mark(), time.Now()
		p.Eval("app.keep(...arg)", nil, []any{ways, name})
		first := w.back(since, name)
		w.saved(since, name, c.failed, c.saved)
		p.Until("app.ready()")
		w.calls(from, p, name)

		// Mended and begun anew, then broken and cut.
		w.breaker.mend()
		p.Eval("app.stop()", nil)
		since = w.mark()
		p.Eval("app.keep(...arg)", nil, []any{ways, name})
		if e := w.back(since, name); e.Token.Kind != string(c.failed) {
			w.t.Errorf("whole, the first way is %s", e.Token.Kind)
		}
		w.breaker.use(c.double)
		since, cut := w.mark(), time.Now()
		w.wire.cut()
		again := w.back(since, name)
		w.saved(since, name, c.failed, c.saved)
		p.Until("app.ready()")
		p.Eval("app.events = []; return true", nil)
		w.calls(from, p, name)
		w.t.Logf("%s broken: by %s after %v from the start, %v after the line was cut", c.failed, c.saved,
			first.At.Sub(began).Round(time.Millisecond), again.At.Sub(cut).Round(time.Millisecond))
		if first.At.Sub(began) > soon || again.At.Sub(cut) > soon {
			w.t.Error("too late")
		}
		w.breaker.mend()
		p.Eval("app.stop()", nil)
	}

	// The outage itself: a decoder that does not know '-' and '_'.
	outage := wrong.Doubles()[slices.IndexFunc(wrong.Doubles(), func(d wrong.Double) bool { return d.Name == "standard alphabet" })]
	text := w.token(token.Access, "??>~~~")
	if !strings.ContainsAny(text, "-_") {
		w.t.Fatalf("a token of %q without '-' and '_'", "??>~~~")
	}
	w.breaker.use(outage.Wrap(w.breaker.real))
	w.fix(token.Access, text)
	since := w.mark()
	p.Eval("app.keep(...arg)", nil, []any{[]token.Kind{token.Access, token.Ticket}, "??>~~~"})
	w.back(since, "??>~~~")
	e := w.saved(since, "??>~~~", token.Access, token.Ticket)
	if !e.Token.PayloadURLSafe && !e.Token.SignatureURLSafe {
		w.t.Errorf("the event does not show what the tokens have in common: %+v", e.Token)
	}
	w.t.Logf("as in the outage: %s failed (%s, %d), %s saved after %v", e.Failed, e.Reason, e.Code, e.Saved, e.After.Round(time.Millisecond))
	w.fix(token.Access, "")
	w.breaker.mend()
	p.Eval("app.stop()", nil)

	// A token that never comes; one that cannot even be had; a renewal.
	w.fix(token.Ticket, "never")
	since = w.mark()
	began := time.Now()
	p.Eval("app.keep(...arg)", nil, []any{[]token.Kind{token.Ticket, token.Access}, "waits"})
	if e := w.back(since, "waits"); e.Token.Kind != string(token.Access) || e.At.Sub(began) > soon {
		w.t.Errorf("registered by %s after %v", e.Token.Kind, e.At.Sub(began))
	}
	p.Eval("app.stop()", nil)
	w.fix(token.Ticket, "none")
	since = w.mark()
	p.Eval("app.keep(...arg)", nil, []any{[]token.Kind{token.Ticket, token.Access}, "no tickets"})
	if e := w.back(since, "no tickets"); e.Token.Kind != string(token.Access) {
		w.t.Errorf("registered by %s", e.Token.Kind)
	}
	p.Until("app.saw('failed 0 0') && app.saw('asked access after 0 0')")
	w.fix(token.Ticket, "")
	p.Until("app.ready()")
	since = w.mark()
	p.Eval("app.device.emit('tokenWillExpire', app.device); return true", nil)
	await(w, since, "a renewal by the first way", func(e event.Registration) bool {
		return e.Outcome == event.Connected && e.Identity == "no tickets" && e.Token.Kind == string(token.Ticket)
	})
	// A used ticket after a lost connection is replaced by another.
	p.Eval("app.events = []; return true", nil)
	since = w.mark()
	w.wire.cut()
	if e := w.back(since, "no tickets"); e.Token.Kind != string(token.Ticket) {
		w.t.Errorf("back by %s", e.Token.Kind)
	}
	p.Until("app.saw('error 20104') && app.count('asked access') === 0")
	p.Eval("app.stop()", nil)
	if errs := p.Errors(); len(errs) > 0 {
		w.t.Errorf("uncaught: %v", errs)
	}
}

func (w *world) pageV1() {
	from := w.caller()
	p := w.open("v1.html")
	defer p.Close()
	w.breaker.use(wrong.Capability(w.breaker.real))
	since := w.mark()
	p.Eval("app.keep(...arg)", nil, []any{[]token.Kind{token.Capability, token.Access}, "old app"})
	w.back(since, "old app")
	e := w.saved(since, "old app", token.Capability, token.Access)
	p.Until("app.ready()")
	w.calls(from, p, "old app")
	w.breaker.use(wrong.Access(w.breaker.real))
	p.Eval("app.events = []; return true", nil)
	since, cut := w.mark(), time.Now()
	w.wire.cut()
	again := w.back(since, "old app")
	w.saved(since, "old app", token.Access, token.Capability)
	p.Until("app.ready()")
	w.calls(from, p, "old app")
	w.t.Logf("version 1: %v after the refusal, %v after the line was cut", e.After.Round(time.Millisecond), again.At.Sub(cut).Round(time.Millisecond))
	if again.At.Sub(cut) > soon {
		w.t.Error("too late")
	}
	p.Eval("app.stop()", nil)
}

// revoked: a key, a token and a name; each device is gone within a second.
func (w *world) revoked() {
	p := w.open("v2.html")
	defer p.Close()
	show := func(name string) (text, id, keyID string) {
		// A key each: the vendor's token id is the key's and the second's.
		key := w.key(name)
		signer := w.signer
		signer.KeyID, signer.Secret = key.Key.ID, []byte(key.Secret)
		text, err := w.make(token.Access, name, signer, time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		if got := p.Text("app.start(arg)", text); got != name {
			w.t.Fatalf("registered as %q", got)
		}
		return text, token.Inspect(text).Claims.ID, key.Key.ID
	}
	for _, c := range []string{"identity", "token", "key"} {
		name := "revoked by " + c
		text, id, key := show(name)
		value := map[string]string{"identity": name, "token": id, "key": key}[c]
		began := time.Now()
		var made struct{ Devices int }
		w.ask("POST", "/revocations", map[string]string{"of": c, "value": value, "reason": "test"}, 201, &made)
		p.Until("app.saw('unregistered')")
		var at float64
		p.Eval("app.when('unregistered')", &at)
		took := time.UnixMicro(int64(at * 1000)).Sub(began)
		w.t.Logf("revoked %s: the device is gone after %v", c, took.Round(100*time.Microsecond))
		if made.Devices != 1 || took > time.Second || w.node.Open().Devices.Registered != 0 {
			w.t.Errorf("revoked %s: %d devices, %v, %d registered", c, made.Devices, took, w.node.Open().Devices.Registered)
		}
		p.Until("app.saw('error 20151')")
		p.Eval("app.stop()", nil)
		p.Eval("app.show(arg)", nil, text)
		p.Until("app.saw('error 20151')")
		p.Eval("app.stop()", nil)
	}
}

// rotated: devices of the old key stay, and tokens of both are accepted.
func (w *world) rotated() {
	p := w.open("v2.html")
	defer p.Close()
	key := w.key("rotates")
	signer := w.signer
	signer.KeyID, signer.Secret = key.Key.ID, []byte(key.Secret)
	old, err := w.make(token.Access, "stays", signer, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Text("app.start(arg)", old)
	since := w.mark()
	var next httpapi.NewKey
	w.ask("POST", "/keys/"+key.Key.ID+"/rotate", map[string]int{"overlap": 3600}, 201, &next)
	signer.KeyID, signer.Secret = next.Key.ID, []byte(next.Secret)
	fresh, err := w.make(token.Access, "stays", signer, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Eval("app.device.updateToken(arg)", nil, fresh)
	await(w, since, "a token of the new key", func(e event.Registration) bool {
		return e.Outcome == event.Connected && e.Token.KeyID == next.Key.ID
	})
	p.Eval("app.device.updateToken(arg)", nil, old)
	await(w, since, "a token of the old key", func(e event.Registration) bool {
		return e.Outcome == event.Connected && e.Token.KeyID == key.Key.ID
	})
	w.calls(w.caller(), p, "stays")
	for _, e := range happened[event.Registration](w, since) {
		if e.Identity == "stays" && e.Outcome != event.Connected {
			w.t.Errorf("rotation was noticed: %+v", e)
		}
	}
	p.Until("app.count('registered') === 1 && !app.saw('unregistered')")
	var audit struct {
		Entries []struct {
			Actor, Target string
			Detail        map[string]string
		}
	}
	w.ask("GET", "/audit?act=key.rotate", nil, 200, &audit)
	if len(audit.Entries) == 0 || audit.Entries[0].Target != key.Key.ID || audit.Entries[0].Detail["successor"] != next.Key.ID || audit.Entries[0].Actor == "" {
		w.t.Errorf("the audit log: %+v", audit)
	}
	p.Eval("app.stop()", nil)
}

func (w *world) closedWay() {
	p := w.open("v1.html")
	defer p.Close()
	text := w.token(token.Capability, "forgotten?")
	p.Eval("app.show(arg)", nil, text)
	p.Until("app.ready()")
	w.ask("PUT", "/ways/capability", map[string]bool{"open": false}, 200, nil)
	defer w.ask("PUT", "/ways/capability", map[string]bool{"open": true}, 200, nil)
	p.Until("app.ready()") // who is in stays
	p.Eval("app.stop()", nil)
	since := w.mark()
	p.Eval("app.show(arg)", nil, text)
	p.Until("app.saw('error 31201')")
	e := await(w, since, "the refusal", func(e event.Registration) bool { return e.Outcome == event.Refused })
	if e.Reason != string(token.ReasonWayClosed) || e.Code != 31201 || e.Token.Kind != string(token.Capability) {
		w.t.Errorf("refused: %+v", e)
	}
	p.Eval("app.stop()", nil)
	var report httpapi.Uses
	node.Until(w.t, patient, "the report names who still uses the closed way", func() bool {
		w.ask("GET", "/ways/capability/uses?days=1", nil, 200, &report)
		return slices.ContainsFunc(report.Uses, func(u httpapi.Use) bool {
			return u.Identity == "forgotten?" && u.Origin == w.site && strings.HasPrefix(u.SDK, "1.15") && strings.HasPrefix(u.Key, "AT") && u.Count > 0
		})
	})
	w.ask("PUT", "/ways/access", map[string]bool{"open": false}, 200, nil)
	w.ask("PUT", "/ways/ticket", map[string]bool{"open": false}, 409, nil)
	w.ask("PUT", "/ways/access", map[string]bool{"open": true}, 200, nil)
}

// refusals: each has a code of the SDK's, a counter and an event with features.
func (w *world) refusals() {
	stranger := token.Signer{Account: w.account, KeyID: "SK" + strings.Repeat("0", 32), Secret: []byte("s"), AuthToken: []byte("another")}
	made := func(kind token.Kind, signer token.Signer, ttl time.Duration) string {
		text, err := w.make(kind, "refused ~", signer, ttl)
		if err != nil {
			w.t.Fatal(err)
		}
		return text
	}
	used := w.token(token.Ticket, "refused ~")
	if code := w.shows(used); code != 0 {
		w.t.Fatalf("a ticket: %d", code)
	}
	short := made(token.Access, w.signer, time.Second)
	node.Until(w.t, patient, "the token expires", func() bool { return !token.Inspect(short).Claims.Expires.After(time.Now()) })
	good := w.token(token.Access, "refused ~")
	for _, c := range []struct {
		text   string
		code   int
		reason token.Reason
		way    string
	}{
		{"nonsense", 31204, token.ReasonSegments, "unknown"},
		{good[:len(good)-4] + "AAAA", 31204, token.ReasonSignatureMismatch, "access"},
		{good + "=", 31204, token.ReasonPadding, "access"},
		{short, 31205, token.ReasonExpired, "access"},
		{made(token.Access, stranger, time.Hour), 31201, token.ReasonUnknownKey, "access"},
		{made(token.Capability, stranger, time.Hour), 31204, token.ReasonSignatureMismatch, "capability"},
		{used, 31205, token.ReasonTicketUsed, "ticket"},
		{strings.Repeat("0f", 32), 31204, token.ReasonTicketUnknown, "ticket"},
	} {
		w.shown = append(w.shown, c.text)
		series := fmt.Sprintf(`dialtone_sdk_registrations_total{outcome="refused",reason=%q,way=%q}`, c.reason, c.way)
		since, before := w.mark(), w.counted(series)
		if code := w.shows(c.text); code != c.code {
			w.t.Errorf("%s: code %d", c.reason, code)
		}
		e := await(w, since, "the refusal "+string(c.reason), func(e event.Registration) bool { return e.Outcome == event.Refused })
		if e.Reason != string(c.reason) || e.Code != c.code || e.Token.Kind != c.way || e.Token.Size != len(c.text) {
			w.t.Errorf("%s: %+v", c.reason, e)
		}
		if n := w.counted(series) - before; n != 1 {
			w.t.Errorf("%s is counted %v times", series, n)
		}
	}
}

// shows lets a device show a token and returns the code that it was refused with.
func (w *world) shows(text string) int {
	w.t.Helper()
	d, err := device.Open(w.t.Context(), device.Options{URL: "wss://" + w.node.Addr().HTTPS + "/signal", Token: text})
	var refused *device.Error
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case err != nil:
		w.t.Fatal(err)
	}
	d.Close()
	return 0
}

// noTokens looks for every token of this test in all that was told of them.
func (w *world) noTokens() {
	w.mu.Lock()
	defer w.mu.Unlock()
	told, err := json.Marshal(w.events)
	if err != nil {
		w.t.Fatal(err)
	}
	places := map[string]string{"event": string(told), "log": w.log.String()}
	if len(w.shown) < 50 || len(told) < 10000 || len(places["log"]) < 10000 {
		w.t.Fatalf("%d tokens, %d bytes of events, %d of the log", len(w.shown), len(told), len(places["log"]))
	}
	for _, text := range w.shown {
		parts := strings.Split(text, ".")
		for _, part := range append(parts[1:], text) {
			for place, all := range places {
				if len(part) >= 32 && strings.Contains(all, part) {
					w.t.Errorf("a token is in the %s: %.12s…", place, part)
				}
			}
		}
	}
	w.t.Logf("none of %d tokens in %d events and %d KB of log", len(w.shown), len(w.events), len(places["log"])>>10)
}
