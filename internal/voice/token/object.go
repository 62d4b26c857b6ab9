package token

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// object reads one JSON object member by member, strictly: valid UTF-8, no
// duplicate names, nothing after it. A lenient object reads what it can of a
// token that was refused already and calls nothing wrong but broken syntax.
type object struct {
	data    []byte
	buf     bytes.Buffer
	dec     *jsontext.Decoder
	lenient bool
}

// newObject returns an object without a text yet. It can read one text after
// another, and belongs to one goroutine at a time.
func newObject(lenient bool) *object {
	o := &object{lenient: lenient}
	o.dec = jsontext.NewDecoder(&o.buf)
	return o
}

// of makes o read data from its beginning; of nothing makes it let go of the last.
func (o *object) of(data []byte) {
	o.data, o.buf = data, *bytes.NewBuffer(data)
	if o.lenient {
		o.dec.Reset(&o.buf, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	} else {
		o.dec.Reset(&o.buf)
	}
}

// all visits the members of the whole text, which must be one object.
func (o *object) all(known []string, visit func(name string) Reason) Reason {
	if k := o.dec.PeekKind(); k != '{' && k != 0 {
		if o.dec.SkipValue() == nil {
			return ReasonNotObject
		}
		return o.broken(nil)
	}
	if r := o.members(known, visit); r != "" {
		return r
	}
	if _, err := o.dec.ReadToken(); !errors.Is(err, io.EOF) && !o.lenient {
		return ReasonTrailingData
	}
	return ""
}

// members visits those members of the object ahead whose names are known and
// skips the others. visit must read the member's value.
func (o *object) members(known []string, visit func(name string) Reason) Reason {
	if k := o.dec.PeekKind(); k != '{' && k != 0 {
		return o.wrongType()
	}
	if _, err := o.dec.ReadToken(); err != nil {
		return o.broken(err)
	}
	for {
		if o.dec.PeekKind() == '}' {
			_, err := o.dec.ReadToken()
			return o.broken(err)
		}
		quoted, err := o.dec.ReadValue()
		if err != nil {
			return o.broken(err)
		}
		name, folded := match(quoted, known)
		if folded && !o.lenient {
			return ReasonNameCase
		}
		if name == "" {
			if err := o.dec.SkipValue(); err != nil {
				return o.broken(err)
			}
			continue
		}
		if r := visit(name); r != "" {
			return r
		}
	}
}

// match finds the known name that a quoted one equals; folded reports that it
// equals one only without regard to case, as some decoders compare.
func match(quoted jsontext.Value, known []string) (name string, folded bool) {
	plain := []byte(quoted)
	if bytes.IndexByte(quoted, '\\') >= 0 {
		plain, _ = jsontext.AppendUnquote(nil, quoted)
	} else if len(plain) >= 2 {
		plain = plain[1 : len(plain)-1]
	}
	for _, k := range known {
		if string(plain) == k {
			return k, false
		}
	}
	for _, k := range known {
		if strings.EqualFold(string(plain), k) {
			return "", true
		}
	}
	return "", false
}

// each visits every member of the object ahead, of any name.
func (o *object) each(visit func(name string) Reason) Reason {
	if _, err := o.dec.ReadToken(); err != nil {
		return o.broken(err)
	}
	for o.dec.PeekKind() != '}' {
		quoted, err := o.dec.ReadValue()
		if err != nil {
			return o.broken(err)
		}
		if r := visit(plain(quoted)); r != "" {
			return r
		}
	}
	_, err := o.dec.ReadToken()
	return o.broken(err)
}

// elements visits the values of the array ahead.
func (o *object) elements(visit func() Reason) Reason {
	if o.dec.PeekKind() != '[' {
		return o.wrongType()
	}
	if _, err := o.dec.ReadToken(); err != nil {
		return o.broken(err)
	}
	for o.dec.PeekKind() != ']' {
		if o.dec.PeekKind() == 0 {
			return o.broken(io.ErrUnexpectedEOF)
		}
		if r := visit(); r != "" {
			return r
		}
	}
	_, err := o.dec.ReadToken()
	return o.broken(err)
}

// text reads a string into *s. One that equals a usual value is not copied.
func (o *object) text(s *string, usual ...string) Reason {
	if o.dec.PeekKind() != '"' {
		return o.wrongType()
	}
	quoted, err := o.dec.ReadValue()
	if err != nil {
		return o.broken(err)
	}
	for _, u := range usual {
		if len(quoted) == len(u)+2 && string(quoted[1:len(quoted)-1]) == u {
			*s = u
			return ""
		}
	}
	*s = plain(quoted)
	return ""
}

func plain(quoted jsontext.Value) string {
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, quoted)
	return string(b)
}

// truth reads a boolean.
func (o *object) truth(b *bool) Reason {
	switch o.dec.PeekKind() {
	case 't', 'f':
		t, err := o.dec.ReadToken()
		if err != nil {
			return o.broken(err)
		}
		*b = t.Bool()
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
	if o.dec.PeekKind() != '0' {
		return o.wrongType()
	}
	raw, err := o.dec.ReadValue()
	if err != nil {
		return o.broken(err)
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil && 0 <= n && n <= lastDate {
		*t = time.Unix(n, 0).UTC()
		return ""
	}
	f, err := strconv.ParseFloat(string(raw), 64)
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
	switch o.dec.PeekKind() {
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
			if o.dec.PeekKind() == '[' {
				return o.elements(func() Reason { return o.scalar(*v, name) })
			}
			return o.scalar(*v, name)
		})
	default:
		return o.wrongType()
	}
}

func (o *object) scalar(v url.Values, name string) Reason {
	switch o.dec.PeekKind() {
	case '"':
		var s string
		if r := o.text(&s); r != "" {
			return r
		}
		v.Add(name, s)
		return ""
	case '0', 't', 'f':
		raw, err := o.dec.ReadValue()
		if err != nil {
			return o.broken(err)
		}
		v.Add(name, string(raw))
		return ""
	case 'n':
		return o.broken(o.dec.SkipValue())
	default:
		return o.wrongType()
	}
}

// wrongType skips the value ahead and says that its type is wrong.
func (o *object) wrongType() Reason {
	if err := o.dec.SkipValue(); err != nil {
		return o.broken(err)
	}
	if o.lenient {
		return ""
	}
	return ReasonValueType
}

// broken says what a decoder's error means; nil means nothing.
func (o *object) broken(err error) Reason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, jsontext.ErrDuplicateName):
		return ReasonDuplicateName
	case jsontext.Value(o.data).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)):
		// Nothing but its UTF-8 can be wrong with it.
		return ReasonInvalidUTF8
	default:
		return ReasonNotJSON
	}
}
