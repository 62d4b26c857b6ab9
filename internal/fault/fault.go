// Package fault says what kind of failure an error is, so that each edge
// (HTTP, SIP, the device protocol) can answer with one mapping table.
//
// A fault's message is written for the person or program that asked; the
// wrapped cause is for the log alone. All functions are safe for concurrent use.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind decides how an edge answers.
type Kind int

// The kinds, from the caller's mistake to ours.
const (
	Internal        Kind = iota // we failed; nothing the caller can do
	Invalid                     // the request cannot be understood or breaks a rule
	Unauthenticated             // who is asking is not known
	Forbidden                   // known, but not allowed
	NotFound                    // no such thing, or not visible to the caller
	Conflict                    // the state does not allow it now
	TooMany                     // a rate or capacity limit
	Unavailable                 // something we need is away; trying again may help
)

var names = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "too_many", "unavailable"}

// String returns the kind's name as APIs and logs print it.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(names) {
		return names[Internal]
	}
	return names[k]
}

// Error is a failure with a kind and a message that may be shown to whoever asked.
type Error struct {
	Kind    Kind
	Message string // a sentence without secrets: what happened and what to do
	Cause   error  // for the log; never shown
}

// Error implements error with the message and, if any, the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return strings.TrimSuffix(e.Message, ".") + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New returns an error of the kind with a formatted message. To keep a cause,
// use Wrap: what New formats is shown to whoever asked.
func New(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the kind whose message hides the cause.
func Wrap(k Kind, cause error, message string) error {
	return &Error{Kind: k, Message: message, Cause: cause}
}

// KindOf returns the kind of the outermost fault in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Message returns what may be shown of err: the outermost fault's message, or
// a neutral sentence when err carries none.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e.Message
	}
	return "Something went wrong on our side."
}
