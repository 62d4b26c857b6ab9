package people

import (
	"container/list"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
)

// Bounds of the ceremonies that are open at once. A sign-in page may open one
// whenever it is shown, and a whole office may come from one network.
const (
	ceremonyLength = 5 * time.Minute
	mostCeremonies = 20_000
	mostOfNetwork  = 500
)

// ceremony is a passkey's registration or sign-in that was begun.
type ceremony struct {
	id      string // its challenge
	user    string // who registers; "" for a sign-in
	site    Site
	session webauthn.SessionData
	ends    time.Time

	network string
	all, of *list.Element // its places in the two queues
}

// ceremonies holds what was begun until it is finished, once, or has ended. When
// there are too many the oldest goes, first of all of the same network.
type ceremonies struct {
	mu        sync.Mutex
	byID      map[string]*ceremony
	all       *list.List // of *ceremony, oldest first
	ofNetwork map[string]*list.List
}

func newCeremonies() *ceremonies {
	return &ceremonies{byID: map[string]*ceremony{}, all: list.New(), ofNetwork: map[string]*list.List{}}
}

// begin keeps the ceremony and gives it its id.
func (c *ceremonies) begin(now time.Time, remote string, one ceremony) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for first := c.all.Front(); first != nil && !now.Before(first.Value.(*ceremony).ends); first = c.all.Front() {
		c.removeLocked(first.Value.(*ceremony))
	}
	one.id, one.ends, one.network = one.session.Challenge, now.Add(ceremonyLength), network(remote)
	same := c.ofNetwork[one.network]
	switch {
	case same != nil && same.Len() >= mostOfNetwork:
		c.removeLocked(same.Front().Value.(*ceremony))
	case c.all.Len() >= mostCeremonies:
		c.removeLocked(c.all.Front().Value.(*ceremony))
	}
	if same = c.ofNetwork[one.network]; same == nil {
		same = list.New()
		c.ofNetwork[one.network] = same
	}
	one.all, one.of = c.all.PushBack(&one), same.PushBack(&one)
	c.byID[one.id] = &one
	return one.id
}

// take returns the ceremony and forgets it; ok is false when there is none, or
// it took too long.
func (c *ceremonies) take(now time.Time, id string) (one ceremony, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byID[id]
	if found == nil {
		return ceremony{}, false
	}
	c.removeLocked(found)
	return *found, now.Before(found.ends)
}

func (c *ceremonies) removeLocked(one *ceremony) {
	delete(c.byID, one.id)
	c.all.Remove(one.all)
	same := c.ofNetwork[one.network]
	if same.Remove(one.of); same.Len() == 0 {
		delete(c.ofNetwork, one.network)
	}
}
