package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk/people"
)

// Member is somebody of the account as admins see them.
type Member struct {
	people.User
	Disabled bool      `json:"disabled"`
	Passkeys int       `json:"passkeys" doc:"how many they have"`
	SSO      bool      `json:"sso" doc:"a company's sign-in is bound to them"`
	Created  time.Time `json:"created_at,omitzero"`
	Seen     time.Time `json:"last_seen_at,omitzero" doc:"last use of a session, to some minutes"`
}

type (
	userPath struct {
		ID string `path:"id" maxLength:"40"`
	}
	usersAnswer struct {
		Body struct {
			Users []Member `json:"users"`
		}
	}
	userAnswer struct{ Body Member }
	newUser    struct {
		Body struct {
			Name     string      `json:"name" minLength:"1" maxLength:"320"`
			Email    string      `json:"email,omitempty" maxLength:"254"`
			Role     people.Role `json:"role" enum:"admin,team_lead,agent"`
			Identity string      `json:"identity,omitempty" maxLength:"484" doc:"name of the person's devices in tokens; empty: made of the name"`
		}
	}
	userChange struct {
		ID   string `path:"id" maxLength:"40"`
		Body struct {
			Name     *string      `json:"name,omitempty" minLength:"1" maxLength:"320"`
			Email    *string      `json:"email,omitempty" maxLength:"254"`
			Role     *people.Role `json:"role,omitempty" enum:"admin,team_lead,agent"`
			Disabled *bool        `json:"disabled,omitempty"`
		}
	}
	addedUser struct {
		Body struct {
			User     Member `json:"user"`
			Password string `json:"password" doc:"shown only this once"`
		}
	}
	passwordAnswer struct {
		Body struct {
			Password string `json:"password" doc:"shown only this once"`
		}
	}
)

func (s *Server) userOperations(api huma.API) {
	tags := []string{"users"}
	huma.Register(api, huma.Operation{
		OperationID: "users", Method: http.MethodGet, Path: "/api/v1/users", Summary: "The account's people",
		Tags: tags, Security: byBoth, Errors: []int{401, 403},
	}, s.users)
	huma.Register(api, huma.Operation{
		OperationID: "add-user", Method: http.MethodPost, Path: "/api/v1/users", Summary: "Add somebody", DefaultStatus: http.StatusCreated,
		Tags: tags, Security: byBoth, Errors: []int{401, 403, 409, 422},
	}, s.addUser)
	huma.Register(api, huma.Operation{
		OperationID: "change-user", Method: http.MethodPatch, Path: "/api/v1/users/{id}", Summary: "Change or disable somebody",
		Tags: tags, Security: byBoth, Errors: []int{401, 403, 404, 409, 422},
	}, s.changeUser)
	huma.Register(api, huma.Operation{
		OperationID: "reset-password", Method: http.MethodPost, Path: "/api/v1/users/{id}/password", DefaultStatus: http.StatusCreated,
		Summary: "Give somebody a new password; their sessions and devices end", Tags: tags, Security: byBoth, Errors: []int{401, 403, 404},
	}, s.resetPassword)
	huma.Register(api, huma.Operation{
		OperationID: "end-sessions", Method: http.MethodDelete, Path: "/api/v1/users/{id}/sessions", DefaultStatus: http.StatusNoContent,
		Summary: "Sign somebody out everywhere", Tags: tags, Security: byBoth, Errors: []int{401, 403, 404},
	}, s.endSessions)
	huma.Register(api, huma.Operation{
		OperationID: "remove-passkeys", Method: http.MethodDelete, Path: "/api/v1/users/{id}/passkeys", DefaultStatus: http.StatusNoContent,
		Summary: "Remove all passkeys of somebody", Tags: tags, Security: byBoth, Errors: []int{401, 403, 404},
	}, s.removePasskeys)
}

func listed(l people.Listing) Member {
	return Member{User: l.User, Disabled: l.Disabled, Passkeys: l.Passkeys, SSO: l.SSO, Created: l.Created, Seen: l.Seen}
}

func (s *Server) users(ctx context.Context, _ *struct{}) (*usersAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	all, err := s.o.Staff.List(ctx, c.viewer.Account)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &usersAnswer{}
	out.Body.Users = make([]Member, len(all))
	for i, l := range all {
		out.Body.Users[i] = listed(l)
	}
	return out, nil
}

func (s *Server) addUser(ctx context.Context, in *newUser) (*addedUser, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	u, password, err := s.o.Staff.Add(ctx, c.actor(), c.viewer.Account, people.NewUser{
		Name: in.Body.Name, Email: in.Body.Email, Role: in.Body.Role, Identity: in.Body.Identity,
	})
	if err != nil {
		return nil, s.failed(err)
	}
	out := &addedUser{}
	out.Body.User, out.Body.Password = listed(people.Listing{User: u}), password
	return out, nil
}

func (s *Server) changeUser(ctx context.Context, in *userChange) (*userAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	account := c.viewer.Account
	u, err := s.o.Staff.Change(ctx, c.actor(), account, in.ID, people.Change{
		Name: in.Body.Name, Email: in.Body.Email, Role: in.Body.Role, Disabled: in.Body.Disabled,
	})
	if in.Body.Disabled != nil && *in.Body.Disabled && s.isDisabled(ctx, account, in.ID) {
		s.endStreamsOf(in.ID, "", byeSignedOut) // also when devices could not be ended
	}
	if err != nil {
		return nil, s.failed(err)
	}
	if in.Body.Role != nil {
		s.endStreamsOf(in.ID, "", byeChanged) // what a stream tells depends on the role
	}
	all, err := s.o.Staff.List(ctx, account)
	if err != nil {
		return nil, s.failed(err)
	}
	for _, l := range all {
		if l.ID == u.ID {
			return &userAnswer{Body: listed(l)}, nil
		}
	}
	return &userAnswer{Body: listed(people.Listing{User: u})}, nil
}

func (s *Server) isDisabled(ctx context.Context, account, id string) bool {
	u, err := s.o.Staff.User(ctx, account, id)
	return err == nil && u.Disabled
}

func (s *Server) resetPassword(ctx context.Context, in *userPath) (*passwordAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	password, err := s.o.Staff.ResetPassword(ctx, c.actor(), c.viewer.Account, in.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	s.endStreamsOf(in.ID, "", byeSignedOut)
	out := &passwordAnswer{}
	out.Body.Password = password
	return out, nil
}

func (s *Server) endSessions(ctx context.Context, in *userPath) (*struct{}, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	if err := s.o.Staff.SignOut(ctx, c.actor(), c.viewer.Account, in.ID); err != nil {
		return nil, s.failed(err)
	}
	s.endStreamsOf(in.ID, "", byeSignedOut)
	return nil, nil
}

func (s *Server) removePasskeys(ctx context.Context, in *userPath) (*struct{}, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.nothing(s.o.Staff.RemovePasskeys(ctx, c.actor(), c.viewer.Account, in.ID))
}
