// Package internal_test holds the layout to what docs/architecture.md says: who
// may import whom, where a library may be used, and what every package owes its
// reader. Each rule has its reason, which is what a failing test prints.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "dialtone/"

// foundation is what everybody may import.
var foundation = []string{"internal/event", "internal/fault", "internal/config", "internal/health"}

// wings are the products of the house.
var wings = []string{"internal/voice/...", "internal/talk/...", "internal/watch/...", "internal/status/...", "internal/release/..."}

// direction says what the packages in may import of ours, besides themselves.
// The first direction that names a package is the one that counts.
type direction struct {
	in     string // "internal/x" or "internal/x/..."
	may    []string
	reason string
}

var directions = []direction{
	{in: "internal", reason: "only this test is here"},
	{in: "internal/event", reason: "the foundation imports nothing of ours: what everybody imports must not drag a wing along"},
	{in: "internal/fault", reason: "the foundation imports nothing of ours: what everybody imports must not drag a wing along"},
	{in: "internal/config", reason: "the foundation imports nothing of ours: config describes wings in its own words, app maps them"},
	{in: "internal/health", reason: "the foundation imports nothing of ours: what everybody imports must not drag a wing along"},
	{
		in: "internal/voice/call", may: []string{"internal/fault", "internal/event"},
		reason: "call is the platform's public vocabulary and pure: an application imports it as it imports its provider's",
	},
	{
		in: "internal/voice/token", may: foundation,
		reason: "tokens are judged without knowing what calls, media or signalling are",
	},
	{
		in: "internal/voice/carrier/...", may: []string{"internal/voice/carrier/..."},
		reason: "the simulated carrier must be an honest peer: sharing code with trunk or media would let one mistake hide in both",
	},
	{
		in: "internal/voice/...", may: with(foundation, "internal/voice/..."),
		reason: "voice knows nothing of the other wings: the boundary between the two companies of the outage",
	},
	{
		in: "internal/talk/...", may: with(foundation, "internal/talk/...", "internal/voice/call"),
		reason: "the call centre uses the voice platform as an outside application would: by its vocabulary alone",
	},
	{
		in: "internal/watch/...", may: with(foundation, "internal/watch/...", "internal/voice/call"),
		reason: "what watches must not share the faults of what it watches",
	},
	{
		in: "internal/status/...", may: with(foundation, "internal/status/..."),
		reason: "the status page outlives the product, so it cannot need it",
	},
	{
		in: "internal/release/...", may: with(foundation, "internal/release/..."),
		reason: "the gate judges versions from outside",
	},
	{
		in: "internal/store/...", may: with(append(slices.Clone(foundation), wings...), "internal/store/..."),
		reason: "a store serves the wings' types and knows neither the front door nor the node",
	},
	{
		in: "internal/bus/...", may: with(append(slices.Clone(foundation), wings...), "internal/bus/..."),
		reason: "the bus serves the wings' types and knows neither the front door nor the node",
	},
	{
		in: "internal/httpapi/...", may: with(append(slices.Clone(foundation), wings...), "internal/httpapi/..."),
		reason: "the front door serves the wings' types; which store answers is the node's business",
	},
	{
		in: "internal/app/localca", reason: "the local authority is used by commands that run without a node",
	},
	{
		in: "internal/app/logging", reason: "the log is made before anything else is",
	},
	{
		in: "internal/app/certs", may: with(foundation, "internal/app/localca"),
		reason: "certificates are had before anything is served",
	},
	{
		in: "internal/app/...", may: []string{"internal/...", "web"},
		reason: "app is the one place that knows everything; nothing of it is a command",
	},
	{
		in: "cmd/...", may: with(foundation, "cmd/...", "internal/app/...", "internal/voice/token", "internal/voice/token/check", "internal/voice/keyring", "internal/voice/sdk/probe",
			"internal/voice/carrier/...", "internal/store/...", "internal/talk/..."),
		reason: "a command turns flags into calls: of the node (app), of tokens and users in the data directory, of the check of tokens, of the simulated carrier; it holds no logic",
	},
	{
		in: "e2e/...", may: []string{"internal/...", "e2e/...", "web"}, reason: "end-to-end tests may look at everything but the commands' insides",
	},
	{
		in: "bench/...", may: []string{"internal/...", "bench/...", "e2e/...", "web"}, reason: "benchmarks may look at everything but the commands' insides",
	},
	{
		in: "web", reason: "the console's files know nothing of who serves them",
	},
}

