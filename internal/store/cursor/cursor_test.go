package cursor_test

import (
	"testing"

	"dialtone/internal/fault"
	"dialtone/internal/store/cursor"
)

func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add(cursor.Position{Micros: 1_700_000_000_000_000, ID: "CA0123456789abcdef0123456789abcdef"}.String())
	f.Add("MTIzNA")
	f.Add("!!!")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok, err := cursor.Parse(text)
		switch {
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Fatalf("error of another kind: %v", err)
		case err != nil && ok, text == "" && (ok || err != nil):
			t.Fatalf("%q: %v %v", text, ok, err)
		case ok:
			again, _, err := cursor.Parse(p.String())
			if err != nil || again != p {
				t.Fatalf("%+v comes back as %+v, %v", p, again, err)
			}
		}
	})
}
