package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk"
)

type (
	agentAnswer  struct{ Body talk.Agent }
	agentsAnswer struct {
		Body struct {
			Agents []talk.Agent `json:"agents"`
		}
	}
	linesAnswer struct {
		Body struct {
			Lines []talk.Line `json:"lines"`
		}
	}
	stateInput struct {
		Body struct {
			State talk.State `json:"state" enum:"online,away,transfers_only,offline"`
		}
	}
)

func (s *Server) agentOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/api/v1/me", Summary: "The signed-in agent",
		Tags: []string{"agents"}, Security: bySession, Errors: []int{401, 403},
	}, s.me)
	huma.Register(api, huma.Operation{
		OperationID: "set-state", Method: http.MethodPut, Path: "/api/v1/me", Summary: "Change one's own state",
		Tags: []string{"agents"}, Security: bySession, Errors: []int{401, 403, 422},
	}, s.setState)
	huma.Register(api, huma.Operation{
		OperationID: "agents", Method: http.MethodGet, Path: "/api/v1/agents", Summary: "All agents with their states",
		Tags: []string{"agents"}, Security: byBoth, Errors: []int{401},
	}, s.agents)
	huma.Register(api, huma.Operation{
		OperationID: "lines", Method: http.MethodGet, Path: "/api/v1/lines", Summary: "The account's lines",
		Tags: []string{"lines"}, Security: byBoth, Errors: []int{401},
	}, s.lines)
}

func (s *Server) me(ctx context.Context, _ *struct{}) (*agentAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	a, err := s.o.Desk.Agent(ctx, c.viewer.Account, c.user.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	return &agentAnswer{Body: a}, nil
}

func (s *Server) setState(ctx context.Context, in *stateInput) (*agentAnswer, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	a, err := s.o.Desk.SetState(ctx, c.viewer.Account, c.user.ID, in.Body.State)
	if err != nil {
		return nil, s.failed(err)
	}
	return &agentAnswer{Body: a}, nil
}

func (s *Server) agents(ctx context.Context, _ *struct{}) (*agentsAnswer, error) {
	agents, err := s.o.Desk.Agents(ctx, callerOf(ctx).viewer.Account)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &agentsAnswer{}
	out.Body.Agents = agents
	return out, nil
}

func (s *Server) lines(ctx context.Context, _ *struct{}) (*linesAnswer, error) {
	lines, err := s.o.Desk.Lines(ctx, callerOf(ctx).viewer.Account)
	if err != nil {
		return nil, s.failed(err)
	}
	out := &linesAnswer{}
	out.Body.Lines = lines
	return out, nil
}
