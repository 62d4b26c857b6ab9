package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"dialtone/internal/config"
)

var update = flag.Bool("update", false, "rewrite what the scripts compare with")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dialtone": main})
}

func TestSessions(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "TMPDIR="+e.WorkDir)
			e.Values[servedKey{}] = map[string]*served{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mode": mode, "serve": serve, "terminate": terminate, "exit-code": exitCode, "capture": capture,
		},
	})
}

// mode FILE MODE: the file has this mode, written as ls does.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE MODE")
	}
	info, err := os.Stat(ts.MkAbs(filepath.FromSlash(args[0])))
	ts.Check(err)
	if got := info.Mode().Perm().String(); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// exit-code N COMMAND… runs the command and wants exactly this status.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit-code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// capture NAME REGEXP sets the variable to what the expression's group matches in
// the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%s does not match", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// TestFlagsAreThoseOfTheConfiguration: a setting that says it has a flag has it.
func TestFlagsAreThoseOfTheConfiguration(t *testing.T) {
	var c struct{ settings }
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]bool{}
	for _, f := range parser.Model.Flags {
		flags[f.Name] = true
	}
	for _, k := range config.Keys() {
		if k.Flag == "" {
			continue
		}
		if !flags[k.Flag] {
			t.Errorf("%s: there is no --%s", k.Path, k.Flag)
			continue
		}
		c = struct{ settings }{}
		arg := "--" + k.Flag + "=x"
		if k.Type == "true or false" {
			arg = "--" + k.Flag
		}
		if _, err := parser.Parse([]string{arg}); err != nil {
			t.Errorf("--%s: %v", k.Flag, err)
		}
		if got := c.sources().Flags; len(got) != 1 || got[k.Path] == "" {
			t.Errorf("--%s does not set %s but %v", k.Flag, k.Path, reflect.ValueOf(got).MapKeys())
		}
	}
}
