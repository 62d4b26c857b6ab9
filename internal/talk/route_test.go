package talk

import (
	"reflect"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

func TestOfferNext(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ago := func(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	everybody := func(string) bool { return true }
	only := func(ids ...string) func(string) bool {
		return func(id string) bool {
			for _, i := range ids {
				if i == id {
					return true
				}
			}
			return false
		}
	}
	agent := func(id string, idle int) prospect {
		return prospect{id: id, state: Online, reachable: true, idle: ago(idle), since: ago(60)}
	}
	but := func(p prospect, change func(*prospect)) prospect {
		change(&p)
		return p
	}
	for _, test := range []struct {
		name    string
		waiting []waiter
		agents  []prospect
		want    []match
	}{
		{"nobody waits", nil, []prospect{agent("a", 1)}, nil},
		{"nobody is there", []waiter{{call: "1", serves: everybody}}, nil, nil},
		{
			"the longest idle",
			[]waiter{{call: "1", serves: everybody}},
			[]prospect{agent("a", 1), agent("b", 9), agent("c", 5)},
			[]match{{"1", "b"}},
		},
		{
			"each caller their own agent, by arrival",
			[]waiter{{call: "1", serves: everybody}, {call: "2", serves: everybody}, {call: "3", serves: everybody}},
			[]prospect{agent("a", 1), agent("b", 9)},
			[]match{{"1", "b"}, {"2", "a"}},
		},
		{
			"a fresh sign-in goes first, the earlier of two",
			[]waiter{{call: "1", serves: everybody}, {call: "2", serves: everybody}},
			[]prospect{
				agent("a", 50),
				but(agent("b", 0), func(p *prospect) { p.idle, p.since = time.Time{}, ago(1) }),
				but(agent("c", 0), func(p *prospect) { p.idle, p.since = time.Time{}, ago(2) }),
			},
			[]match{{"1", "c"}, {"2", "b"}},
		},
		{
			"only who is online, reachable and idle",
			[]waiter{{call: "1", serves: everybody}},
			[]prospect{
				but(agent("a", 9), func(p *prospect) { p.state = Away }),
				but(agent("b", 9), func(p *prospect) { p.state = TransfersOnly }),
				but(agent("c", 9), func(p *prospect) { p.state = Offline }),
				but(agent("d", 9), func(p *prospect) { p.reachable = false }),
				but(agent("e", 9), func(p *prospect) { p.busy = true }),
				agent("f", 1),
			},
			[]match{{"1", "f"}},
		},
		{
			"only who serves the line; the next caller is not held up",
			[]waiter{{call: "1", serves: only("z")}, {call: "2", serves: only("b")}},
			[]prospect{agent("a", 9), agent("b", 1)},
			[]match{{"2", "b"}},
		},
		{
			"never twice",
			[]waiter{{call: "1", serves: everybody, tried: map[string]bool{"b": true}}},
			[]prospect{agent("a", 1), agent("b", 9)},
			[]match{{"1", "a"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := offerNext(test.waiting, test.agents); !reflect.DeepEqual(got, test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestOutlook(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	w := waiter{serves: func(id string) bool { return id != "stranger" }, tried: map[string]bool{"tried": true}}
	busy := prospect{id: "a", state: Online, reachable: true, busy: true}
	for _, test := range []struct {
		name   string
		agents []prospect
		want   outlook
	}{
		{"nobody", nil, hopeless},
		{"busy", []prospect{busy}, hopeful},
		{"away", []prospect{{id: "a", state: Away, reachable: true}}, hopeful},
		{"offline", []prospect{{id: "a", state: Offline, reachable: true}}, hopeless},
		{"transfers only", []prospect{{id: "a", state: TransfersOnly, reachable: true}}, hopeless},
		{"another line's", []prospect{{id: "stranger", state: Online, reachable: true}}, hopeless},
		{"has missed it", []prospect{{id: "tried", state: Online, reachable: true}}, hopeless},
		{"never seen", []prospect{{id: "a", state: Online}}, hopeless},
		{"lost a moment ago", []prospect{{id: "a", state: Online, lost: now.Add(-Grace + 1)}}, returning},
		{"lost too long ago", []prospect{{id: "a", state: Online, lost: now.Add(-Grace)}}, hopeless},
		{"lost, and another busy", []prospect{{id: "b", state: Online, lost: now}, busy}, hopeful},
	} {
		if got := outlookOf(w, test.agents, now); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestEveryCauseHasItsMeaning(t *testing.T) {
	refusals := map[call.EndCause]refusal{
		call.Declined:     {LegAgentDeclined, WhyDeclined, false},
		call.Completed:    {LegAgentDeclined, WhyDeclined, false},
		call.NoAnswer:     {LegAgentMissed, WhyMissed, false},
		call.Busy:         {LegAgentBusy, "", false},
		call.Unreachable:  {LegAgentUnreachable, WhyUnreachable, true},
		call.SignalLost:   {LegAgentUnreachable, WhyUnreachable, true},
		call.NotFound:     {LegAgentUnreachable, WhyUnreachable, true},
		call.MediaFailed:  {LegAgentUnreachable, WhyUnreachable, false},
		call.MediaLost:    {LegAgentUnreachable, WhyUnreachable, false},
		call.NoCodec:      {LegAgentUnreachable, WhyUnreachable, false},
		call.Cancelled:    {LegCancelled, "", false},
		call.Replaced:     {LegCancelled, "", false},
		call.Forbidden:    {LegFailed, "", false},
		call.CarrierError: {LegFailed, "", false},
		call.CarrierDown:  {LegFailed, "", false},
		call.TimeLimit:    {LegFailed, "", false},
		call.Overload:     {LegFailed, "", false},
		call.Shutdown:     {LegFailed, "", false},
		call.Failed:       {LegFailed, "", false},
	}
	for _, cause := range call.Causes {
		want, ok := refusals[cause]
		if !ok {
			t.Fatalf("cause %s is not judged here", cause)
		}
		if got := refusalOf(cause); got != want {
			t.Errorf("%s: got %+v, want %+v", cause, got, want)
		}
	}
	for _, test := range []struct {
		talked, message, gone, inbound bool
		cause                          call.EndCause
		want                           Status
	}{
		{talked: true, inbound: true, cause: call.MediaLost, want: StatusCompleted},
		{message: true, gone: true, inbound: true, cause: call.Completed, want: StatusVoicemail},
		{gone: true, inbound: true, cause: call.Cancelled, want: StatusAbandoned},
		{gone: true, inbound: true, cause: call.Completed, want: StatusAbandoned},
		{inbound: true, cause: call.Completed, want: StatusNotAnswered},
		{inbound: true, cause: call.NotFound, want: StatusFailed},
		{inbound: true, cause: call.Shutdown, want: StatusFailed},
		{gone: true, cause: call.Cancelled, want: StatusNotAnswered},
		{cause: call.Busy, want: StatusNotAnswered},
		{cause: call.Unreachable, want: StatusNotAnswered},
		{cause: call.Forbidden, want: StatusFailed},
		{cause: call.CarrierDown, want: StatusFailed},
		{gone: true, cause: call.SignalLost, want: StatusFailed},
	} {
		if got := statusOf(test.talked, test.message, test.gone, test.inbound, test.cause); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
}

func TestRingingThatNobodyEndsIsEnded(t *testing.T) {
	w := newWorld(t, nil)
	w.deaf = true
	w.register("alice")
	c := w.callIn(support)
	w.run(DefaultRing + ringSlack + time.Second)
	want(t, "heard", c.heard[c.caller], []string{PromptVoicemail})
	want(t, "alice", w.missed("alice"), []Why{WhyUnreachable})
	out := w.dial("bob", "To", "+15550102")
	w.run(DialTimeout + ringSlack + time.Second)
	want(t, "cause", out.ended().Cause, call.NoAnswer)
}
