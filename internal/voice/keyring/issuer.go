package keyring

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"dialtone/internal/fault"
	"dialtone/internal/health"
	"dialtone/internal/voice/token"
)

const (
	maxIssuers    = 100 // of an account
	maxURL        = 500 // bytes
	fetchEvery    = 10 * time.Minute
	fetchAtMost   = 30 * time.Second // between two fetches of one set, whoever asks for them
	issuerProblem = "issuer_unreadable"
)

// issuers holds what was read from issuers' key sets. A set that cannot be read
// again stays as it was.
type issuers struct {
	client *http.Client
	wanted chan string // ids of issuers of whose keys one was not found; full: a later token asks again

	mu   sync.Mutex                        // of those who replace sets
	sets atomic.Pointer[map[string]keySet] // by issuer id
}

// keySet is what is known of an issuer's keys. It does not change.
type keySet struct {
	keys    map[string]*token.Key // by kid
	text    []byte                // what they were read from
	fetched time.Time             // zero: never
	tried   time.Time
	problem string
}

func (i *issuers) init(client *http.Client) {
	i.client, i.wanted = client, make(chan string, 16)
	if client == nil {
		i.client = publicClient()
	}
	i.sets.Store(&map[string]keySet{})
}

// recall takes the key sets that were read before the last stop, so that an
// issuer that is away now does not shut its devices out.
func (i *issuers) recall(all []Issuer) {
	sets := map[string]keySet{}
	for _, is := range all {
		if keys, problem := parseKeySet(is.KeySet, is.Account); problem == "" {
			sets[is.ID] = keySet{keys: keys, text: is.KeySet, fetched: is.Fetched}
		}
	}
	i.sets.Store(&sets)
}

func (i *issuers) set(id string) keySet { return (*i.sets.Load())[id] }

