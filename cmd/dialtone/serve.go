package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dialtone/internal/app"
	"dialtone/internal/app/logging"
	"dialtone/internal/config"
)

type serveCommand struct{ settings }

func (c *serveCommand) Run(s streams) error {
	settings, err := config.Load(c.sources())
	if err != nil {
		return err
	}
	log, err := logging.New(s.err, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	node, err := app.New(ctx, app.Options{Config: settings, Log: log, Version: buildVersion(), Out: s.out})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	// The first signal lets live calls finish, the second ends them, the third
	// does not wait for anything.
	for received := 0; ; {
		select {
		case err := <-ended:
			return err
		case <-signals:
			received++
		}
		switch received {
		case 1:
			stop()
		case 2:
			node.Hurry()
		default:
			return fmt.Errorf("stopped at once, calls were cut off")
		}
	}
}
