package check

import (
	"testing"
)

// TestThisBinaryPasses: our own verifier lets in what it should, and nothing else.
func TestThisBinaryPasses(t *testing.T) {
	tokens := 12_000
	if racing {
		tokens = 3000
	}
	for seed := range uint64(2) {
		own, err := Own(seed)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), Options{Sources: []Source{own}, Tokens: tokens, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || r.Tokens != tokens {
			t.Errorf("%d tokens, %d unjudged, findings: %+v", r.Tokens, r.Unjudged, r.Findings)
		}
	}
}
