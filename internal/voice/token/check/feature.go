package check

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"dialtone/internal/voice/token"
)

// Feature is one thing that can be said of a token: a dimension and its value.
type Feature struct {
	Dimension string `json:"dimension"`
	Value     string `json:"value"`
	Not       bool   `json:"not,omitempty"` // any value but this
}

// dimension is a question that every token has one answer to.
type dimension struct {
	name   string
	values []string
	// words completes "tokens …" for a value, or for any but the value.
	words func(value int, not bool) string
	group string // of the matrix; "" keeps it out
}

func (d *dimension) yesNo() bool { return len(d.values) == 2 && d.values[0] == "no" }

// vector is a token's answers, by the number of the dimension.
type vector []uint8

// dimensions are the questions in the order of a plan: when two explain a failure
// equally well, the earlier one is named.
type dimensions struct {
	all    []dimension
	number map[string]int
}

func (d *dimensions) add(x dimension) {
	d.number[x.name] = len(d.all)
	d.all = append(d.all, x)
}

func (d *dimensions) yes(name, words, otherwise, group string) {
	d.add(dimension{name: name, values: []string{"no", "yes"}, group: group, words: func(v int, not bool) string {
		if (v == 1) != not {
			return words
		}
		return otherwise
	}})
}

func (d *dimensions) some(name, group string, values []string, words func(value string, not bool) string) {
	d.add(dimension{name: name, values: values, group: group, words: func(v int, not bool) string { return words(values[v], not) }})
}

// shape is what can be seen of the characters of a segment, a bit each.
type shape uint32

const (
	hasDash shape = 1 << iota
	hasUnderscore
	hasEither
	dash1 // as the 1st character of a group of four
	dash2
	dash3
	dash4
	underscore1
	underscore2
	underscore3
	underscore4
	dashTwice
	underscoreTwice
	oneTwice
	hasBoth
	dashDash
	underscoreUnderscore
	beginsDash
	beginsUnderscore
	endsDash
	endsUnderscore
)

type shapeWord struct {
	bit              shape
	name, has, lacks string // complete "whose payload …"
	group            bool   // in the matrix
}

func shapeWords() []shapeWord {
	w := []shapeWord{
		{hasEither, "'-' or '_'", "holds '-' or '_'", "holds neither '-' nor '_'", true},
		{hasDash, "'-'", "holds '-'", "holds no '-'", true},
		{hasUnderscore, "'_'", "holds '_'", "holds no '_'", true},
	}
	for i, nth := range []string{"1st", "2nd", "3rd", "4th"} {
		w = append(w,
			shapeWord{dash1 << i, "'-' as " + nth, "holds '-' as the " + nth + " character of a group", "holds no '-' as the " + nth + " character of a group", true},
			shapeWord{underscore1 << i, "'_' as " + nth, "holds '_' as the " + nth + " character of a group", "holds no '_' as the " + nth + " character of a group", true})
	}
	return append(w,
		shapeWord{dashTwice, "two '-'", "holds more than one '-'", "holds at most one '-'", false},
		shapeWord{underscoreTwice, "two '_'", "holds more than one '_'", "holds at most one '_'", false},
		shapeWord{oneTwice, "one twice", "holds more than one '-' or more than one '_'", "holds at most one '-' and one '_'", false},
		shapeWord{hasBoth, "both", "holds both '-' and '_'", "does not hold both '-' and '_'", false},
		shapeWord{dashDash, "'--'", "holds two '-' in a row", "holds no two '-' in a row", false},
		shapeWord{underscoreUnderscore, "'__'", "holds two '_' in a row", "holds no two '_' in a row", false},
		shapeWord{beginsDash, "'-' first", "begins with '-'", "does not begin with '-'", false},
		shapeWord{beginsUnderscore, "'_' first", "begins with '_'", "does not begin with '_'", false},
		shapeWord{endsDash, "'-' last", "ends with '-'", "does not end with '-'", false},
		shapeWord{endsUnderscore, "'_' last", "ends with '_'", "does not end with '_'", false},
	)
}

// shapeOf looks at a segment.
func shapeOf(s string) shape {
	var b shape
	dashes, underscores := 0, 0
	var last byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '-':
			dashes++
			b |= dash1 << (i & 3)
			if last == '-' {
				b |= dashDash
			}
		case '_':
			underscores++
			b |= underscore1 << (i & 3)
			if last == '_' {
				b |= underscoreUnderscore
			}
		}
		last = c
	}
	if s != "" {
		switch s[0] {
		case '-':
			b |= beginsDash
		case '_':
			b |= beginsUnderscore
		}
		switch last {
		case '-':
			b |= endsDash
		case '_':
			b |= endsUnderscore
		}
	}
	for _, has := range []struct {
		it  bool
		bit shape
	}{
		{dashes > 0, hasDash},
		{underscores > 0, hasUnderscore},
		{dashes+underscores > 0, hasEither},
		{dashes > 1, dashTwice},
		{underscores > 1, underscoreTwice},
		{dashes > 1 || underscores > 1, oneTwice},
		{dashes > 0 && underscores > 0, hasBoth},
	} {
		if has.it {
			b |= has.bit
		}
	}
	return b
}

