package token

import (
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scan goes through a JSON text (RFC 8259) from left to right. It refuses invalid
// UTF-8, lone surrogates and duplicate names, at any depth and also in what it
// skips; a careless one minds neither. It does not recurse into what it skips.
//
// encoding/json lets all three pass, and a general decoder that refuses them costs
// several times as much as everything else that is done with a token.
type scan struct {
	data     string
	pos      int
	careless bool
	names    []string // of the objects that are open, those of the innermost last
	frames   []frame  // of the values that skip is inside of
}

// frame is an object or array that is open.
type frame struct {
	object bool
	base   int                 // where its names begin
	seen   map[string]struct{} // its names, once they are many
}

// manyNames is from when on a map finds duplicates sooner than looking at all.
const manyNames = 16

// of makes s read data from its beginning; of nothing makes it let go of the last.
func (s *scan) of(data string) {
	clear(s.names)
	clear(s.frames)
	s.data, s.pos, s.names, s.frames = data, 0, s.names[:0], s.frames[:0]
}

// space skips white space and returns the byte after it, 0 at the end.
func (s *scan) space() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// over reports whether nothing but white space is left.
func (s *scan) over() bool {
	s.space()
	return s.pos == len(s.data)
}

// ahead returns the first byte of the value ahead, and '0' for any number.
func (s *scan) ahead() byte {
	c := s.space()
	if c == '-' || '0' <= c && c <= '9' {
		return '0'
	}
	return c
}

// each visits every member of the object ahead by its name; visit must read the
// member's value.
func (s *scan) each(visit func(name string) Reason) Reason {
	s.pos++ // {
	f := frame{object: true, base: len(s.names)}
	if s.space() == '}' {
		s.pos++
		return ""
	}
	for {
		name, r := s.name(&f)
		if r != "" {
			return r
		}
		if r := visit(name); r != "" {
			return r
		}
		switch s.space() {
		case '}':
			s.pos++
			s.forget(f)
			return ""
		case ',':
			s.pos++
		default:
			return ReasonNotJSON
		}
	}
}

// name reads a member's name and colon in an object.
func (s *scan) name(f *frame) (string, Reason) {
	if s.space() != '"' {
		return "", ReasonNotJSON
	}
	name, escaped, r := s.quoted()
	if r != "" {
		return "", r
	}
	if escaped {
		name = unescaped(name)
	}
	if s.space() != ':' {
		return "", ReasonNotJSON
	}
	s.pos++
	if s.careless {
		return name, ""
	}
	if f.seen == nil {
		mine := s.names[f.base:]
		for _, n := range mine {
			if n == name {
				return "", ReasonDuplicateName
			}
		}
		if s.names = append(s.names, name); len(mine) < manyNames {
			return name, ""
		}
		f.seen = make(map[string]struct{}, 4*manyNames)
		for _, n := range s.names[f.base:] {
			f.seen[n] = struct{}{}
		}
		return name, ""
	}
	if _, ok := f.seen[name]; ok {
		return "", ReasonDuplicateName
	}
	f.seen[name] = struct{}{}
	return name, ""
}

// forget closes an object.
func (s *scan) forget(f frame) {
	clear(s.names[f.base:])
	s.names = s.names[:f.base]
}

// skip reads the value ahead, whatever it is.
func (s *scan) skip() Reason {
	bottom := len(s.frames)
	for {
		switch c := s.space(); c {
		case '{', '[':
			s.pos++
			s.frames = append(s.frames, frame{object: c == '{', base: len(s.names)})
			switch next := s.space(); {
			case next == c+2: // } or ]
			case c == '[':
				continue
			default:
				if _, r := s.name(&s.frames[len(s.frames)-1]); r != "" {
					return r
				}
				continue
			}
		default:
			if r := s.simple(c); r != "" {
				return r
			}
		}
		// A value ended, or a container is empty: close all that end here.
		for {
			if len(s.frames) == bottom {
				return ""
			}
			top := &s.frames[len(s.frames)-1]
			end := byte(']')
			if top.object {
				end = '}'
			}
			c := s.space()
			if c == end {
				s.pos++
				s.forget(*top)
				*top = frame{}
				s.frames = s.frames[:len(s.frames)-1]
				continue
			}
			if c != ',' {
				return ReasonNotJSON
			}
			s.pos++
			if top.object {
				if _, r := s.name(top); r != "" {
					return r
				}
			}
			break
		}
	}
}

// raw returns the value ahead as it is written.
func (s *scan) raw() (string, Reason) {
	s.space()
	from := s.pos
	r := s.skip()
	return s.data[from:s.pos], r
}

// simple reads a value that begins with c and is neither object nor array.
func (s *scan) simple(c byte) Reason {
	switch {
	case c == '"':
		_, _, r := s.quoted()
		return r
	case c == '-', '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	default:
		return ReasonNotJSON
	}
}

func (s *scan) literal(word string) Reason {
	if !strings.HasPrefix(s.data[s.pos:], word) {
		return ReasonNotJSON
	}
	s.pos += len(word)
	return ""
}

// number reads a number (RFC 8259 section 6).
func (s *scan) number() Reason {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return ReasonNotJSON
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return ReasonNotJSON
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return ReasonNotJSON
		}
	}
	return ""
}

