package people

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"dialtone/internal/health"
)

// Recorder writes the audit log. What was done stays done when its line cannot
// be written: a revocation must not fail because a disk is full. The line then
// goes to the process's log as an error, and a health warning stands until a line
// can be written again.
type Recorder struct {
	store  AuditStore
	health *health.Board
	log    *slog.Logger

	mu   sync.Mutex
	lost int // lines since the last that could be written
}

// AuditUnwritten is the health warning of lines that could not be written.
const AuditUnwritten = "audit_unwritten"

// writeWithin bounds how long an act waits for its line.
const writeWithin = 5 * time.Second

// NewRecorder returns what writes to the store. Health and log may be nil.
func NewRecorder(store AuditStore, board *health.Board, log *slog.Logger) *Recorder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Recorder{store: store, health: board, log: log}
}

// Record implements Audit. It gives the line its id and time and takes out what
// looks like a secret. The end of ctx does not stop it.
func (r *Recorder) Record(ctx context.Context, e AuditEntry) {
	e = clean(e)
	if e.ID == "" {
		e.ID = newID("AU")
	}
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	err := r.store.AddAudit(ctx, e)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if r.lost > 0 && r.health != nil {
			r.health.Clear(AuditUnwritten, "")
		}
		r.lost = 0
		return
	}
	r.lost++
	r.log.Error("a line of the audit log could not be written", "error", err, "act", e.Act, "actor", e.Actor, "actor_id", e.ActorID,
		"actor_kind", string(e.ActorKind), "target", e.Target, "detail", e.Detail, "remote", e.Remote)
	if r.health != nil {
		r.health.Raise(health.Warning{
			Code: AuditUnwritten, Severity: health.Degraded,
			Text: "The audit log cannot be written: what is changed now is done, but not on record. The lines are in the node's log. Check the disk and the database.",
		})
	}
}

const (
	// mostDetails and longestText bound a line.
	mostDetails = 20
	longestText = 300
)

// hushed are words in the names of details that nobody may read. It is the last
// of several doors: callers do not hand in secrets.
var hushed = []string{"password", "secret", "bearer", "credential", "cookie", "assertion"}

// tokenLike finds what lets somebody in: the three parts of a JSON Web Token, an
// API key with its secret, and long hexadecimal secrets. Ids have 32 digits.
var tokenLike = regexp.MustCompile(`[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|\bSK[0-9a-f]{32}\.[^\s]+|[0-9a-fA-F]{48,}`)

// clean bounds the line and takes out what looks like a secret.
func clean(e AuditEntry) AuditEntry {
	e.Actor, e.Target, e.Remote = cleanText(e.Actor), cleanText(e.Target), cleanText(e.Remote)
	detail := map[string]string{}
	for name, value := range e.Detail {
		if len(detail) == mostDetails {
			break
		}
		if lower := strings.ToLower(name); !containsAny(lower, hushed) {
			detail[cleanText(name)] = cleanText(value)
		}
	}
	e.Detail = detail
	return e
}

func cleanText(text string) string {
	text = tokenLike.ReplaceAllString(strings.ToValidUTF8(text, "�"), "…")
	if utf8.RuneCountInString(text) > longestText {
		text = string([]rune(text)[:longestText]) + "…"
	}
	return text
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// newID returns prefix and 128 random bits.
func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}

// nowhere is an Audit that forgets.
type nowhere struct{}

func (nowhere) Record(context.Context, AuditEntry) {}
