package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk/people"
)

// AuditLog is where the lines of the audit log are read.
type AuditLog interface {
	AuditPage(ctx context.Context, f people.AuditFilter) (people.AuditPage, error)
}

type (
	auditInput struct {
		Cursor string `query:"cursor" maxLength:"200"`
		Act    string `query:"act" maxLength:"60" doc:"an act, or the beginning of some, as key."`
		Actor  string `query:"actor" maxLength:"320" doc:"name or id of who did it"`
		Limit  int    `query:"limit" minimum:"0" maximum:"200" doc:"0: 50"`
	}
	auditAnswer struct {
		Body struct {
			Entries []people.AuditEntry `json:"entries"`
			Next    string              `json:"next" doc:"cursor of the next page; empty: this is the last"`
		}
	}
)

func (s *Server) auditOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "audit", Method: http.MethodGet, Path: "/api/v1/audit", Summary: "Who did what, newest first",
		Tags: []string{"audit"}, Security: byBoth, Errors: []int{401, 403, 422},
	}, s.audit)
}

func (s *Server) audit(ctx context.Context, in *auditInput) (*auditAnswer, error) {
	c, err := admin(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	page, err := s.o.AuditLog.AuditPage(ctx, people.AuditFilter{
		Account: c.viewer.Account, Act: in.Act, Actor: in.Actor, Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.failed(err)
	}
	out := &auditAnswer{}
	out.Body.Entries, out.Body.Next = page.Entries, page.Next
	return out, nil
}
