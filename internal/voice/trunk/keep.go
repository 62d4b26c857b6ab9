package trunk

import (
	"context"
)

// keep does what a carrier needs besides calls until ctx is done.
func (s *Server) keep(ctx context.Context, c *carrier) {
	_ = c.resolve(ctx, s.o.Resolver)
	<-ctx.Done()
}
