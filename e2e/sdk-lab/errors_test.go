package sdklab

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

var update = flag.Bool("update", false, "write testdata/errors.txt anew")

// What an app sees when its call ends for each cause: testdata/errors.txt, which
// the table of docs/voice-sdk.md is made from.
func TestEndCausesAsAppsSeeThem(t *testing.T) {
	seen := map[call.EndCause][]string{}
	for _, how := range []struct {
		page    string
		options map[string]any
	}{{"v2.html", nil}, {"v2.html", map[string]any{"enableImprovedSignalingErrorPrecision": true}}, {"v1.html", nil}} {
		l := newLab(t)
		p := l.open(how.page)
		p.Eval("lab.start(arg[0], arg[1] ?? {})", nil, []any{l.token("alice", time.Hour), how.options})
		p.Until("lab.ready()")
		for i, cause := range call.Causes {
			p.Eval("lab.connect({}).then(() => {})", nil)
			c := l.offered()
			c.leg.End(cause)
			p.Until("lab.events.filter((e) => e === 'disconnect').length === arg", i+1)
			if down := want[call.Down](c); down.Cause != cause {
				t.Errorf("%s was reported as %s", cause, down.Cause)
			}
			errors := p.Text("lab.events.filter((e) => e.startsWith('call-error')).map((e) => e.slice(11)).join(' ')")
			p.Eval("lab.events = lab.events.filter((e) => !e.startsWith('call-error'))", nil)
			if errors == "" {
				errors = "-"
			}
			seen[cause] = append(seen[cause], errors)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %-12s %-12s %s\n", "cause", "v2", "v2, precise", "v1")
	for _, cause := range call.Causes {
		fmt.Fprintf(&b, "%-14s %-12s %-12s %s\n", cause, seen[cause][0], seen[cause][1], seen[cause][2])
	}
	path := filepath.Join("testdata", "errors.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != b.String() {
		t.Errorf("apps see something else:\n%s", b.String())
	}
}
