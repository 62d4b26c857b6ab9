package talk

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// Account is a company with its own people, lines and records.
type Account struct {
	ID       string    `json:"id"` // AC + 32 hex
	Name     string    `json:"name"`
	TimeZone string    `json:"time_zone"` // IANA name
	Country  string    `json:"country"`   // ISO 3166 alpha-2: how national numbers are read
	Created  time.Time `json:"created_at,omitzero"`
}

// LineSettings is what is kept of a line: a phone number and how its calls are treated.
type LineSettings struct {
	ID      string `json:"id"` // PN + 32 hex
	Account string `json:"account"`
	Number  string `json:"number"` // E.164
	Name    string `json:"name"`

	// Agents are the ids of the users who take its calls; empty: all agents and
	// team leads of the account.
	Agents []string `json:"agents"`

	Greeting  string        `json:"greeting"`  // prompt heard before the voicemail's tone; "": PromptVoicemail
	Available string        `json:"available"` // prompt heard before waiting; "": none
	Voicemail bool          `json:"voicemail"` // off: callers nobody can take hear PromptClosed
	Ring      time.Duration `json:"ring"`      // how long one agent's devices ring; 0: 30 s
	MaxWait   time.Duration `json:"max_wait"`  // how long a caller may wait; 0: 10 min
	WrapUp    time.Duration `json:"wrap_up"`   // after a call the agent is not offered the next for so long
	Message   time.Duration `json:"message"`   // longest voicemail; 0: 3 min
	Countries []string      `json:"countries"` // where it may call; empty: left to the carriers' rules
	Created   time.Time     `json:"created_at,omitzero"`
}

// The defaults of LineSettings.
const (
	DefaultRing    = 30 * time.Second
	DefaultMaxWait = 10 * time.Minute
	DefaultMessage = 3 * time.Minute
)

func (l LineSettings) ring() time.Duration    { return orDefault(l.Ring, DefaultRing) }
func (l LineSettings) maxWait() time.Duration { return orDefault(l.MaxWait, DefaultMaxWait) }
func (l LineSettings) message() time.Duration { return orDefault(l.Message, DefaultMessage) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// NewID returns prefix and 32 random hex digits, the form of every id we make
// ourselves: AC account, PN line, US user, SK API key, RE recording and
// voicemail, MC missed call.
func NewID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}
