// Package cursor writes down where a page of rows ended, so that the next page
// can begin there: rows are ordered by time, newest first, and id.
package cursor

import (
	"encoding/base64"
	"strconv"
	"strings"

	"dialtone/internal/fault"
)

// Position is the last row of a page.
type Position struct {
	Micros int64 // of its time, since 1970
	ID     string
}

// String returns the position as an API's client passes it back; opaque to it.
func (p Position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Micros, 36) + " " + p.ID))
}

// Parse reads what String wrote; ok is false for "", the first page.
// fault.Invalid for anything else.
func Parse(text string) (p Position, ok bool, err error) {
	if text == "" {
		return Position{}, false, nil
	}
	invalid := fault.New(fault.Invalid, "This cursor was not made by this API. Begin without one.")
	if len(text) > 200 {
		return Position{}, false, invalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Position{}, false, invalid
	}
	micros, id, found := strings.Cut(string(raw), " ")
	n, err := strconv.ParseInt(micros, 36, 64)
	if err != nil || !found || id == "" {
		return Position{}, false, invalid
	}
	return Position{Micros: n, ID: id}, true, nil
}
