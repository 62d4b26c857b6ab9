package check

import (
	"context"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/token"
)

// refusing is a verifier that also refuses what when says.
type refusing struct {
	Verifier
	when func(text string) bool
}

func (r refusing) Verify(ctx context.Context, text string) (token.Claims, error) {
	if r.when(text) {
		return token.Claims{}, &token.Refusal{Reason: token.ReasonSignatureMismatch}
	}
	return r.Verifier.Verify(ctx, text)
}

func segments(text string) (h, p, s string) {
	parts := strings.SplitN(text+"..", ".", 3)
	return parts[0], parts[1], strings.TrimRight(parts[2], ".")
}

// TestFindingsInWords: what the sentence says is what was wrong.
func TestFindingsInWords(t *testing.T) {
	access := func(text string) bool {
		h, _, _ := segments(text)
		json, err := raw.DecodeString(h)
		return err == nil && strings.Contains(string(json), `"cty"`)
	}
	nth := func(n int, s string, c byte) bool {
		for i := n - 1; i < len(s); i += 4 {
			if s[i] == c {
				return true
			}
		}
		return false
	}
	fourth := func(s string, c byte) bool { return nth(4, s, c) }
	chance := func(text string) bool { // one token in fifty, by nothing that a token has
		h := fnv.New32a()
		h.Write([]byte(text))
		return h.Sum32()%50 == 0
	}
	if racing {
		t.Skip("one goroutine explains")
	}
	c := grow(t, 5, 12_000)
	for _, tt := range []struct {
		name  string
		when  func(text string) bool
		want  string
		exact bool
	}{
		{"one kind, one place", func(text string) bool {
			_, p, _ := segments(text)
			return access(text) && fourth(p, '_')
		}, "access tokens whose payload holds '_' as the 4th character of a group are refused (signature_mismatch): ", true},
		{"three features", func(text string) bool {
			_, p, s := segments(text)
			return access(text) && strings.Contains(s, "-") && len(p)%4 == 2
		}, "access tokens whose signature holds '-' and whose payload has a length in bytes that leaves 1 when divided by 3 are refused", true},
		{"either of two", func(text string) bool {
			_, p, s := segments(text)
			return strings.HasPrefix(s, "-") || nth(3, p, '-')
		}, "tokens whose payload holds '-' as the 3rd character of a group, and tokens whose signature begins with '-' are refused", true},
		{"one algorithm", func(text string) bool {
			_, _, s := segments(text)
			return len(s) == 64
		}, "tokens whose signature has a length in bytes that is a multiple of 3 are refused", true},
		{"everything", func(string) bool { return true }, "all tokens are refused (signature_mismatch): ", true},
		{"by chance", chance, "", false},
		{"nearly", func(text string) bool {
			_, p, _ := segments(text)
			return fourth(p, '_') && !chance(text)
		}, "tokens whose payload holds '_' as the 4th character of a group are refused (signature_mismatch): ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.judgedBy(t, refusing{c.real, tt.when})
			began := time.Now()
			r := c.report(0)
			t.Logf("%v", time.Since(began))
			if len(r.Findings) != 1 {
				t.Fatalf("%d findings", len(r.Findings))
			}
			f := r.Findings[0]
			if !strings.HasPrefix(f.Sentence, tt.want) || f.Exact != tt.exact {
				t.Errorf("%s (exact: %v)", f.Sentence, f.Exact)
			}
			if _, missed, accused := c.misses(&f); tt.exact != (missed+accused == 0) {
				t.Errorf("missed %d, accused %d", missed, accused)
			}
			if !tt.exact && !strings.Contains(f.Sentence, "No cohort separates them all") && !strings.Contains(f.Sentence, "no cohort tells") {
				t.Errorf("says nothing of doubt: %s", f.Sentence)
			}
		})
	}
}

func BenchmarkExplain(b *testing.B) {
	c := grow(b, 5, 100_000)
	for _, bb := range []struct {
		name string
		when func(text string) bool
	}{
		{"exact", func(text string) bool { _, p, _ := segments(text); return strings.Contains(p, "_") }},
		{"none", func(text string) bool { return len(text)%50 == 0 }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c.judgedBy(b, refusing{c.real, bb.when})
			for b.Loop() {
				c.report(0)
			}
		})
	}
}
