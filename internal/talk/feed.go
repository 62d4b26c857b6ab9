package talk

import (
	"sync"

	"dialtone/internal/health"
	"dialtone/internal/voice/call"
)

// The names of changes, as docs/api.md names the events of the stream.
const (
	ChangeSnapshot  = "snapshot"  // Snapshot
	ChangeAgent     = "agent"     // Agent
	ChangeLine      = "line"      // Line
	ChangeRinging   = "ringing"   // Offered
	ChangeHeld      = "held"      // HeldChange
	ChangeMissed    = "missed"    // Missed
	ChangeVoicemail = "voicemail" // Voicemail
	ChangeCall      = "call"      // Call
	ChangeWarnings  = "warnings"  // []health.Warning
)

// The reasons for the end of a Feed.
const (
	ByeTooSlow  = "too_slow" // changes were not read in time
	ByeShutdown = "shutdown" // the desk stopped
	ByeClosed   = "closed"   // the subscriber closed it
)

// Change is something that happened on the floor. Data is of the type that the
// constant of its name says and must not be modified.
type Change struct {
	Event string
	Data  any
}

// Snapshot is everything a console needs to begin with.
type Snapshot struct {
	Me                Agent            `json:"me"` // zero for a program
	Lines             []Line           `json:"lines"`
	Agents            []Agent          `json:"agents"`
	Missed            []Missed         `json:"missed"`
	VoicemailsUnheard int              `json:"voicemails_unheard"`
	Warnings          []health.Warning `json:"warnings"`
}

// Offered tells an agent which call the device's incoming one is.
type Offered struct {
	Leg      call.LegID `json:"leg"`
	Call     call.ID    `json:"call"`
	Line     *Line      `json:"line"` // nil for a call from another device
	From     Party      `json:"from"`
	Waited   Seconds    `json:"waited"`
	Contacts []Call     `json:"contacts"` // the last calls with this number, at most MaxContacts, newest first
}

// MaxContacts is how many last calls an offer shows.
const MaxContacts = 3

// HeldChange says that a party of a call was put on hold or taken back.
type HeldChange struct {
	Call call.ID    `json:"call"`
	Leg  call.LegID `json:"leg"` // who pressed hold
	On   bool       `json:"on"`
}

// FeedSize is how many unread changes a Feed holds before it ends as too slow.
const FeedSize = 256

// Feed is one subscriber's stream of changes. The first is a snapshot.
type Feed struct {
	viewer  Viewer
	changes chan Change
	leave   func(*Feed) // asks the desk to end it

	mu     sync.Mutex
	reason string
}

// Changes returns the channel to read from. It is closed when the feed ends; see Reason.
func (f *Feed) Changes() <-chan Change { return f.changes }

// Reason says why the feed ended, "" while it has not.
func (f *Feed) Reason() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason
}

// Close ends the feed; the channel is closed soon after.
func (f *Feed) Close() { f.leave(f) }

// offer adds a change. It returns false when the feed has no room. Only the
// desk's goroutine may call it, and not after end.
func (f *Feed) offer(c Change) bool {
	select {
	case f.changes <- c:
		return true
	default:
		return false
	}
}

// end closes the feed. Only the desk's goroutine may call it, once.
func (f *Feed) end(reason string) {
	f.mu.Lock()
	f.reason = reason
	f.mu.Unlock()
	close(f.changes)
}