func (i *issuers) put(id string, s keySet) {
	i.mu.Lock()
	defer i.mu.Unlock()
	old := *i.sets.Load()
	next := make(map[string]keySet, len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[id] = s
	i.sets.Store(&next)
}

// retain forgets the sets of issuers that are gone.
func (i *issuers) retain(ids map[string]struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := map[string]keySet{}
	for id, s := range *i.sets.Load() {
		if _, there := ids[id]; there {
			next[id] = s
		}
	}
	i.sets.Store(&next)
}

// IssuerKey implements token.Keys. A kid that is not known lets the issuer's key
// set be read again soon; this token is refused.
func (r *Ring) IssuerKey(issuer, kid string) (key *token.Key, audience string, why token.Reason) {
	i := r.state.Load().issuers[issuer]
	if i == nil {
		return nil, "", token.ReasonUnknownIssuer
	}
	if key = r.issuers.set(i.ID).keys[kid]; key != nil {
		return key, i.Audience, ""
	}
	select {
	case r.issuers.wanted <- i.ID:
	default:
	}
	return nil, i.Audience, token.ReasonUnknownKey
}

// Issuers returns the account's issuers with the state of their key sets, the
// oldest first.
func (r *Ring) Issuers(account string) []Issuer {
	all := []Issuer{}
	for _, i := range r.state.Load().contents.Issuers {
		if i.Account != account {
			continue
		}
		set := r.issuers.set(i.ID)
		i.Fetched, i.Keys, i.Problem, i.KeySet = set.fetched, len(set.keys), set.problem, nil
		all = append(all, i)
	}
	return all
}

// AddIssuer lets the account trust an issuer with the name, URL, key set and
// audience of i, after reading the key set; fault.Invalid says why that could
// not be done. One issuer is trusted by one account; fault.Conflict otherwise.
func (r *Ring) AddIssuer(ctx context.Context, i Issuer) (Issuer, error) {
	i = Issuer{
		ID: newID("IS"), Account: i.Account, Name: strings.TrimSpace(i.Name), URL: i.URL, JWKS: i.JWKS, Audience: i.Audience,
		Created: r.now().UTC(),
	}
	if err := i.check(); err != nil {
		return Issuer{}, err
	}
	known := r.state.Load().contents.Issuers
	if slices.ContainsFunc(known, func(k Issuer) bool { return k.URL == i.URL }) {
		return Issuer{}, fault.New(fault.Conflict, "This issuer is trusted already.")
	}
	if n := len(slices.DeleteFunc(slices.Clone(known), func(k Issuer) bool { return k.Account != i.Account })); n >= maxIssuers {
		return Issuer{}, fault.New(fault.TooMany, "An account trusts at most %d issuers.", maxIssuers)
	}
	set := r.fetch(ctx, i)
	if set.problem != "" {
		return Issuer{}, fault.New(fault.Invalid, "The issuer's key set %s.", set.problem)
	}
	if err := r.store.PutIssuer(ctx, i); err != nil {
		return Issuer{}, err
	}
	r.issuers.put(i.ID, set)
	r.keepKeySet(ctx, i, set)
	i.Fetched, i.Keys = set.fetched, len(set.keys)
	return i, r.settle(ctx)
}

// keepKeySet writes a key set down for the next start.
func (r *Ring) keepKeySet(ctx context.Context, i Issuer, set keySet) {
	if err := r.store.KeepKeySet(ctx, i.ID, set.text, set.fetched); err != nil && ctx.Err() == nil && fault.KindOf(err) != fault.NotFound {
		r.log.Warn("an issuer's key set could not be kept for the next start", "issuer", i.ID, "error", err)
	}
}

func (i Issuer) check() error {
	if i.Name == "" || utf8.RuneCountInString(i.Name) > maxName || !shownText(i.Name) {
		return fault.New(fault.Invalid, "A name has 1 to %d characters, without control characters.", maxName)
	}
	if i.Audience == "" || len(i.Audience) > maxURL || !shownText(i.Audience) {
		return fault.New(fault.Invalid, `The audience is what the issuer's tokens name as "aud", at most %d bytes.`, maxURL)
	}
	for _, address := range []string{i.URL, i.JWKS} {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(address) > maxURL || !shownText(address) {
			return fault.New(fault.Invalid, "The addresses of an issuer and of its key set begin with https:// and have at most %d bytes.", maxURL)
		}
	}
	return nil
}

// RemoveIssuer ends the account's trust in an issuer: its tokens are refused
// from now on; devices that they let in stay.
func (r *Ring) RemoveIssuer(ctx context.Context, account, id string) error {
	if err := r.store.DeleteIssuer(ctx, account, id); err != nil {
		return err
	}
	return r.settle(ctx)
}

// readIssuers reads key sets again from time to time, and when a key was not found.
func (r *Ring) readIssuers(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wanted := map[string]struct{}{}
	for {
		r.readDue(ctx, wanted)
		select {
		case <-ctx.Done():
			return
		case id := <-r.issuers.wanted:
			wanted[id] = struct{}{}
		case <-tick.C:
		}
	}
}

func (r *Ring) readDue(ctx context.Context, wanted map[string]struct{}) {
	ids := map[string]struct{}{}
	for _, i := range r.state.Load().contents.Issuers {
		ids[i.ID] = struct{}{}
		set, now := r.issuers.set(i.ID), r.now()
		_, want := wanted[i.ID]
		since := now.Sub(set.tried)
		if !set.tried.IsZero() && since < fetchEvery && (!want && set.problem == "" || since < fetchAtMost) {
			continue
		}
		delete(wanted, i.ID)
		next := r.fetch(ctx, i)
		if ctx.Err() != nil {
			return
		}
		if next.problem == "" {
			r.health.Clear(issuerProblem, i.Name)
			if !bytes.Equal(next.text, set.text) {
				r.keepKeySet(ctx, i, next)
			}
		} else {
			if set.problem == "" {
				r.log.Warn("an issuer's key set cannot be read; its keys of before stay in use", "issuer", i.ID, "problem", next.problem)
			}
			next.keys, next.text, next.fetched = set.keys, set.text, set.fetched
			r.health.Raise(health.Warning{
				Code: issuerProblem, Subject: i.Name, Severity: health.Degraded,
				Text: "The key set of the token issuer " + i.Name + " " + next.problem + ". Its keys of before stay in use; it is read again every 30 seconds. Check the address and the certificate there, and that this node reaches it.",
			})
		}
		r.issuers.put(i.ID, next)
	}
	for id := range wanted {
		if _, there := ids[id]; !there {
			delete(wanted, id)
		}
	}
	if len(*r.issuers.sets.Load()) > len(ids) {
		r.issuers.retain(ids)
	}
}
