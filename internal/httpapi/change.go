package httpapi

import (
	"context"
	"log/slog"

	"dialtone/internal/health"
)

// auditUnwritten is the warning's code while changes cannot be written down.
const auditUnwritten = "audit_unwritten"

// changed writes down what a caller changed. The change stands even when that
// fails: a key that leaked is revoked whether or not the database has room for
// the line about it.
func (s *Server) changed(ctx context.Context, c caller, act, target string, detail map[string]string) {
	if s.o.Audit == nil {
		return
	}
	if err := s.o.Audit.Record(context.WithoutCancel(ctx), c.actor().Entry(c.viewer.Account, act, target, detail)); err != nil {
		s.o.Log.Error("a change could not be written to the audit log", slog.String("act", act), slog.String("target", target), slog.Any("error", err))
		s.o.Health.Raise(health.Warning{
			Code: auditUnwritten, Severity: health.Degraded,
			Text: "A change was made but could not be written to the audit log. See the node's log for the act, and make room or repair the database.",
		})
		return
	}
	s.o.Health.Clear(auditUnwritten, "")
}
