// Dialtone is a browser call centre and the voice platform under it.
//
// This command turns flags into calls of the packages that do the work and holds
// no logic of its own. It exits with 0 when all went well, 1 when something
// failed, and 2 when it was used wrongly or the configuration has problems.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"dialtone/internal/config"
	"dialtone/internal/fault"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version string

// The exit codes.
const (
	fine   = 0
	failed = 1
	misuse = 2
)

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a node: console, devices, calls."`
	User    userCommand    `cmd:"" help:"Add, list and change the people who can sign in."`
	Key     keyCommand     `cmd:"" help:"List, add, replace and revoke API keys."`
	Token   tokenCommand   `cmd:"" help:"Mint, verify and inspect the tokens that let devices in."`
	Trust   trustCommand   `cmd:"" help:"Make this user's browsers trust the local authority."`
	Config  configCommand  `cmd:"" help:"Check and show the configuration."`
	Doctor  doctorCommand  `cmd:"" help:"Look for what would keep a node from serving here."`
	Carrier carrierCommand `cmd:"" help:"Be a simulated phone carrier, or call a node as one."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

func run(args []string, s streams) (status int) {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("dialtone"),
		kong.Description("A browser call centre and the voice platform under it. See docs/run.md."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { exited = fine }), // only --help calls it
		kong.Bind(s),
	)
	if err != nil {
		panic(err) // the commands above do not fit together
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "dialtone: %v\n", err)
		var p *kong.ParseError
		if errors.As(err, &p) && p.Context != nil {
			fmt.Fprintf(s.err, "Run \"dialtone %s--help\" to see how it is used.\n", commandPath(p.Context))
		}
		return misuse
	}
	ctx, stop := interruptible()
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	return report(s, k.Run())
}

// interruptible is what SIGINT and SIGTERM end. The second signal ends the
// process as it would have without us; serve has its own manners.
func interruptible() (context.Context, func()) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel)
	return ctx, cancel
}

func report(s streams, err error) int {
	var problems config.Problems
	switch {
	case err == nil:
		return fine
	case errors.As(err, &problems):
		fmt.Fprintln(s.err, problems.Error())
		fmt.Fprintf(s.err, "dialtone: %s in the configuration\n", plural(len(problems), "problem"))
		return misuse
	case fault.KindOf(err) == fault.Invalid:
		fmt.Fprintf(s.err, "dialtone: %v\n", err)
		return misuse
	}
	fmt.Fprintf(s.err, "dialtone: %v\n", err)
	return failed
}

func commandPath(c *kong.Context) string {
	path := ""
	for _, p := range c.Path {
		if p.Command != nil {
			path += p.Command.Name + " "
		}
	}
	return path
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// buildVersion returns the version that was set by the build, else what Go knows.
func buildVersion() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}
