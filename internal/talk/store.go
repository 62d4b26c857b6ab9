package talk

import (
	"context"

	"dialtone/internal/talk/people"
	"dialtone/internal/voice/call"
)

// Store keeps what must outlive the node. Implementations are safe for
// concurrent use; what is not found is fault.NotFound, what breaks a rule of
// uniqueness fault.Conflict, what cannot be reached fault.Unavailable.
// internal/store/storetest says what each method must do.
type Store interface {
	people.Store
	Directory
	Records
	Close() error
}

// Directory keeps accounts and lines.
type Directory interface {
	Accounts(ctx context.Context) ([]Account, error)
	// PutAccount adds the account or replaces what is kept of it.
	PutAccount(ctx context.Context, a Account) error

	// Lines returns the lines of all accounts in the order they were added.
	Lines(ctx context.Context) ([]LineSettings, error)
	// PutLine adds the line or replaces it, its agents included.
	PutLine(ctx context.Context, l LineSettings) error
	DeleteLine(ctx context.Context, account, id string) error
}

// Records keeps what happened. The Keep methods change nothing when a row with
// the id exists, so that a spool may be replayed.
type Records interface {
	KeepCall(ctx context.Context, c Call) error
	Call(ctx context.Context, account string, id call.ID) (Call, error)
	Calls(ctx context.Context, f CallFilter) (CallPage, error)

	KeepMissed(ctx context.Context, m Missed) error
	// Unseen returns what the agent has not seen, newest first; agent "" means every agent of the account.
	Unseen(ctx context.Context, account, agent string, limit int) ([]Missed, error)
	// SeeMissed marks the agent's notice as seen; repeating it is harmless.
	SeeMissed(ctx context.Context, account, agent, id string) error

	KeepVoicemail(ctx context.Context, v Voicemail) error
	Voicemail(ctx context.Context, account, id string) (Voicemail, error)
	Voicemails(ctx context.Context, f VoicemailFilter) (VoicemailPage, error)
	// HearVoicemail sets or clears who heard it; changed is false when it was so already.
	HearVoicemail(ctx context.Context, account, id string, heard bool, by string) (changed bool, err error)
	DeleteVoicemail(ctx context.Context, account, id string) error
	// Unheard returns how many messages of each line nobody has heard.
	Unheard(ctx context.Context, account string) (map[string]int, error)
}

// Kind selects calls of the history.
type Kind string

// The kinds. A call is missed when it came in and nobody talked to the caller,
// whether a message was left or not.
const (
	KindAll       Kind = "all"
	KindInbound   Kind = "inbound"
	KindOutbound  Kind = "outbound"
	KindMissed    Kind = "missed"
	KindVoicemail Kind = "voicemail"
)

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool {
	switch k {
	case KindAll, KindInbound, KindOutbound, KindMissed, KindVoicemail:
		return true
	}
	return false
}

// CallFilter selects a page of the history.
type CallFilter struct {
	Account string
	Kind    Kind   // "" is KindAll
	Number  string // E.164 of the other party; "": any
	// Agent limits to calls that agent dialled or talked in, and to missed
	// calls of Lines; "": all calls of the account.
	Agent  string
	Lines  []string // with Agent
	Cursor string   // CallPage.Next of the page before; fault.Invalid when it is none
	Limit  int      // 1–200; 0: 50
}

// VoicemailFilter selects a page of messages.
type VoicemailFilter struct {
	Account string
	Lines   []string // nil: all lines; empty: none
	Cursor  string
	Limit   int // 1–200; 0: 50
}

// MaxPage is the most rows of a page, DefaultPage what a Limit of 0 means.
const (
	MaxPage     = 200
	DefaultPage = 50
)
