package token

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"dialtone/internal/event"
)

// Inspection shows a token to the person who holds it. Nothing in it was
// verified, and it holds the token's content: never log it.
type Inspection struct {
	Reason   Reason // why the gate refuses it without asking for a key or the time; "" when it does not
	Part     Part   // where
	Features event.TokenFeatures
	Claims   Claims // as far as readable, also of a refused token
	Parts    []InspectedPart
}

// InspectedPart is one segment of the text.
type InspectedPart struct {
	Part        Part
	Characters  int    // length of the segment
	Bytes       int    // length of what it stands for
	JSON        string // the decoded content, indented; "" for the signature. Quoted when it is not JSON
	Dashes      []int  // offsets of '-' in the segment
	Underscores []int  // offsets of '_' in the segment
}

// Inspect takes a text apart without a key. Whether it is expired says At.
func Inspect(text string) Inspection {
	g := look(text)
	i := Inspection{Features: g.features, Claims: g.body.claims()}
	i.Claims.Features = g.features
	if ticketLike(text) {
		i.Claims.Kind = Ticket
		if len(text) != TicketSize {
			i.Reason = ReasonTicketUnknown
		}
		return i
	}
	var t bench
	bad := t.read(text)
	if bad.ok() {
		if r := t.body.semantics(); r != "" {
			bad = verdict{r, Payload}
		}
	}
	i.Reason, i.Part = bad.reason, bad.part
	if len(text) > MaxSize {
		return i
	}
	parts := [3]Part{Header, Payload, Signature}
	for n, segment := range strings.SplitN(text, ".", len(parts)) {
		p := InspectedPart{
			Part: parts[n], Characters: len(segment), Bytes: decodedLen(segment),
			Dashes: offsets(segment, '-'), Underscores: offsets(segment, '_'),
		}
		switch parts[n] {
		case Header:
			p.JSON = readable(g.header)
		case Payload:
			p.JSON = readable(g.payload)
		default: // a signature is bytes
		}
		i.Parts = append(i.Parts, p)
	}
	return i
}

// At adds to an inspection what the gate would say of the token's dates at now.
func (i Inspection) At(now time.Time) Inspection {
	if i.Reason != "" || i.Claims.Kind == Ticket {
		return i
	}
	b := body{issued: i.Claims.Issued, notBefore: i.Claims.NotBefore, expires: i.Claims.Expires}
	if r := b.timely(now); r != "" {
		i.Reason, i.Part = r, Payload
	}
	return i
}

// String lays the inspection out for a terminal. Characters that a terminal
// would act on are escaped.
func (i Inspection) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case i.Reason == "" && i.Claims.Kind == Ticket:
		line("gate", "passes, if it was issued here and nobody used it yet")
	case i.Reason == "":
		line("gate", "passes, if the key exists and the signature is right")
	case i.Part == Whole:
		line("gate", "refuses it: %s", i.Reason)
	default:
		line("gate", "refuses it: %s (%s)", i.Reason, i.Part)
	}
	line("kind", "%s", i.Features.Kind)
	line("size", "%d bytes of at most %d", i.Features.Size, MaxSize)
	for _, p := range i.Parts {
		line(string(p.Part), "%d characters, %d bytes (%d mod 3), %s", p.Characters, p.Bytes, p.Bytes%3, p.alphabet())
		if p.JSON != "" {
			b.WriteString("  " + strings.ReplaceAll(p.JSON, "\n", "\n  ") + "\n")
		}
	}
	if c := i.Claims; c.Kind == Ticket {
		line("content", "none: what a ticket allows is known where it was issued")
	} else if c.Kind != "" {
		if c.Issuer != "" {
			line("issuer", "%s", show(c.Issuer))
		}
		line("account", "%s", show(c.Account))
		line("key", "%s", show(c.KeyID))
		line("identity", "%s (%d bytes, %d mod 3)", show(c.Identity), len(c.Identity), len(c.Identity)%3)
		line("allows", "%s", c.allows())
		for _, d := range []struct {
			name string
			at   time.Time
		}{{"issued", c.Issued}, {"not before", c.NotBefore}, {"expires", c.Expires}} {
			if !d.at.IsZero() {
				line(d.name, "%s", d.at.UTC().Format(time.RFC3339))
			}
		}
	}
	return b.String()
}

func (p InspectedPart) alphabet() string {
	if len(p.Dashes)+len(p.Underscores) == 0 {
		return "neither '-' nor '_'"
	}
	return fmt.Sprintf("'-' at %v, '_' at %v", p.Dashes, p.Underscores)
}

func (c Claims) allows() string {
	var what []string
	if c.Incoming {
		what = append(what, "incoming")
	}
	if c.Outgoing {
		out := "outgoing by " + show(c.OutgoingApp)
		if len(c.OutgoingParams) > 0 {
			out += " with " + show(query(c.OutgoingParams))
		}
		what = append(what, out)
	}
	if len(what) == 0 {
		return "nothing"
	}
	return strings.Join(what, ", ")
}

func offsets(s string, c byte) []int {
	var at []int
	for i := range len(s) {
		if s[i] == c {
			at = append(at, i)
		}
	}
	return at
}

// readable indents JSON and quotes anything else.
func readable(data string) string {
	if len(data) == 0 {
		return ""
	}
	v := jsontext.Value(data)
	if !utf8.ValidString(data) || v.Indent(jsontext.AllowDuplicateNames(true), jsontext.WithIndent("  ")) != nil {
		return strconv.Quote(data)
	}
	var b strings.Builder
	for _, c := range string(v) {
		if c == '\n' || unicode.IsPrint(c) {
			b.WriteRune(c)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
	}
	return b.String()
}

// show makes a claim fit for a terminal: as it stands if every character is
// printable, quoted otherwise.
func show(s string) string {
	if s == "" {
		return "none"
	}
	if q := strconv.Quote(s); len(q) != len(s)+2 {
		return q
	}
	return s
}