// peek returns the next byte, 0 at the end.
func (s *scan) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// digits reads one digit or more.
func (s *scan) digits() bool {
	from := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > from
}

// quoted reads the string ahead (RFC 8259 section 7) and returns what is between
// its quotes, with its escapes checked but still in it.
func (s *scan) quoted() (written string, escaped bool, r Reason) {
	d := s.data
	for i := s.pos + 1; i < len(d); {
		if i += ordinary(d[i:]); i == len(d) {
			break
		}
		switch c := d[i]; {
		case c == '"':
			written = d[s.pos+1 : i]
			s.pos = i + 1
			return written, escaped, ""
		case c == '\\':
			escaped = true
			n, r := s.escape(d[i:])
			if r != "" {
				return "", false, r
			}
			i += n
		case c < ' ':
			return "", false, ReasonNotJSON
		case c < utf8.RuneSelf:
			i++
		default:
			c, n := utf8.DecodeRuneInString(d[i:])
			if c == utf8.RuneError && n == 1 && !s.careless {
				return "", false, ReasonInvalidUTF8
			}
			i += n
		}
	}
	return "", false, ReasonNotJSON
}

// ordinary returns how many of the first bytes of d stand for themselves in a
// string: printable ASCII but '"' and '\\', in steps of eight and then up to the
// first other one, or fewer than eight at the end.
func ordinary(d string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for len(d) >= 8 {
		x := uint64(d[0]) | uint64(d[1])<<8 | uint64(d[2])<<16 | uint64(d[3])<<24 |
			uint64(d[4])<<32 | uint64(d[5])<<40 | uint64(d[6])<<48 | uint64(d[7])<<56
		// A subtraction borrows in each byte that is below ' ', or equal; what it
		// takes from the bytes above it matters no more.
		other := (x | (x - ' '*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) & tops
		if other != 0 {
			return n + bits.TrailingZeros64(other)/8
		}
		n += 8
		d = d[8:]
	}
	return n
}

// escape returns the length of the escape that d begins with; a surrogate pair is one.
func (s *scan) escape(d string) (int, Reason) {
	if len(d) < 2 {
		return 0, ReasonNotJSON
	}
	if d[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, d[1]) < 0 {
			return 0, ReasonNotJSON
		}
		return 2, ""
	}
	c, ok := hexadecimal(d)
	if !ok {
		return 0, ReasonNotJSON
	}
	if !utf16.IsSurrogate(c) {
		return 6, ""
	}
	if low, ok := hexadecimal(d[6:]); ok && utf16.DecodeRune(c, low) != utf8.RuneError {
		return 12, ""
	}
	if s.careless {
		return 6, ""
	}
	return 0, ReasonInvalidUTF8
}

// hexadecimal reads the \uXXXX that d begins with.
func hexadecimal(d string) (rune, bool) {
	if len(d) < 6 || d[0] != '\\' || d[1] != 'u' {
		return 0, false
	}
	var c rune
	for i := 2; i < 6; i++ {
		c <<= 4
		switch h := d[i]; {
		case '0' <= h && h <= '9':
			c |= rune(h - '0')
		case 'a' <= h && h <= 'f':
			c |= rune(h-'a') + 10
		case 'A' <= h && h <= 'F':
			c |= rune(h-'A') + 10
		default:
			return 0, false
		}
	}
	return c, true
}

// unescaped returns what was written with escapes, which quoted has checked. What
// only a careless scan lets pass becomes U+FFFD.
func unescaped(written string) string {
	var b strings.Builder
	b.Grow(len(written))
	for i := 0; i < len(written); {
		c := written[i]
		if c != '\\' {
			r, n := utf8.DecodeRuneInString(written[i:])
			b.WriteRune(r)
			i += n
			continue
		}
		switch c := written[i+1]; c {
		case 'u':
			r, _ := hexadecimal(written[i:])
			i += 6
			if utf16.IsSurrogate(r) {
				low, ok := hexadecimal(written[i:])
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			b.WriteRune(r)
			continue
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		default:
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String()
}
