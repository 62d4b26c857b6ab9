package app

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"dialtone/internal/app/certs"
	"dialtone/internal/store/recordings"
	"dialtone/internal/store/sqlite"
)

func (n *Node) path(name string) string { return filepath.Join(n.o.Config.DataDir, name) }

// LockFile is the name of the file in the data directory that a running node
// holds. Commands work beside a node and do not ask for it.
const LockFile = "node.lock"

// openData opens what is kept in the data directory.
func (n *Node) openData(ctx context.Context) error {
	if err := os.MkdirAll(n.o.Config.DataDir, 0o700); err != nil {
		return err
	}
	held, err := lock(n.path(LockFile))
	if err != nil {
		return err
	}
	n.teardown.add("data directory", held.Close)
	store, err := sqlite.Open(ctx, n.o.Config.DataDir)
	if err != nil {
		return err
	}
	n.store = store
	n.teardown.add("database", n.store.Close)
	n.recordings, err = recordings.Open(n.path("recordings"))
	return err
}

func (n *Node) openCerts(context.Context) (err error) {
	n.certs, err = certs.New(certs.Options{
		Dir: n.o.Config.DataDir, HTTPS: n.o.Config.HTTPS, Health: n.health, Log: n.log.With("part", "certs"),
	})
	return err
}

// refreshEvery is how soon a node sees what a command changed in the database.
const refreshEvery = 5 * time.Second

// refresh reads people and lines again, also when somebody asks for it, so that
// commands like "user add" take effect on a running node; keys have a watch of their own. What cannot be read
// keeps the old.
func (n *Node) refresh(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.reloads:
		}
		if err := n.desk.Reload(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("people and lines could not be read again; the old ones stay", "error", err)
		}
	}
}