// holds are the characters of names that are asked for one by one.
var holds = []string{"?", ">", "~", "-", "_", "+", "%", " ", `"`, `\`, "/", "&", "=", "'", ".", "@", "<", ":", ";", "#", "*", "("}

// sizes are the bounds of the size's steps, in bytes.
var sizes = []int{256, 512, 1024, 2048, 4096, 8000}

const noValue = "none"

// tail is how many questions are about what is wrong with a token; they are the
// last ones, and the key is the one before them.
const tail = 6

// newDimensions returns the questions for tokens of these keys. Those of one part
// come before those of any, and what a decoder stumbles over before the rest.
func newDimensions(keys []keyAt, wrong []change) *dimensions {
	d := &dimensions{number: map[string]int{}}
	d.some("kind", "", []string{string(token.Access), string(token.Capability), string(token.Ticket)}, func(v string, not bool) string {
		if not {
			return "other than " + plural(v)
		}
		return "that are " + plural(v)
	})
	for _, p := range []string{"payload", "signature", "header", "some part"} {
		group := ""
		if p == "payload" || p == "signature" {
			group = p
		}
		for _, w := range shapeWords() {
			g := group
			if !w.group {
				g = ""
			}
			has, lacks := "whose "+p+" "+w.has, "whose "+p+" "+w.lacks
			if p == "some part" {
				has, lacks = "of which some part "+w.has, "of which every part "+w.lacks
			}
			d.yes(p+" "+w.name, has, lacks, g)
		}
	}
	d.yes("two '-' in all", "with more than one '-' in all", "with at most one '-' in all", "")
	d.yes("two '_' in all", "with more than one '_' in all", "with at most one '_' in all", "")
	remainders := []string{"0", "1", "2", noValue}
	for _, p := range []string{"payload", "signature", "header"} {
		d.some(p+" length mod 3", p+" length", remainders, func(v string, not bool) string {
			switch {
			case v == noValue:
				return "without a " + p
			case v == "0" && not:
				return "whose " + p + " has a length in bytes that is no multiple of 3"
			case v == "0":
				return "whose " + p + " has a length in bytes that is a multiple of 3"
			case not:
				return "whose " + p + " has a length in bytes that does not leave " + v + " when divided by 3"
			}
			return "whose " + p + " has a length in bytes that leaves " + v + " when divided by 3"
		})
	}
	for _, v := range []string{"0", "1", "2"} {
		d.yes("some part mod 3 is "+v, "of which some part has a length in bytes that leaves "+v+" when divided by 3", "of which no part has a length in bytes that leaves "+v+" when divided by 3", "")
	}
	d.yes("every part mod 3 is 0", "of which every part has a length in bytes that is a multiple of 3", "of which some part has a length in bytes that is no multiple of 3", "")
	d.yes("signature ends in zero", "whose signature's last byte is zero", "whose signature's last byte is not zero", "signature bytes")
	d.yes("signature begins with zero", "whose signature's first byte is zero", "whose signature's first byte is not zero", "signature bytes")
	d.yes("signature holds zero", "whose signature holds a zero byte", "whose signature holds no zero byte", "signature bytes")
	d.yes("signature ends in a blank", "whose signature's last byte is a blank or line break", "whose signature's last byte is no blank", "signature bytes")
	d.yes("signature begins with a blank", "whose signature's first byte is a blank or line break", "whose signature's first byte is no blank", "signature bytes")
	d.yes("signature begins high", "whose signature's first byte is 0x80 or more", "whose signature's first byte is less than 0x80", "")
	d.yes("payload non-ASCII", "whose payload holds bytes beyond ASCII", "whose payload is ASCII", "payload bytes")
	d.yes("payload backslash", `whose payload holds '\'`, `whose payload holds no '\'`, "payload bytes")
	d.yes("payload percent", "whose payload holds '%'", "whose payload holds no '%'", "payload bytes")
	d.yes("payload plus", "whose payload holds '+'", "whose payload holds no '+'", "payload bytes")
	d.yes("payload space", "whose payload holds a space", "whose payload holds no space", "payload bytes")
	d.some("name length mod 3", "name length", []string{"0", "1", "2"}, func(v string, not bool) string {
		if not {
			return "whose name has a length in bytes that does not leave " + v + " when divided by 3"
		}
		return "whose name has a length in bytes that leaves " + v + " when divided by 3"
	})
	d.yes("name non-ASCII", "whose name holds characters beyond ASCII", "whose name is ASCII", "name")
	for _, x := range [][2]string{{"2", "é"}, {"3", "日"}, {"4", "😀"}} {
		d.yes("name "+x[0]+"-byte characters", "whose name holds characters of "+x[0]+" bytes, such as "+x[1], "whose name holds no characters of "+x[0]+" bytes", "name")
	}
	for _, c := range holds {
		word := "'" + c + "'"
		if c == " " {
			word = "a space"
		}
		d.yes("name "+word, "whose name holds "+word, "whose name holds no "+strings.TrimPrefix(word, "a "), "name")
	}
	d.yes("name escape", "whose name holds an escape, such as %2B", "whose name holds no escape", "name")
	d.yes("name reads as escaped", "whose name says something else when it is unescaped", "whose name stays what it is when it is unescaped", "name")
	d.yes("name capitals", "whose name holds capital letters", "whose name holds no capital letters", "name")
	d.some("grants", "grants", []string{"incoming", "outgoing", "both", noValue}, func(v string, not bool) string {
		words := "that allow " + v + " calls"
		switch v {
		case "both":
			words = "that allow incoming and outgoing calls"
		case noValue:
			words = "that are tickets"
		}
		if not {
			return "other than those " + words
		}
		return words
	})
	d.yes("parameters", "that fix parameters of calls", "that fix no parameters of calls", "grants")
	d.yes("stream scope", "with a scope of another service", "without a scope of another service", "grants")
	d.yes("push credential", "with a push credential", "without a push credential", "grants")
	d.yes("nbf", `with "nbf"`, `without "nbf"`, "claims")
	d.yes("no iat", `without "iat"`, `with "iat"`, "claims")
	d.yes("no jti", `without "jti"`, `with "jti"`, "claims")
	d.yes("fraction", "with a fraction in \"exp\"", "with \"exp\" in whole seconds", "claims")
	d.yes("twr", `with "twr" in the header`, `without "twr" in the header`, "claims")
	d.yes("kid", `with "kid" in the header`, `without "kid" in the header`, "claims")
	libraries := []string{}
	for _, s := range styles {
		libraries = append(libraries, s.name)
	}
	d.some("JSON as", "JSON as", append(libraries, noValue), func(v string, not bool) string {
		words := "with the JSON of the helper library for " + v
		if v == "spaced" {
			words = "with JSON that has spaces but no escapes"
		}
		if not {
			return "other than those " + words
		}
		return words
	})
	for _, n := range sizes {
		d.yes(fmt.Sprintf("size from %d", n), fmt.Sprintf("of %d bytes or more", n), fmt.Sprintf("of less than %d bytes", n), "size")
	}
	d.some("algorithm", "", []string{token.HS256, token.HS384, token.HS512, token.ES256, token.EdDSA, token.RS256, token.PS256, noValue}, func(v string, not bool) string {
		if not {
			return "not signed with " + v
		}
		return "signed with " + v
	})
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.title()
	}
	d.some("key", "", ids, func(v string, not bool) string {
		if not {
			return "not of the key " + v
		}
		return "of the key " + v
	})
	// What is wrong with a token comes last here but is asked first; see attribute.
	labels, names, words := []string{noValue}, []string{noValue}, map[string]string{noValue: "that are as they should be"}
	for i := range wrong {
		c := &wrong[i]
		if c.number = slices.Index(labels, c.label()); c.number < 0 {
			c.number, labels = len(labels), append(labels, c.label())
			words[c.label()] = c.words
		}
		if c.nameNumber = slices.Index(names, c.name); c.nameNumber < 0 {
			c.nameNumber, names = len(names), append(names, c.name)
		}
	}
	d.some(changeDimension, "", labels, func(v string, not bool) string {
		if not {
			return "other than those " + words[v]
		}
		return words[v]
	})
	d.some(anywhereDimension, "must be refused", names, func(v string, not bool) string {
		if not {
			return "with another fault than “" + v + "”"
		}
		return "with the fault “" + v + "” in any part"
	})
	d.some("changed part", "", []string{"text", "header", "payload", "signature"}, func(v string, not bool) string {
		if not {
			return "with the fault elsewhere than in the " + v
		}
		return "with the fault in the " + v
	})
	d.some("fault of", "", families(), func(v string, not bool) string {
		if not {
			return "with a fault that is not of " + v
		}
		return "with a fault of " + v
	})
	d.yes("fault at an end", "with the fault at their beginning or end", "with the fault within", "")
	d.yes("changed after signing", "where the fault came after signing", "where the key signed the fault", "")
	return d
}

