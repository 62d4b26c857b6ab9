package health_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whoever is woken by a warning finds in docs/runbooks.md what to do: every code
// that is raised anywhere has a section there.
func TestEveryWarningHasARunbook(t *testing.T) {
	doc, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir("..", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		for at, code := range raised(t, dir) {
			found++
			if !strings.Contains(string(doc), "\n## "+code+"\n") {
				t.Errorf("%s raises %q, which docs/runbooks.md has no section for", at, code)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 10 {
		t.Errorf("only %d places that raise a warning were found", found)
	}
}

// raised returns the codes of the warnings that the package in dir makes, by place.
func raised(t *testing.T, dir string) map[string]string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set, constants, codes := token.NewFileSet(), map[string]string{}, map[string]ast.Expr{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, value := range n.Values {
					if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						constants[n.Names[i].Name], _ = strconv.Unquote(lit.Value)
					}
				}
			case *ast.CompositeLit:
				if of, ok := n.Type.(*ast.SelectorExpr); ok && of.Sel.Name == "Warning" {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Code" {
							codes[set.Position(n.Pos()).String()] = kv.Value
						}
					}
				}
			}
			return true
		})
	}
	all := map[string]string{}
	for at, code := range codes {
		switch code := code.(type) {
		case *ast.BasicLit:
			all[at], _ = strconv.Unquote(code.Value)
		case *ast.Ident:
			all[at] = constants[code.Name]
		default:
			t.Errorf("%s: the code of a warning is neither text nor a constant of its package", at)
		}
	}
	return all
}
