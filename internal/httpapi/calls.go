package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk"
)

// Page and CallPath are parts of inputs. They are exported because the API
// library fills embedded structs only then.
type (
	Page struct {
		Cursor string `query:"cursor" maxLength:"200" doc:"next of the page before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	CallPath struct {
		Call string `path:"call" maxLength:"64" doc:"a leg's id, as the SDK's CallSid, or the call's"`
	}
)

type (
	callsInput struct {
		Page
		Kind talk.Kind `query:"kind" enum:"all,inbound,outbound,missed,voicemail" default:"all"`
	}
	callsAnswer struct{ Body talk.CallPage }
	callAnswer  struct{ Body talk.Call }
	holdInput   struct {
		CallPath
		Body struct {
			On bool `json:"on"`
		}
	}
	missedAnswer struct {
		Body struct {
			Missed []talk.Missed `json:"missed"`
		}
	}
	missedInput struct {
		ID string `path:"id" maxLength:"64"`
	}
)

func (s *Server) callOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "calls", Method: http.MethodGet, Path: "/api/v1/calls", Summary: "Calls that ended, newest first",
		Tags: []string{"calls"}, Security: byBoth, Errors: []int{401, 422},
	}, s.calls)
	huma.Register(api, huma.Operation{
		OperationID: "call", Method: http.MethodGet, Path: "/api/v1/calls/{call}", Summary: "A call that ended",
		Tags: []string{"calls"}, Security: byBoth, Errors: []int{401, 404},
	}, s.call)
	huma.Register(api, huma.Operation{
		OperationID: "hold", Method: http.MethodPost, Path: "/api/v1/calls/{call}/hold", Summary: "Put the other party on hold, or take them back",
		Tags: []string{"calls"}, Security: byBoth, Errors: []int{401, 403, 404, 409}, DefaultStatus: http.StatusNoContent,
	}, s.hold)
	huma.Register(api, huma.Operation{
		OperationID: "hang-up", Method: http.MethodPost, Path: "/api/v1/calls/{call}/hangup", Summary: "End a live call",
		Tags: []string{"calls"}, Security: byBoth, Errors: []int{401, 403, 404}, DefaultStatus: http.StatusNoContent,
	}, s.hangUp)
	huma.Register(api, huma.Operation{
		OperationID: "missed", Method: http.MethodGet, Path: "/api/v1/missed", Summary: "What the signed-in agent missed and has not seen",
		Tags: []string{"calls"}, Security: bySession, Errors: []int{401, 403},
	}, s.missed)
	huma.Register(api, huma.Operation{
		OperationID: "seen", Method: http.MethodPost, Path: "/api/v1/missed/{id}/seen", Summary: "Mark a missed call as seen",
		Tags: []string{"calls"}, Security: bySession, Errors: []int{401, 403, 404}, DefaultStatus: http.StatusNoContent,
	}, s.seen)
}

func (s *Server) calls(ctx context.Context, in *callsInput) (*callsAnswer, error) {
	p, err := s.o.Desk.Calls(ctx, callerOf(ctx).viewer, in.Kind, in.Cursor, in.Limit)
	if err != nil {
		return nil, s.failed(err)
	}
	return &callsAnswer{Body: p}, nil
}

func (s *Server) call(ctx context.Context, in *CallPath) (*callAnswer, error) {
	c, err := s.o.Desk.Call(ctx, callerOf(ctx).viewer, in.Call)
	if err != nil {
		return nil, s.failed(err)
	}
	return &callAnswer{Body: c}, nil
}

func (s *Server) hold(ctx context.Context, in *holdInput) (*struct{}, error) {
	return s.nothing(s.o.Desk.Hold(ctx, callerOf(ctx).viewer, in.Call, in.Body.On))
}

func (s *Server) hangUp(ctx context.Context, in *CallPath) (*struct{}, error) {
	return s.nothing(s.o.Desk.HangUp(ctx, callerOf(ctx).viewer, in.Call))
}

func (s *Server) missed(ctx context.Context, _ *struct{}) (*missedAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	missed, err := s.o.Desk.Missed(ctx, c.viewer)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &missedAnswer{}
	out.Body.Missed = missed
	return out, nil
}

func (s *Server) seen(ctx context.Context, in *missedInput) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	return s.nothing(s.o.Desk.Seen(ctx, c.viewer, in.ID))
}

// nothing is the answer of an operation that only succeeds or fails.
func (s *Server) nothing(err error) (*struct{}, error) {
	if err != nil {
		return nil, s.failed(err)
	}
	return nil, nil
}
