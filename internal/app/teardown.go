package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
)

// teardown gives back what was taken, the last first.
type teardown struct{ steps []step }

type step struct {
	name string
	do   func() error
}

func (t *teardown) add(name string, do func() error) {
	t.steps = append(t.steps, step{name, do})
}

func (t *teardown) run(log *slog.Logger) error {
	var errs []error
	for len(t.steps) > 0 {
		last := t.steps[len(t.steps)-1]
		t.steps = t.steps[:len(t.steps)-1]
		log.Debug("closing", "what", last.name)
		// Sockets are handed to parts that close them earlier.
		if err := last.do(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, fmt.Errorf("close %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
