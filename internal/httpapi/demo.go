package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type callMeInput struct {
	Body *struct {
		From string `json:"from,omitempty" pattern:"^\\+[0-9]{5,15}$" doc:"number that the caller shows, E.164"`
	}
}

// demoOperations exist only with --demo.
func (s *Server) demoOperations(api huma.API) {
	if s.o.Demo == nil {
		return
	}
	huma.Register(api, huma.Operation{
		OperationID: "call-me", Method: http.MethodPost, Path: "/api/v1/demo/call-me", DefaultStatus: http.StatusAccepted,
		Summary: "The simulated carrier calls the demo's line", Tags: []string{"demo"}, Security: byBoth, Errors: []int{401, 503},
	}, s.callMe)
}

func (s *Server) callMe(ctx context.Context, in *callMeInput) (*struct{}, error) {
	from := ""
	if in.Body != nil {
		from = in.Body.From
	}
	return s.nothing(s.o.Demo.CallMe(ctx, from))
}
