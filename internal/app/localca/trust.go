package localca

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/smallstep/truststore"
)

// Where says which of the user's stores Trust changes.
type Where struct {
	System   bool // the operating system's store; may ask for the user's password
	Browsers bool // NSS: Chromium and Firefox on Linux, Firefox elsewhere
}

// Trust makes this user's programs trust the authority and returns a sentence
// for each store: what was done, or why nothing was. The error joins what
// failed; the sentences are complete all the same.
func (a *Authority) Trust(w Where) (done []string, err error) {
	var failed []error
	if w.System {
		if err := truststore.Install(a.cert); err != nil {
			failed = append(failed, fmt.Errorf("system store: %w", reason(err)))
		} else {
			done = append(done, "System store: the authority is trusted (curl, Go, Python and the like).")
		}
	}
	if w.Browsers {
		sentence, err := a.browsers(func(t *truststore.NSSTrust) error {
			return truststore.Install(a.cert, truststore.WithTrust(t), truststore.WithNoSystem())
		}, "the authority is trusted; restart browsers that are open.")
		if err != nil {
			failed = append(failed, err)
		} else {
			done = append(done, sentence)
		}
	}
	return done, errors.Join(failed...)
}

// Distrust takes the authority out of the stores again.
func (a *Authority) Distrust(w Where) (done []string, err error) {
	var failed []error
	if w.System {
		if err := truststore.Uninstall(a.cert); err != nil {
			failed = append(failed, fmt.Errorf("system store: %w", reason(err)))
		} else {
			done = append(done, "System store: the authority is not trusted any more.")
		}
	}
	if w.Browsers {
		sentence, err := a.browsers(func(t *truststore.NSSTrust) error {
			return truststore.Uninstall(a.cert, truststore.WithTrust(t), truststore.WithNoSystem())
		}, "the authority is not trusted any more.")
		if err != nil {
			failed = append(failed, err)
		} else {
			done = append(done, sentence)
		}
	}
	return done, errors.Join(failed...)
}

func (a *Authority) browsers(change func(*truststore.NSSTrust) error, success string) (string, error) {
	nss, err := truststore.NewNSSTrust()
	if err != nil {
		return "Browsers: skipped, certutil is not installed (Debian: apt install libnss3-tools); or import " + a.File() + " in the browser's settings.", nil
	}
	if err := ensureChromiumStore(); err != nil {
		return "", fmt.Errorf("browsers: %w", err)
	}
	if err := nss.PreCheck(); err != nil {
		return "Browsers: skipped, no browser profile of this user was found; import " + a.File() + " in the browser's settings.", nil
	}
	if err := change(nss); err != nil {
		return "", fmt.Errorf("browsers: %w", reason(err))
	}
	return "Browsers: " + success, nil
}

// ensureChromiumStore makes the store that Chromium reads on Linux: Chromium
// itself makes it only once a certificate is imported by hand.
func ensureChromiumStore() error {
	home, err := os.UserHomeDir()
	if err != nil || runtime.GOOS != "linux" {
		return nil
	}
	dir := filepath.Join(home, ".pki", "nssdb")
	if _, err := os.Stat(filepath.Join(dir, "cert9.db")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if out, err := exec.Command("certutil", "-N", "--empty-password", "-d", "sql:"+dir).CombinedOutput(); err != nil {
		return fmt.Errorf("make Chromium's store: %w: %s", err, out)
	}
	return nil
}

// reason adds to a failed command's error what the command said.
func reason(err error) error {
	var c *truststore.CmdError
	if errors.As(err, &c) && len(c.Out()) > 0 {
		return fmt.Errorf("%w: %s", err, c.Out())
	}
	return err
}
