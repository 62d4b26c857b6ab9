// Package people knows who works in an account: users and their roles,
// passwords and sessions.
//
// Everything here is safe for concurrent use. It never keeps a password or a
// session's secret, only what they can be checked with, and never says whether
// a name exists to somebody who cannot sign in as it.
package people

import "time"

// Role says what a user may do.
type Role string

// The roles, the most powerful first.
const (
	Admin    Role = "admin"     // settings, and everything below
	TeamLead Role = "team_lead" // sees all calls, and everything below
	Agent    Role = "agent"     // takes and makes calls
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r == Admin || r == TeamLead || r == Agent }

// Leads reports whether the role sees the whole account.
func (r Role) Leads() bool { return r == Admin || r == TeamLead }

// User is a person who can sign in.
type User struct {
	ID       string    `json:"id"` // US + 32 hex
	Account  string    `json:"-"`
	Name     string    `json:"name"` // unique within the account, whatever the case
	Email    string    `json:"email"`
	Role     Role      `json:"role"`
	Identity string    `json:"identity"` // of the user's devices; unique within the account
	Password string    `json:"-"`        // PHC string of Hash; "" for a user who cannot sign in by password
	Disabled bool      `json:"-"`        // cannot sign in, sessions are void
	Created  time.Time `json:"-"`
}
