package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// OwnSession is one of the signed-in person's sessions.
type OwnSession struct {
	ID      string    `json:"id"`
	Current bool      `json:"current"`
	Created time.Time `json:"created_at"`
	Seen    time.Time `json:"seen_at" doc:"last use, to some minutes"`
	Remote  string    `json:"remote" doc:"address it began from"`
	Browser string    `json:"browser"`
}

type (
	newPassword struct {
		Body struct {
			Current string `json:"current" minLength:"1" maxLength:"1024"`
			New     string `json:"new" minLength:"1" maxLength:"1024" doc:"at least 8 characters"`
		}
	}
	ownSessions struct {
		Body struct {
			Sessions []OwnSession `json:"sessions"`
		}
	}
	ownSession struct {
		ID string `path:"id" maxLength:"40"`
	}
)

// ownOperations are about the signed-in person's own password and sessions.
func (s *Server) ownOperations(api huma.API) {
	tags := []string{"me"}
	huma.Register(api, huma.Operation{
		OperationID: "change-password", Method: http.MethodPut, Path: "/api/v1/me/password", DefaultStatus: http.StatusNoContent,
		Summary: "Change one's password; other sessions and one's devices end", Tags: tags, Security: bySession, Errors: []int{401, 403, 409, 422, 429},
	}, s.changePassword)
	huma.Register(api, huma.Operation{
		OperationID: "own-sessions", Method: http.MethodGet, Path: "/api/v1/me/sessions", Summary: "Where one is signed in",
		Tags: tags, Security: bySession, Errors: []int{401, 403},
	}, s.ownSessions)
	huma.Register(api, huma.Operation{
		OperationID: "end-own-session", Method: http.MethodDelete, Path: "/api/v1/me/sessions/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Sign out one of one's browsers", Tags: tags, Security: bySession, Errors: []int{401, 403, 404},
	}, s.endOwnSession)
}

func (s *Server) changePassword(ctx context.Context, in *newPassword) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	if err := s.o.Door.ChangePassword(ctx, c.actor(), c.user, c.session, in.Body.Current, in.Body.New, c.client); err != nil {
		return nil, s.failed(err)
	}
	s.endStreamsOf(c.user.ID, c.session.Hash, byeSignedOut)
	return nil, nil
}

func (s *Server) ownSessions(ctx context.Context, _ *struct{}) (*ownSessions, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	all, err := s.o.Door.Sessions(ctx, c.user.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &ownSessions{}
	out.Body.Sessions = make([]OwnSession, len(all))
	for i, one := range all {
		out.Body.Sessions[i] = OwnSession{
			ID: one.ID(), Current: one.Hash == c.session.Hash, Created: one.Created, Seen: one.Seen, Remote: one.Remote, Browser: one.Browser,
		}
	}
	return out, nil
}

func (s *Server) endOwnSession(ctx context.Context, in *ownSession) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	ended, err := s.o.Door.EndSession(ctx, c.actor(), c.user, in.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	s.endStreams(ended.Hash, byeSignedOut)
	return nil, nil
}
