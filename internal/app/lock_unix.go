//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package app

import (
	"errors"
	"os"
	"syscall"

	"dialtone/internal/fault"
)

// lock takes the data directory for this node, so that no second one migrates
// its database and serves its records beside it. The system gives it back when
// the process ends, however it does.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fault.New(fault.Conflict, "another node runs on this data directory; stop it, or name another with --data-dir")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
