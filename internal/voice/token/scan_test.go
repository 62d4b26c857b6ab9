package token

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// faults says by other means what is wrong with a JSON text: the reasons that a
// scan may give for refusing it.
func faults(text string) []Reason {
	valid := func(options ...jsontext.Options) bool { return jsontext.Value(text).IsValid(options...) }
	twice, bad := jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)
	if !valid(twice, bad) {
		// Which of several faults comes first is a matter of the text's order.
		return []Reason{ReasonNotJSON, ReasonTrailingData, ReasonInvalidUTF8, ReasonDuplicateName}
	}
	var found []Reason
	if !valid(twice) {
		found = append(found, ReasonInvalidUTF8)
	}
	if !valid(bad) {
		found = append(found, ReasonDuplicateName)
	}
	return found
}

func checkScan(t *testing.T, text string) {
	t.Helper()
	var s scan
	for range 2 { // the second time with what the first left behind
		s.of(text)
		r := s.skip()
		if r == "" && !s.over() {
			r = ReasonTrailingData
		}
		possible := faults(text)
		if r == "" && len(possible) > 0 || r != "" && !contains(possible, r) {
			t.Fatalf("%q is refused for %q, jsontext finds %q", text, r, possible)
		}
	}
	careless := scan{careless: true}
	careless.of(text)
	r := careless.skip()
	if accepts := r == "" && careless.over(); accepts != jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		t.Fatalf("%q: careless and accepted %t", text, accepts)
	}

	// What is read of a member is what jsontext reads of it.
	if len(faults(text)) > 0 || !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") {
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(text))
	if _, err := dec.ReadToken(); err != nil {
		t.Fatal(err)
	}
	o := newObject(false)
	o.of(text)
	o.ahead()
	if r := o.each(func(name string) Reason {
		if want, err := dec.ReadToken(); err != nil || want.String() != name {
			t.Fatalf("%q: a name is read as %q, jsontext reads %q, %v", text, name, want, err)
		}
		if kind := o.ahead(); dec.PeekKind() != jsontext.Kind(kind) {
			t.Fatalf("%q: %q is ahead, jsontext says %q", text, kind, dec.PeekKind())
		}
		if o.ahead() == '"' {
			var got string
			if r := o.text(&got); r != "" {
				return r
			}
			if want, err := dec.ReadToken(); err != nil || want.String() != got {
				t.Fatalf("%q: a string is read as %q, jsontext reads %q, %v", text, got, want, err)
			}
			return ""
		}
		raw, r := o.raw()
		if want, err := dec.ReadValue(); err != nil || string(want) != raw {
			t.Fatalf("%q: a value is read as %q, jsontext reads %q, %v", text, raw, want, err)
		}
		return r
	}); r != "" {
		t.Fatalf("%q: %s", text, r)
	}
}

func contains(list []Reason, r Reason) bool {
	for _, l := range list {
		if l == r {
			return true
		}
	}
	return false
}

func FuzzScan(f *testing.F) {
	for _, s := range scanCases() {
		f.Add(s)
	}
	f.Fuzz(checkScan)
}

func scanCases() []string {
	var many strings.Builder
	for i := range 40 {
		many.WriteString(`"` + strings.Repeat("x", i) + `":{"a":[{"b":1},{"b":2}],"a` + strings.Repeat("y", i) + `":0},`)
	}
	cases := []string{
		"", " ", "{}", " { } ", "[]", "[ ]", "null", "true", "falsE", "tru", "nul", "-", "-0", "01", "1.", ".5", "1e", "1E+", "1e-9", "-1.25E+30", "+1", "0x1", "NaN",
		`""`, `"`, `"\"`, `"\\"`, `"\/"`, `"\x"`, `"\u"`, `"\u00e9"`, `"\ud800"`, `"\udc00"`, `"\ud83d\ude00"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\uZZZZ"`,
		"\"\x01\"", "\"\x7f\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"é\"", "\"\xf4\x90\x80\x80\"", "\ufeff{}", "\xff",
		`{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"a":{"a":1}}}`, `{"a":[{"b":1,"b":2}]}`,
		`{"a":[1,{"b":2},"c",null,true,false,-1.5e3]}`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `{"a":1]`, `[`, `{`, `[[`, `{"a":[`, `{"a":1}{}`, `{"a":1}x`, "{\"a\":1}\x00", "[1]\n",
		`{"":1,"":2}`, `{"a":"\ud800","a":1}`, `{"é":1,"\u00e9":2}`, `{"\ufffd":1,"` + "\xff" + `":2}`,
		strings.Repeat("[", 90) + strings.Repeat("]", 90), strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
		"{" + many.String() + `"end":1}`, "{" + many.String() + `"xxx":1}`, "{" + many.String() + `"\u0078xxxxxxxxxxxxxxxxxxxxxxxxxxxxx":1}`,
	}
	return cases
}

// TestScanOfChangedTexts cuts, doubles and replaces every byte of texts.
func TestScanOfChangedTexts(t *testing.T) {
	checkScan(t, strings.Repeat("[", 4000)+strings.Repeat("]", 4000))
	checkScan(t, strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000))
	const text = `{"a":[1,-2.5e+3,{"b\u00e9":"\ud83d\ude00\n","b":null}],"日":true,"c":{}}`
	for i := range len(text) {
		checkScan(t, text[:i])
		checkScan(t, text[i:])
		checkScan(t, text[:i]+text[i:i+1]+text[i:])
		for c := range 256 {
			checkScan(t, text[:i]+string([]byte{byte(c)})+text[i+1:])
		}
	}
}
