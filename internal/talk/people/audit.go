package people

import (
	"context"
	"time"
)

// ActorKind says what kind of actor did something.
type ActorKind string

// The kinds of actors.
const (
	ByPerson  ActorKind = "person"  // with a session
	ByKey     ActorKind = "key"     // a program with an API key
	ByCommand ActorKind = "command" // somebody at the machine, with the dialtone command
	BySystem  ActorKind = "system"  // the node itself, or somebody not signed in
)

// The acts that are written down. What comes before the point is what they are
// about, so that a prefix picks them.
const (
	SessionBegin    = "session.begin"
	SessionRefused  = "session.refused"
	SessionEnd      = "session.end"
	PasswordChange  = "password.change"
	PasswordReset   = "password.reset"
	PasskeyAdd      = "passkey.add"
	PasskeyRemove   = "passkey.remove"
	UserAdd         = "user.add"
	UserChange      = "user.change"
	KeyAdd          = "key.add"
	KeyChange       = "key.change"
	KeyRotate       = "key.rotate"
	KeyRevoke       = "key.revoke"
	AuthTokenRotate = "auth_token.rotate"
	WayChange       = "way.change"
	IssuerAdd       = "issuer.add"
	IssuerRemove    = "issuer.remove"
	RevocationAdd   = "revocation.add"
	RevocationLift  = "revocation.lift"
)

// Actor is who does something, and from where.
type Actor struct {
	Kind   ActorKind
	ID     string // US… or SK…; "" for others
	Name   string // as shown to people
	Remote string // address without port; "" at the machine itself
}

// AuditEntry is one line of the audit log: who did what to what. It never holds
// a secret, a password or a token.
type AuditEntry struct {
	ID        string            `json:"id"` // AU + 32 hex; made when it is recorded
	At        time.Time         `json:"at"` // zero: when it is recorded
	Account   string            `json:"-"`
	Actor     string            `json:"actor"`    // name, as it was then
	ActorID   string            `json:"actor_id"` // US… or SK…; "" for others
	ActorKind ActorKind         `json:"actor_kind" enum:"person,key,command,system"`
	Act       string            `json:"act"`
	Target    string            `json:"target"` // what it was done to: a name or an id
	Detail    map[string]string `json:"detail"`
	Remote    string            `json:"remote"` // address it came from; "" for none
}

// Entry returns the line for what the actor did.
func (a Actor) Entry(account, act, target string, detail map[string]string) AuditEntry {
	return AuditEntry{
		Account: account, Actor: a.Name, ActorID: a.ID, ActorKind: a.Kind,
		Act: act, Target: target, Detail: detail, Remote: a.Remote,
	}
}

// Audit takes lines of the audit log. What was done stays done when its line
// cannot be written, which is Audit's own to tell of.
type Audit interface {
	Record(ctx context.Context, e AuditEntry)
}

// AuditFilter picks lines; an empty field picks all.
type AuditFilter struct {
	Account string
	Act     string // an act, or the beginning of some: "key."
	Actor   string // name, whatever the case, or id
	Cursor  string
	Limit   int // 0: talk.DefaultPage, at most talk.MaxPage
}

// AuditPage is a page of lines, newest first.
type AuditPage struct {
	Entries []AuditEntry
	Next    string // cursor of the next page; "" for the last
}

// AuditStore keeps the audit log. There is no way to change or remove a line.
type AuditStore interface {
	// AddAudit adds a line; fault.Conflict when its id is taken.
	AddAudit(ctx context.Context, e AuditEntry) error
	// AuditPage returns lines of an account, newest first; fault.Invalid for a cursor of another's.
	AuditPage(ctx context.Context, f AuditFilter) (AuditPage, error)
}
