package talk

import (
	"cmp"
	"slices"
	"strings"
)

// tell publishes what changed about the branch's agents and lines.
func (f *floor) tell(b *branch) {
	for _, a := range b.agents {
		v := a.view()
		if a.shown == nil || !a.shown.same(v) {
			a.shown = &v
			f.publish(b.ID, Change{ChangeAgent, v}, nil)
		}
	}
	for _, l := range b.lines {
		if v := b.view(l); l.shown != v {
			l.shown = v
			f.publish(b.ID, Change{ChangeLine, v}, nil)
		}
	}
}

// same reports whether both show the same.
func (a Agent) same(o Agent) bool {
	x, y := a.Activity, o.Activity
	a.Activity, o.Activity = nil, nil
	return a == o && (x == nil) == (y == nil) && (x == nil || *x == *y)
}

// tellRinging tells the agent whose devices ring which call it is.
func (f *floor) tellRinging(c *liveCall) {
	o := Offered{
		Leg: c.other, Call: c.offer.Call, From: c.from,
		Waited:   SecondsOf(max(0, f.now.Sub(c.offer.At))),
		Contacts: c.branch.contacts.of(c.from.Number),
	}
	if c.line != nil {
		v := c.branch.view(c.line)
		o.Line = &v
	}
	user := c.agent.user.ID
	f.publish(c.branch.ID, Change{ChangeRinging, o}, func(v Viewer) bool { return v.User == user })
}

// publish hands a change to the account's feeds whose viewer may see it (nil:
// all of them). A feed without room ends.
func (f *floor) publish(account string, ch Change, may func(Viewer) bool) {
	for feed := range f.feeds {
		if account != "" && feed.viewer.Account != account || may != nil && !may(feed.viewer) {
			continue
		}
		if !feed.offer(ch) {
			delete(f.feeds, feed)
			feed.end(ByeTooSlow)
			f.meters.slow()
		}
	}
}

// kept publishes a record that the clerk has dealt with.
func (f *floor) kept(e entry) {
	b := f.branches[e.Account]
	if b == nil {
		return
	}
	switch e.Kind {
	case entryCall:
		b.contacts.add(*e.Call)
		f.publish(b.ID, Change{ChangeCall, *e.Call}, func(v Viewer) bool { return b.maySee(v, *e.Call) })
	case entryMissed:
		b.unseen[e.Agent] = append([]Missed{*e.Missed}, b.unseen[e.Agent]...)
		if n := len(b.unseen[e.Agent]); n > MaxPage {
			b.unseen[e.Agent] = b.unseen[e.Agent][:MaxPage]
		}
		f.publish(b.ID, Change{ChangeMissed, *e.Missed}, func(v Viewer) bool { return v.User == e.Agent })
	case entryVoicemail:
		b.unheard[e.Voicemail.Line]++
		f.tellVoicemail(b, *e.Voicemail)
	case entryErase:
	}
}

func (f *floor) tellVoicemail(b *branch, m Voicemail) {
	f.publish(b.ID, Change{ChangeVoicemail, m}, func(v Viewer) bool {
		return slices.Contains(b.linesOf(v), m.Line)
	})
}

// maySee reports whether the viewer sees the call in the history: all of them,
// or their own and those that their lines missed.
func (b *branch) maySee(v Viewer, k Call) bool {
	if v.Role.Leads() || k.Agent != "" && k.Agent == v.User {
		return true
	}
	if slices.ContainsFunc(k.Legs, func(l Leg) bool { return l.Agent == v.User && v.User != "" && l.Status == LegCompleted }) {
		return true
	}
	return k.missed() && slices.Contains(b.linesOf(v), k.Line)
}

// missed reports whether somebody called in and talked to nobody.
func (k Call) missed() bool {
	return k.Direction == "inbound" && k.Line != "" && k.Status != StatusCompleted
}

// subscribe begins a feed with its snapshot.
func (f *floor) subscribe(v Viewer, leave func(*Feed)) *Feed {
	feed := &Feed{viewer: v, changes: make(chan Change, FeedSize), leave: leave}
	feed.offer(Change{ChangeSnapshot, f.snapshot(v)})
	f.feeds[feed] = struct{}{}
	return feed
}

// unsubscribe ends a feed, if it has not ended.
func (f *floor) unsubscribe(feed *Feed, reason string) {
	if _, ok := f.feeds[feed]; ok {
		delete(f.feeds, feed)
		feed.end(reason)
	}
}

// snapshot returns what the viewer's console begins with.
func (f *floor) snapshot(v Viewer) Snapshot {
	s := Snapshot{Lines: []Line{}, Agents: []Agent{}, Missed: []Missed{}, Warnings: f.warnings()}
	b := f.branches[v.Account]
	if b == nil {
		return s
	}
	s.Lines, s.Agents = b.lineViews(), b.agentViews()
	if a := b.agents[v.User]; a != nil {
		s.Me = a.view()
	}
	s.Missed = append(s.Missed, b.unseen[v.User]...)
	for _, id := range b.linesOf(v) {
		s.VoicemailsUnheard += b.unheard[id]
	}
	return s
}

func (b *branch) lineViews() []Line {
	views := make([]Line, 0, len(b.lines))
	for _, l := range b.lines {
		views = append(views, b.view(l))
	}
	return views
}

func (b *branch) agentViews() []Agent {
	views := make([]Agent, 0, len(b.agents))
	for _, a := range b.agents {
		views = append(views, a.view())
	}
	slices.SortFunc(views, func(x, y Agent) int {
		return cmp.Or(strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)), strings.Compare(x.ID, y.ID))
	})
	return views
}
