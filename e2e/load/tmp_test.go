package load
import ("testing";"context";"time")
func TestTmp(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.node.Idle(t)
	expected := &tally{calls: map[string]int{}}
	ctx, c := context.WithTimeout(t.Context(), 10*time.Second); defer c()
	if err := message.hold(ctx, w, w.callers[0], expected); err != nil { t.Error(err) }
}