// home says where a library may be used: one technology, one place to change it.
type home struct {
	library string // import path prefix
	in      []string
	reason  string
}

var homes = []home{
	{"database/sql", []string{"internal/store/..."}, "SQL stays in the stores"},
	{"modernc.org/sqlite", []string{"internal/store/..."}, "SQL stays in the stores"},
	{"github.com/emiago/sipgo", []string{"internal/voice/trunk/...", "internal/voice/carrier/..."}, "SIP is spoken by trunks, and by the carrier that tests them"},
	{"github.com/pion/webrtc", []string{"internal/voice/rtc/..."}, "the hot path may leave pion/webrtc one day, so it is kept behind rtc"},
	{"github.com/coder/websocket", []string{"internal/voice/sdk/..."}, "devices are the only ones that come by WebSocket"},
	{"github.com/danielgtaylor/huma", []string{"internal/httpapi/..."}, "the API's framework stays at the front door"},
	{"github.com/alecthomas/kong", []string{"cmd/..."}, "flags are read by commands"},
	{"github.com/caddyserver/certmagic", []string{"internal/app/certs"}, "certificates come from one place"},
	{"github.com/smallstep/truststore", []string{"internal/app/localca"}, "only the local authority is ever put into a user's trust"},
	{"github.com/golang-jwt", []string{"internal/voice/token/..."}, "tokens pass through one strict gate"},
	{"github.com/go-jose", []string{"internal/voice/token/..."}, "tokens pass through one strict gate"},
	{"github.com/lestrrat-go/jwx", []string{"internal/voice/token/..."}, "tokens pass through one strict gate"},
}

func with(list []string, more ...string) []string { return append(slices.Clone(list), more...) }

func matches(pattern, dir string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == prefix || strings.HasPrefix(dir, prefix+"/")
	}
	return dir == pattern
}

func anyMatches(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, dir) })
}

// file is one Go file of the module.
type file struct {
	path    string // from the module's root, with slashes
	dir     string
	test    bool
	syntax  *ast.File
	imports []string
}

// sources returns every Go file of the module.
func sources(t *testing.T) []file {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found; the test looks in the wrong place", len(files))
	}
	return files
}

var parsed = sync.OnceValues(parse)

func parse() ([]file, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	var files []file
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if base == "node_modules" || base == "testdata" || base == "tools" || (strings.HasPrefix(base, ".") && name != root) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(base, "_test.go"), syntax: syntax}
		f.dir = path.Dir(f.path)
		for _, i := range syntax.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func TestImportsFollowTheDirections(t *testing.T) {
	for _, f := range sources(t) {
		for _, v := range violations(f) {
			t.Error(v)
		}
	}
}

// TestTheDirectionsCatch shows that the rules can fail.
func TestTheDirectionsCatch(t *testing.T) {
	for _, tt := range []struct {
		path, imported string
		caught         bool
	}{
		{"internal/voice/trunk/x.go", "internal/talk", true},
		{"internal/voice/trunk/x.go", "internal/store/sqlite", true},
		{"internal/voice/trunk/x.go", "internal/voice/media", false},
		{"internal/voice/trunk/x_test.go", "internal/voice/carrier", false},
		{"internal/voice/trunk/x_test.go", "internal/talk", true},
		{"internal/voice/carrier/x.go", "internal/voice/media", true},
		{"internal/voice/call/x.go", "internal/voice/media", true},
		{"internal/talk/x.go", "internal/voice/call", false},
		{"internal/talk/x.go", "internal/voice/switchboard", true},
		{"internal/config/x.go", "internal/fault", true},
		{"internal/httpapi/x.go", "internal/store/sqlite", true},
		{"internal/app/x.go", "internal/store/sqlite", false},
		{"internal/app/x.go", "cmd/dialtone", true},
		{"internal/surprise/x.go", "internal/fault", true},
	} {
		f := file{path: tt.path, dir: path.Dir(tt.path), test: strings.HasSuffix(tt.path, "_test.go"), imports: []string{module + tt.imported, "fmt"}}
		if got := violations(f); (len(got) > 0) != tt.caught {
			t.Errorf("%s importing %s: got %q, want caught %v", tt.path, tt.imported, got, tt.caught)
		}
	}
}

