package httpapi

import (
	"context"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

// admin returns the caller when it may change the account's settings: a person
// who is an admin, or an API key with that role. fault.Forbidden otherwise.
func admin(ctx context.Context) (caller, error) {
	c := callerOf(ctx)
	switch {
	case c.viewer.Role == people.Admin:
		return c, nil
	case c.user.ID == "":
		return caller{}, fault.New(fault.Forbidden, "This API key may not do this: it takes one with the role admin.")
	}
	return caller{}, fault.New(fault.Forbidden, "Only admins may do this. Ask one of yours.")
}

// actor returns the caller as the audit log names them.
func (c caller) actor() people.Actor {
	if c.user.ID == "" {
		return people.Actor{Kind: people.ByKey, ID: c.key, Name: c.viewer.Name, Remote: c.client.Remote}
	}
	return people.Actor{Kind: people.ByPerson, ID: c.user.ID, Name: c.user.Name, Remote: c.client.Remote}
}
