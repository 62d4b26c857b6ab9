package talk

import (
	"context"
	"maps"
	"slices"

	"dialtone/internal/talk/people"
)

// setup is what the store says about who and what there is.
type setup struct {
	accounts []Account
	users    []people.User
	lines    []LineSettings
}

func load(ctx context.Context, s Store) (setup, error) {
	var u setup
	var err error
	if u.accounts, err = s.Accounts(ctx); err != nil {
		return setup{}, err
	}
	if u.users, err = s.Users(ctx); err != nil {
		return setup{}, err
	}
	u.lines, err = s.Lines(ctx)
	return u, err
}

// configure brings the floor in line with the setup. Who is in a call stays in
// it; a line or user that is gone takes no new calls.
func (f *floor) configure(u setup) {
	known := map[string]bool{}
	for _, a := range u.accounts {
		known[a.ID] = true
		b := f.branches[a.ID]
		if b == nil {
			b = &branch{
				agents: map[string]*agent{}, contacts: newContacts(),
				unseen: map[string][]Missed{}, unheard: map[string]int{},
			}
			f.branches[a.ID] = b
		}
		b.Account = a
		b.setUsers(u.users)
		b.setLines(u.lines)
		f.touch(b)
	}
	for id, b := range f.branches {
		if !known[id] {
			b.setUsers(nil)
			b.setLines(nil)
			f.touch(b)
		}
	}
}

func (b *branch) setUsers(users []people.User) {
	before := b.agents
	b.agents, b.byIdentity = map[string]*agent{}, map[string]*agent{}
	for _, u := range users {
		if u.Account != b.ID || u.Disabled {
			continue
		}
		a := before[u.ID]
		if a == nil || a.user.Identity != u.Identity {
			a = &agent{state: Offline, connections: map[string]struct{}{}}
		}
		a.user = u
		b.agents[u.ID] = a
		if u.Identity != "" {
			b.byIdentity[u.Identity] = a
		}
	}
}

func (b *branch) setLines(settings []LineSettings) {
	before := map[string]*line{}
	for _, l := range b.lines {
		before[l.ID] = l
	}
	b.lines, b.byNumber = nil, map[string]*line{}
	for _, s := range settings {
		if s.Account != b.ID {
			continue
		}
		l := before[s.ID]
		if l == nil {
			l = &line{}
		}
		l.LineSettings = s
		l.team = map[string]bool{}
		for id, a := range b.agents {
			l.team[id] = s.serves(id, a.user.Role)
		}
		b.lines = append(b.lines, l)
		b.byNumber[s.Number] = l
	}
}

// history is what the floor remembers of the records.
type history struct {
	calls   []Call // newest first
	unseen  []Missed
	unheard map[string]map[string]int // by account and line
}

// contactsWarm is how many of an account's last calls are read at the start.
const contactsWarm = 1000

func loadHistory(ctx context.Context, s Store, u setup) (history, error) {
	h := history{unheard: map[string]map[string]int{}}
	for _, a := range u.accounts {
		filter := CallFilter{Account: a.ID, Limit: MaxPage}
		for read := 0; read < contactsWarm; read += MaxPage {
			page, err := s.Calls(ctx, filter)
			if err != nil {
				return history{}, err
			}
			h.calls = append(h.calls, page.Calls...)
			if filter.Cursor = page.Next; page.Next == "" {
				break
			}
		}
		unseen, err := s.Unseen(ctx, a.ID, "", 10*MaxPage)
		if err != nil {
			return history{}, err
		}
		h.unseen = append(h.unseen, unseen...)
		if h.unheard[a.ID], err = s.Unheard(ctx, a.ID); err != nil {
			return history{}, err
		}
	}
	return h, nil
}

// remember fills the floor's memory at the start.
func (f *floor) remember(h history) {
	for _, k := range slices.Backward(h.calls) {
		if b := f.branches[k.Account]; b != nil {
			b.contacts.add(k)
		}
	}
	for _, m := range h.unseen {
		if b := f.branches[m.Account]; b != nil && len(b.unseen[m.Agent]) < MaxPage {
			b.unseen[m.Agent] = append(b.unseen[m.Agent], m)
		}
	}
	for account, counts := range h.unheard {
		if b := f.branches[account]; b != nil {
			b.unheard = maps.Clone(counts)
			if b.unheard == nil {
				b.unheard = map[string]int{}
			}
		}
	}
}

// unknownTo returns the entries that wait for the store and are not in it yet,
// each once.
func unknownTo(ctx context.Context, s Store, waiting []entry) []entry {
	var unknown []entry
	seen := map[string]bool{}
	for _, e := range waiting {
		var id string
		kept := false
		switch {
		case e.Kind == entryCall && e.Call != nil:
			id = string(e.Call.ID)
			_, err := s.Call(ctx, e.Account, e.Call.ID)
			kept = err == nil
		case e.Kind == entryVoicemail && e.Voicemail != nil:
			id = e.Voicemail.ID
			_, err := s.Voicemail(ctx, e.Account, id)
			kept = err == nil
		case e.Kind == entryMissed && e.Missed != nil:
			id = e.Missed.ID
			unseen, err := s.Unseen(ctx, e.Account, e.Agent, MaxPage)
			kept = err == nil && slices.ContainsFunc(unseen, func(m Missed) bool { return m.ID == id })
		}
		if id != "" && !kept && !seen[id] {
			seen[id] = true
			unknown = append(unknown, e)
		}
	}
	return unknown
}
