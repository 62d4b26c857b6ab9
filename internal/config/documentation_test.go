package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const operatorDoc = "../../docs/run.md"

// table is the settings as docs/run.md shows them.
func table() string {
	var b strings.Builder
	b.WriteString("| key | type | default | |\n|---|---|---|---|\n")
	for _, k := range Keys() {
		value, ways := "", k.Doc
		if k.Default != "" {
			value = "`" + k.Default + "`"
		}
		switch {
		case k.Flag != "":
			ways += fmt.Sprintf(" (`%s`, `--%s`)", k.Env, k.Flag)
		case k.Env != "":
			ways += fmt.Sprintf(" (`%s`)", k.Env)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Path, k.Type, value, strings.ReplaceAll(ways, "|", `\|`))
	}
	return b.String()
}

func TestDocumentationHasEverySetting(t *testing.T) {
	const begin, end = "-update\" -->\n", "<!-- end of settings -->"
	text, err := os.ReadFile(operatorDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("the markers of the settings are gone")
	}
	want := before + begin + table() + end + after
	if *update {
		if err := os.WriteFile(operatorDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("docs/run.md does not show the settings as they are; run this test with -update")
	}
}
