package check

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"dialtone/internal/voice/token"
)

// TestEveryCohortIsThere: what a fault could hit is among the tokens of every key
// of a secret, as far as its kind allows.
func TestEveryCohortIsThere(t *testing.T) {
	if racing {
		t.Skip("what is drawn is the same without the race detector")
	}
	c := grow(t, 6, 30_000)
	d := c.plan.dims
	width, change := len(d.all), d.number[changeDimension]
	has := func(key int, wanted map[string]string) bool {
		for i := range c.specs {
			v := vector(c.vectors[i*width : (i+1)*width])
			if v[change] != 0 || c.specs[i].keyNo != key {
				continue
			}
			all := true
			for name, value := range wanted {
				dim, ok := d.number[name]
				if !ok {
					t.Fatalf("there is no dimension %q", name)
				}
				all = all && d.all[dim].values[v[dim]] == value
			}
			if all {
				return true
			}
		}
		return false
	}
	for no, k := range c.plan.keys {
		if k.key.Kind != token.Ticket && !k.key.secret() {
			continue
		}
		wanted := []map[string]string{}
		for _, remainder := range []string{"0", "1", "2"} {
			for _, atom := range []string{"name '?'", "name '>'", "name '~'", "name '-'", "name '_'", "name non-ASCII", "name 2-byte characters", "name 3-byte characters", "name 4-byte characters"} {
				wanted = append(wanted, map[string]string{"name length mod 3": remainder, atom: "yes"})
				if k.key.Kind != token.Ticket {
					wanted = append(wanted, map[string]string{"payload length mod 3": remainder, atom: "yes"})
				}
			}
			if k.key.Kind != token.Ticket {
				wanted = append(wanted, map[string]string{"header length mod 3": remainder})
			}
		}
		if k.key.Kind != token.Ticket {
			for _, sign := range []string{"'-'", "'_'"} {
				for _, place := range []string{" as 1st", " as 2nd", " as 3rd", " as 4th"} {
					wanted = append(wanted, map[string]string{"signature " + sign + place: "yes"})
					// Printable text reaches the 4th only; UTF-8 never the 1st.
					if place == " as 4th" || k.key.Kind == token.Access && place != " as 1st" {
						wanted = append(wanted, map[string]string{"payload " + sign + place: "yes"}, map[string]string{"payload " + sign + place: "yes", "signature '-' or '_'": "no"})
					}
				}
			}
			wanted = append(wanted,
				map[string]string{"payload '-' or '_'": "no", "signature '-' or '_'": "no"},
				map[string]string{"payload '-' or '_'": "no", "signature '-' or '_'": "yes"},
				map[string]string{"header '-'": "yes"}, map[string]string{"header '_'": "yes"},
				map[string]string{"size from 8000": "yes"},
				map[string]string{"signature ends in zero": "yes"}, map[string]string{"signature begins with zero": "yes"},
				map[string]string{"grants": "incoming"}, map[string]string{"grants": "outgoing", "parameters": "yes"}, map[string]string{"grants": "both"},
			)
			for _, s := range styles {
				wanted = append(wanted, map[string]string{"JSON as": s.name, "name non-ASCII": "yes"})
			}
		}
		for _, w := range wanted {
			if !has(no, w) {
				t.Errorf("%s: no token with %v", k.title(), w)
			}
		}
	}
	for i := range c.plan.changes {
		if name := c.plan.changes[i].name; !slices.ContainsFunc(c.specs, func(s *spec) bool { return s.change == &c.plan.changes[i] }) {
			if name != "DER" && name != "HMAC with the public key" && name != "no aud" { // of keys that sign few
				t.Errorf("no token is made wrong by %q in %q", name, c.plan.changes[i].where)
			}
		}
	}
	largest := 0
	for i, s := range c.specs {
		if s.change == nil {
			largest = max(largest, len(c.texts[i]))
		}
	}
	if largest < token.MaxSize-1 || largest > token.MaxSize {
		t.Errorf("the largest token has %d bytes", largest)
	}
}

// TestASampleHoldsEveryCohort: what is shown to a live provider, too.
func TestASampleHoldsEveryCohort(t *testing.T) {
	source := quickOwn(t, 6)
	source.Keys = source.Keys[:1]
	c := &course{o: Options{Sources: []Source{source}, Tokens: 10_000, Sample: 600, Seed: 6}}
	var err error
	if c.plan, err = newPlan(c.o); err != nil {
		t.Fatal(err)
	}
	if c.numbers, err = c.choose(t.Context()); err != nil || len(c.numbers) != 600 {
		t.Fatalf("%d tokens, %v", len(c.numbers), err)
	}
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := c.plan.dims
	width, change := len(d.all), d.number[changeDimension]
	seen := map[string]int{}
	for i := range c.numbers {
		v := c.vectors[i*width : (i+1)*width]
		for dim, value := range v {
			if name := d.all[dim].name; v[change] == 0 || name == changeDimension {
				seen[name+" "+d.all[dim].values[value]]++
			}
		}
	}
	for _, w := range []string{
		"payload '-' as 2nd yes", "payload '_' as 2nd yes", "payload '-' as 3rd yes", "payload '_' as 3rd yes", "payload '-' as 4th yes", "payload '_' as 4th yes",
		"signature '-' as 1st yes", "signature '_' as 4th yes", "signature '-' or '_' no", "signature ends in zero yes", "name length mod 3 0", "name length mod 3 1", "name length mod 3 2",
		"size from 8000 yes", "change padding in signature", "change trailing bits in payload", "change line feed in header, after signing", "kind ticket",
	} {
		if seen[w] == 0 {
			t.Errorf("the sample holds no %s", w)
		}
	}
}

