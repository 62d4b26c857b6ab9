package token

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// object reads one JSON object member by member, strictly: valid UTF-8, no
// duplicate names, nothing after it (RFC 8259, RFC 8785 section 3.1 for what it
// is strict about). Of several faults it finds the first in the text, whether in a
// member that means something or not. A lenient object reads what it can of a
// token that was refused already and calls nothing wrong but broken syntax.
//
// It reads in place: the strings that it returns are parts of the text unless they
// were written with escapes.
type object struct {
	scan
	lenient bool
}

// newObject returns an object without a text yet. It can read one text after
// another, and belongs to one goroutine at a time.
func newObject(lenient bool) *object {
	return &object{scan: scan{careless: lenient}, lenient: lenient}
}

// all visits the members of the whole text, which must be one object.
func (o *object) all(known []string, visit func(name string) Reason) Reason {
	if o.ahead() != '{' {
		if r := o.skip(); r != "" {
			return r
		}
		return ReasonNotObject
	}
	if r := o.members(known, visit); r != "" {
		return r
	}
	if !o.over() && !o.lenient {
		return ReasonTrailingData
	}
	return ""
}

// members visits those members of the object ahead whose names are known and
// skips the others. visit must read the member's value.
func (o *object) members(known []string, visit func(name string) Reason) Reason {
	if o.ahead() != '{' {
		return o.wrongType()
	}
	return o.each(func(written string) Reason {
		name, folded := match(written, known)
		switch {
		case folded && !o.lenient:
			return ReasonNameCase
		case name == "":
			return o.skip()
		default:
			return visit(name)
		}
	})
}

// match finds the known name that a written one equals; folded reports that it
// equals one only without regard to case, as some decoders compare.
func match(written string, known []string) (name string, folded bool) {
	for _, k := range known {
		if written == k {
			return k, false
		}
	}
	for _, k := range known {
		// One of our letters folds to at most three bytes (K, U+212A).
		if len(written) >= len(k) && len(written) <= 3*len(k) && strings.EqualFold(written, k) {
			return "", true
		}
	}
	return "", false
}

// elements visits the values of the array ahead.
func (o *object) elements(visit func() Reason) Reason {
	if o.ahead() != '[' {
		return o.wrongType()
	}
	o.pos++
	if o.space() == ']' {
		o.pos++
		return ""
	}
	for {
		if r := visit(); r != "" {
			return r
		}
		switch o.space() {
		case ']':
			o.pos++
			return ""
		case ',':
			o.pos++
		default:
			return ReasonNotJSON
		}
	}
}

// text reads a string into *s.
func (o *object) text(s *string) Reason {
	if o.ahead() != '"' {
		return o.wrongType()
	}
	written, escaped, r := o.quoted()
	if r != "" {
		return r
	}
	if escaped {
		written = unescaped(written)
	}
	*s = written
	return ""
}

// truth reads a boolean.
func (o *object) truth(b *bool) Reason {
	switch c := o.ahead(); c {
	case 't', 'f':
		if r := o.skip(); r != "" {
			return r
		}
		*b = c == 't'
		return ""
	default:
		return o.wrongType()
	}
}

// lastDate is the end of the year 9999 in Unix seconds.
const lastDate = 253402300799

// date reads a NumericDate (RFC 7519 section 2): seconds since 1970, with or
// without a fraction or an exponent.
func (o *object) date(t *time.Time) Reason {
	if o.ahead() != '0' {
		return o.wrongType()
	}
	raw, r := o.raw()
	if r != "" {
		return r
	}
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil && 0 <= n && n <= lastDate {
		*t = time.Unix(n, 0).UTC()
		return ""
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || !(0 <= f && f <= lastDate) {
		if o.lenient {
			return ""
		}
		return ReasonDateRange
	}
	whole, fraction := math.Modf(f)
	*t = time.Unix(int64(whole), int64(fraction*1e9)).UTC()
	return ""
}

// values reads the parameters of an outgoing grant: an object of strings,
// numbers, booleans and arrays of these, where null means absent; or a query
// string, as the Go helper library writes them.
func (o *object) values(v *url.Values) Reason {
	switch o.ahead() {
	case '"':
		var query string
		if r := o.text(&query); r != "" {
			return r
		}
		*v = appParams(query)
		return ""
	case '{':
		*v = url.Values{}
		return o.each(func(name string) Reason {
			if o.ahead() == '[' {
				return o.elements(func() Reason { return o.scalar(*v, name) })
			}
			return o.scalar(*v, name)
		})
	default:
		return o.wrongType()
	}
}

func (o *object) scalar(v url.Values, name string) Reason {
	switch o.ahead() {
	case '"':
		var s string
		if r := o.text(&s); r != "" {
			return r
		}
		v.Add(name, s)
		return ""
	case '0', 't', 'f':
		raw, r := o.raw()
		if r != "" {
			return r
		}
		v.Add(name, raw)
		return ""
	case 'n':
		return o.skip()
	default:
		return o.wrongType()
	}
}

// wrongType skips the value ahead and says that its type is wrong.
func (o *object) wrongType() Reason {
	if r := o.skip(); r != "" || o.lenient {
		return r
	}
	return ReasonValueType
}
