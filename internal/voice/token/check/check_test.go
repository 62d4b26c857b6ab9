package check

import (
	"testing"
)

// TestThisBinaryPasses: our own verifier lets in what it should, and nothing else.
func TestThisBinaryPasses(t *testing.T) {
	for seed := range uint64(2) {
		own, err := Own(seed)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), Options{Sources: []Source{own}, Tokens: 12000, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || r.Tokens != 12000 {
			t.Errorf("%d tokens, %d unjudged, findings: %+v", r.Tokens, r.Unjudged, r.Findings)
		}
	}
}