// TestTheSameSeedIsTheSameCheck: a failure can be had again.
func TestTheSameSeedIsTheSameCheck(t *testing.T) {
	report := func(seed uint64) string {
		own := quickOwn(t, seed)
		r, err := Run(t.Context(), Options{Sources: []Source{own}, Tokens: 1500, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		r.Took = 0
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if a, b := report(8), report(8); a != b {
		t.Error("two checks with one seed differ")
	}
	if a, b := report(8), report(9); a == b {
		t.Error("the seed changes nothing")
	}
}

// TestFeaturesOfAToken looks at one token by hand.
func TestFeaturesOfAToken(t *testing.T) {
	p, err := newPlan(Options{Sources: []Source{quickOwn(t, 1)}, Tokens: 10})
	if err != nil {
		t.Fatal(err)
	}
	k := p.keys[0]
	s := &spec{source: k.source, key: k.key, keyNo: k.no, name: "日?A%2B", style: &styles[1], incoming: true, region: "us1", notBefore: 1, half: true}
	d := draft{
		spec: s, header: []byte("12345"), payload: []byte("caf\xc3\xa9 \\"), signature: []byte{' ', 0, 0},
		h: "AAAA", p: "-AA_A_--", s: "A-AAB-",
	}
	v := make(vector, len(p.dims.all))
	p.dims.of(v, &d, 600, s.keyNo)
	wanted := map[string]string{
		"kind": "access", "payload '-' as 1st": "yes", "payload '-' as 3rd": "yes", "payload '_' as 4th": "yes", "payload '_' as 2nd": "yes", "payload '-' as 2nd": "no",
		"payload '--'": "yes", "payload '__'": "no", "payload '-' first": "yes", "payload '-' last": "yes", "payload both": "yes", "payload two '-'": "yes",
		"signature '-' as 2nd": "yes", "signature '-' as 1st": "no", "signature '_'": "no", "signature '-' last": "yes", "signature one twice": "yes",
		"header '-' or '_'": "no", "some part '__'": "no", "some part '_'": "yes", "two '_' in all": "yes",
		"payload length mod 3": "1", "signature length mod 3": "0", "header length mod 3": "2", "some part mod 3 is 1": "yes", "every part mod 3 is 0": "no",
		"signature ends in zero": "yes", "signature begins with zero": "no", "signature begins with a blank": "yes", "signature holds zero": "yes",
		"payload non-ASCII": "yes", `payload backslash`: "yes", "payload space": "yes", "payload plus": "no",
		"name length mod 3": "2", "name non-ASCII": "yes", "name 3-byte characters": "yes", "name 2-byte characters": "no", "name '?'": "yes", "name '-'": "no", "name escape": "yes", "name reads as escaped": "yes", "name capitals": "yes",
		"grants": "incoming", "parameters": "no", "nbf": "yes", "fraction": "yes", "twr": "yes", "kid": "no", "JSON as": "python",
		"size from 512": "yes", "size from 1024": "no", "algorithm": "HS256", "key": k.title(), changeDimension: noValue, "changed after signing": "no",
	}
	for name, want := range wanted {
		if dim := p.dims.number[name]; p.dims.all[dim].name != name || p.dims.all[dim].values[v[dim]] != want {
			t.Errorf("%s is %s, want %s", name, p.dims.all[dim].values[v[dim]], want)
		}
	}
	for dim, value := range v {
		if int(value) >= len(p.dims.all[dim].values) {
			t.Errorf("%s has no value %d", p.dims.all[dim].name, value)
		}
	}
}

func TestNamesAreIdentities(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		n := name(r, "probe-")
		if !utf8.ValidString(n) || !strings.HasPrefix(n, "probe-") || utf8.RuneCountInString(n) > token.MaxIdentity {
			t.Fatalf("%q", n)
		}
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	for _, k := range []Key{
		{Kind: token.Access, ID: "SK1", Algorithm: token.HS256},
		{Kind: token.Access, ID: "SK1", Algorithm: token.ES256, Secret: []byte("x")},
		{Kind: token.Access, ID: "SK1", Algorithm: "none", Secret: []byte("x")},
	} {
		if _, err := Run(t.Context(), Options{Sources: []Source{{Keys: []Key{k}}}}); err == nil {
			t.Errorf("%+v", k)
		}
	}
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("a check without keys is none")
	}
}
