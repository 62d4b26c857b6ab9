package check

import "testing"

func BenchmarkRun(b *testing.B) {
	own, err := Own(1)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Run(b.Context(), Options{Sources: []Source{own}, Tokens: 100_000, Seed: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOwn(b *testing.B) {
	for b.Loop() {
		if _, err := Own(1); err != nil {
			b.Fatal(err)
		}
	}
}