// violations says what is wrong with the file's imports of ours.
func violations(f file) []string {
	i := slices.IndexFunc(directions, func(d direction) bool { return matches(d.in, f.dir) })
	if i < 0 {
		return []string{f.path + ": no direction names " + f.dir + "; add one with its reason"}
	}
	var found []string
	for _, imported := range f.imports {
		dir, ours := strings.CutPrefix(imported, module)
		if !ours || dir == f.dir {
			continue
		}
		reason := ""
		switch {
		case f.test:
			reason = testViolation(f, dir)
		case !anyMatches(directions[i].may, dir):
			reason = directions[i].reason
		}
		if reason != "" {
			found = append(found, f.path+" imports "+dir+": "+reason)
		}
	}
	return found
}

// testViolation is what remains of the directions for tests, which may bring
// neighbours together.
func testViolation(f file, imported string) string {
	others := []string{"internal/talk/...", "internal/watch/...", "internal/status/...", "internal/release/...", "internal/httpapi/...", "internal/app/...", "internal/store/..."}
	switch {
	case matches("internal/voice/...", f.dir) && anyMatches(others, imported):
		return "voice knows nothing of the other wings, and neither do its tests"
	case matches("cmd/...", imported):
		return "a command is tested by running it"
	}
	return ""
}

func TestLibrariesStayAtHome(t *testing.T) {
	for _, f := range sources(t) {
		// What plays the other side in end-to-end tests needs the same libraries.
		if f.test || matches("e2e/...", f.dir) || matches("bench/...", f.dir) {
			continue
		}
		for _, imported := range f.imports {
			for _, h := range homes {
				if (imported == h.library || strings.HasPrefix(imported, h.library+"/")) && !anyMatches(h.in, f.dir) {
					t.Errorf("%s imports %s: %s", f.path, imported, h.reason)
				}
			}
		}
	}
}

func TestTheDecisionFunctionStaysPure(t *testing.T) {
	impure := []string{"context", "log", "log/slog", "net", "net/http", "os", "sync", "sync/atomic", "testing/synctest"}
	for _, f := range sources(t) {
		if f.test || f.dir != "internal/voice/call" {
			continue
		}
		for _, imported := range f.imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s: call decides from its arguments alone, so that a call can be replayed and handed over", f.path, imported)
			}
		}
	}
}

func TestTestCodeStaysInTests(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || strings.HasSuffix(f.dir, "test") || matches("e2e/...", f.dir) || matches("bench/...", f.dir) {
			continue
		}
		for _, imported := range f.imports {
			if imported == "testing" || strings.HasPrefix(imported, "testing/") || strings.HasSuffix(imported, "test") && strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s: what is shipped holds nothing that only tests need", f.path, imported)
			}
		}
	}
}

// TestBrokenVerifiersStayInTests: what is broken on purpose must be where nobody
// can reach it by a setting.
func TestBrokenVerifiersStayInTests(t *testing.T) {
	const broken = "internal/voice/token/wrong"
	for _, f := range sources(t) {
		if !f.test && !matches("e2e/...", f.dir) && slices.Contains(f.imports, module+broken) {
			t.Errorf("%s imports %s: only tests put a broken verifier into a node", f.path, broken)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs, packages := map[string][]string{}, map[string]string{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		packages[f.dir] = f.syntax.Name.Name
		if f.syntax.Doc != nil {
			docs[f.dir] = append(docs[f.dir], f.path)
			if want := "Package " + f.syntax.Name.Name + " "; f.syntax.Name.Name != "main" && !strings.HasPrefix(f.syntax.Doc.Text(), want) {
				t.Errorf("%s: the package's doc begins with %q", f.path, want)
			}
		}
	}
	for dir := range packages {
		switch found := docs[dir]; {
		case len(found) == 0:
			t.Errorf("%s has no package doc: say what it owns, who may call it concurrently and what it never does", dir)
		case len(found) > 1:
			t.Errorf("%s has %d package docs (%s); one place to look is enough", dir, len(found), strings.Join(found, ", "))
		}
	}
}

// TestNothingHappensOnItsOwn: the only thing that runs before or instead of
// main's word is main.
func TestNothingHappensOnItsOwn(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: importing a package must do nothing", f.path)
			}
		}
		if f.syntax.Name.Name == "main" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			if pkg.Name == "os" && selector.Sel.Name == "Exit" || pkg.Name == "log" && strings.HasPrefix(selector.Sel.Name, "Fatal") {
				t.Errorf("%s calls %s.%s: only a command ends its process; return an error", f.path, pkg.Name, selector.Sel.Name)
			}
			return true
		})
	}
}
