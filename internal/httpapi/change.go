package httpapi

import "context"

// changed writes down what a caller changed.
func (s *Server) changed(ctx context.Context, c caller, act, target string, detail map[string]string) {
	if s.o.Audit != nil {
		s.o.Audit.Record(ctx, c.actor().Entry(c.viewer.Account, act, target, detail))
	}
}
