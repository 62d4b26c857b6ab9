package talk

import (
	"slices"

	"dialtone/internal/talk/people"
)

// Viewer is who asks: a signed-in user, or a program with an API key.
type Viewer struct {
	Account string
	User    string // id; "" for a program
	Name    string // shown to others, e.g. as who heard a voicemail
	Role    people.Role
}

// ViewerOf returns the viewer that the user is.
func ViewerOf(u people.User) Viewer {
	return Viewer{Account: u.Account, User: u.ID, Name: u.Name, Role: u.Role}
}

// ProgramViewer returns the viewer that a program is, by the name and the role of its API key.
func ProgramViewer(account, name string, role people.Role) Viewer {
	return Viewer{Account: account, Name: name, Role: role}
}

// serves reports whether the line's calls go to the user.
func (l LineSettings) serves(user string, role people.Role) bool {
	if len(l.Agents) == 0 {
		return role == people.Agent || role == people.TeamLead
	}
	return slices.Contains(l.Agents, user)
}
