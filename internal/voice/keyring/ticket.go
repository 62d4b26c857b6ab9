package keyring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"dialtone/internal/fault"
	"dialtone/internal/voice/token"
)

// maxApp bounds an application's id, AP and 32 digits.
const maxApp = 34

// IssueTicket makes a ticket; its text is nowhere but in the answer. Whether
// tickets are open to the account is not asked.
func (r *Ring) IssueTicket(ctx context.Context, g TicketGrant) (text string, t Ticket, err error) {
	if g.TTL == 0 {
		g.TTL = DefaultTicketTTL
	}
	if g.Session == 0 {
		g.Session = token.DefaultTTL
	}
	switch {
	case g.Identity == "" || utf8.RuneCountInString(g.Identity) > token.MaxIdentity || !shownText(g.Identity):
		return "", Ticket{}, fault.New(fault.Invalid, "An identity has 1 to %d characters, without control characters.", token.MaxIdentity)
	case g.TTL < 0 || g.TTL > MaxTicketTTL:
		return "", Ticket{}, fault.New(fault.Invalid, "A ticket can be used for at most %d minutes.", int(MaxTicketTTL.Minutes()))
	case g.Session < 0 || g.Session > token.MaxTTL:
		return "", Ticket{}, fault.New(fault.Invalid, "A ticket lets a device in for at most %d hours.", int(token.MaxTTL.Hours()))
	case g.OutgoingApp != "" && (!strings.HasPrefix(g.OutgoingApp, "AP") || len(g.OutgoingApp) != maxApp):
		return "", Ticket{}, fault.New(fault.Invalid, "An application is AP and 32 hexadecimal digits.")
	}
	text = string(NewSecret())
	now := r.now().UTC()
	t = Ticket{
		Hash: hashOf(text), ID: newID("TK"), Account: g.Account, Identity: g.Identity, Incoming: g.Incoming,
		OutgoingApp: g.OutgoingApp, KeyID: g.KeyID, Issued: now, Expires: now.Add(g.TTL), Session: g.Session,
	}
	if err := r.store.PutTicket(ctx, t); err != nil {
		return "", Ticket{}, err
	}
	r.metrics.tickets.WithLabelValues("issued").Inc()
	return text, t, nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text)) // of 256 random bits: nothing can be guessed from it
	return hex.EncodeToString(sum[:])
}

// Redeem implements token.Tickets.
func (r *Ring) Redeem(ctx context.Context, ticket string, now time.Time) (token.Claims, token.Reason, error) {
	hash := hashOf(ticket)
	outcome := func(o string) { r.metrics.tickets.WithLabelValues(o).Inc() }
	if _, known := r.tickets.get(hash, now); known { // as a device that reconnects shows it, again and again
		outcome("used")
		return token.Claims{}, token.ReasonTicketUsed, nil
	}
	t, redeemed, err := r.store.RedeemTicket(ctx, hash, now)
	switch {
	case err != nil && fault.KindOf(err) == fault.NotFound:
		outcome("unknown")
		return token.Claims{}, token.ReasonTicketUnknown, nil
	case err != nil:
		outcome("failed")
		return token.Claims{}, "", err
	case redeemed:
		outcome("redeemed")
		r.tickets.put(t, now)
		return t.claims(), "", nil
	case t.Redeemed.IsZero():
		outcome("expired")
		return token.Claims{}, token.ReasonTicketExpired, nil
	}
	outcome("used")
	r.tickets.put(t, now)
	return token.Claims{}, token.ReasonTicketUsed, nil
}

// Look implements token.Tickets. A ticket that was redeemed counts until its
// session ends.
func (r *Ring) Look(ctx context.Context, ticket string, now time.Time) (token.Claims, token.Reason, error) {
	hash := hashOf(ticket)
	t, known := r.tickets.get(hash, now)
	if !known {
		var err error
		t, err = r.store.TicketByHash(ctx, hash)
		switch {
		case err != nil && fault.KindOf(err) == fault.NotFound:
			return token.Claims{}, token.ReasonTicketUnknown, nil
		case err != nil:
			return token.Claims{}, "", err
		}
		r.tickets.put(t, now)
	}
	if !now.Before(t.ends()) {
		return token.Claims{}, token.ReasonTicketExpired, nil
	}
	return t.claims(), "", nil
}

// ends returns when the ticket can let nobody in any more.
func (t Ticket) ends() time.Time {
	if t.Redeemed.IsZero() {
		return t.Expires
	}
	return t.Redeemed.Add(t.Session)
}

func (t Ticket) claims() token.Claims {
	return token.Claims{
		Kind: token.Ticket, Account: t.Account, KeyID: t.KeyID, ID: t.ID, Identity: t.Identity, Issued: t.Issued, Expires: t.ends(),
		Redeemed: t.Redeemed, Incoming: t.Incoming, Outgoing: t.OutgoingApp != "", OutgoingApp: t.OutgoingApp,
	}
}

// shown keeps the tickets that let somebody in, until their session ends, so
// that what their devices report is judged without the store. When there are
// too many, the others are looked up.
type shown struct {
	mu  sync.Mutex
	all map[string]Ticket // by hash
}

const maxShownTickets = 100_000

func (s *shown) init() { s.all = map[string]Ticket{} }

func (s *shown) get(hash string, now time.Time) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.all[hash]
	return t, ok && now.Before(t.ends())
}

func (s *shown) put(t Ticket, now time.Time) {
	if t.Redeemed.IsZero() || !now.Before(t.ends()) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) < maxShownTickets {
		s.all[t.Hash] = t
	}
}

func (s *shown) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, t := range s.all {
		if !now.Before(t.ends()) {
			delete(s.all, hash)
		}
	}
}