// The questions about what is wrong with a token.
const (
	changeDimension   = "change"
	anywhereDimension = "change anywhere"
)

func plural(kind string) string {
	if kind == string(token.Ticket) {
		return "tickets"
	}
	return kind + " tokens"
}

// of fills v with the answers for a token. A changed token is described as it
// was before.
func (d *dimensions) of(v vector, dr *draft, size int, number int) {
	clear(v)
	s := dr.spec
	i := 0
	put := func(n int) {
		v[i] = uint8(n)
		i++
	}
	yes := func(b bool) {
		if b {
			v[i] = 1
		}
		i++
	}
	kinds := map[token.Kind]int{token.Access: 0, token.Capability: 1, token.Ticket: 2}
	put(kinds[s.key.Kind])
	ticket := s.key.Kind == token.Ticket
	header, payload, signature := shapeOf(dr.h), shapeOf(dr.p), shapeOf(dr.s)
	for _, b := range [4]shape{payload, signature, header, header | payload | signature} {
		for _, w := range shapeBits {
			yes(b&w != 0)
		}
	}
	dashes, underscores := 0, 0
	for _, segment := range [3]string{dr.h, dr.p, dr.s} {
		dashes += strings.Count(segment, "-")
		underscores += strings.Count(segment, "_")
	}
	yes(dashes > 1)
	yes(underscores > 1)
	lengths := [3]int{len(dr.payload) % 3, len(dr.signature) % 3, len(dr.header) % 3}
	for _, n := range lengths {
		if ticket {
			n = 3
		}
		put(n)
	}
	for n := range 3 {
		yes(!ticket && (lengths[0] == n || lengths[1] == n || lengths[2] == n))
	}
	yes(!ticket && lengths == [3]int{})
	if sig := dr.signature; len(sig) > 0 {
		first, last := sig[0], sig[len(sig)-1]
		yes(last == 0)
		yes(first == 0)
		zero := false
		for _, b := range sig {
			zero = zero || b == 0
		}
		yes(zero)
		yes(blank(last))
		yes(blank(first))
		yes(first >= 0x80)
	} else {
		i += 6
	}
	var beyond, backslash, percent, plus, space bool
	for _, b := range dr.payload {
		switch {
		case b >= utf8.RuneSelf:
			beyond = true
		case b == '\\':
			backslash = true
		case b == '%':
			percent = true
		case b == '+':
			plus = true
		case b == ' ':
			space = true
		}
	}
	yes(beyond)
	yes(backslash)
	yes(percent)
	yes(plus)
	yes(space)
	put(len(s.name) % 3)
	var wide [5]bool
	capitals := false
	var ascii [128]bool
	for _, c := range s.name {
		wide[utf8.RuneLen(c)] = true
		if c < 128 {
			ascii[c] = true
		}
		capitals = capitals || 'A' <= c && c <= 'Z'
	}
	yes(wide[2] || wide[3] || wide[4])
	for n := 2; n <= 4; n++ {
		yes(wide[n])
	}
	for _, c := range holds {
		yes(ascii[c[0]])
	}
	unescaped, err := url.QueryUnescape(s.name)
	yes(err == nil && ascii['%'])
	yes(err == nil && unescaped != s.name)
	yes(capitals)
	switch {
	case ticket:
		put(3)
	case s.incoming && s.outgoing:
		put(2)
	case s.outgoing:
		put(1)
	default:
		put(0)
	}
	access, capability := s.key.Kind == token.Access, s.key.Kind == token.Capability
	yes(!ticket && s.outgoing && (len(s.params) > 0 || s.size > 0))
	yes(capability && s.stream)
	yes(access && s.push)
	yes(access && s.notBefore != 0)
	yes(!ticket && s.noIssued)
	yes(access && s.noID)
	yes(!ticket && s.half)
	yes(!ticket && s.region != "")
	yes(!ticket && s.kid != "")
	if ticket {
		put(len(styles))
	} else {
		for n := range styles {
			if s.style == &styles[n] {
				put(n)
			}
		}
	}
	for _, n := range sizes {
		yes(size >= n)
	}
	algorithm := 7
	for n, name := range d.all[i].values {
		if name == s.key.Algorithm {
			algorithm = n
		}
	}
	put(algorithm)
	put(number)
	if s.change == nil {
		return
	}
	c := s.change
	put(c.number)
	put(c.nameNumber)
	put(map[token.Part]int{token.Whole: 0, token.Header: 1, token.Payload: 2, token.Signature: 3}[c.where])
	put(slices.Index(families(), cmp.Or(c.made, noValue)))
	yes(c.ends)
	yes(c.late)
}

var shapeBits = func() []shape {
	var bits []shape
	for _, w := range shapeWords() {
		bits = append(bits, w.bit)
	}
	return bits
}()
