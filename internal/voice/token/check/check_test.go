package check

import (
	"bytes"
	"testing"
)

func TestThisBinaryPasses(t *testing.T) {
	own, err := Own(1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{Sources: []Source{own}, Tokens: 20000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String())
	if !r.OK() || r.Tokens != 20000 {
		t.Errorf("%d tokens, %d unjudged, findings: %+v", r.Tokens, r.Unjudged, r.Findings)
	}
}
