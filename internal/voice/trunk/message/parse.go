// Package message reads SIP messages strictly: everything that RFC 3261's grammar
// forbids and RFC 4475 wants refused is refused, with the status to answer.
//
// What passes is handed on as sipgo's message types with every field that the
// rest of the trunk uses already taken apart. sipgo's own parser is not used: it
// lets pass what must be refused (a To with an open quote, a Via that is not
// one), and it loses parameters in quotes.
//
// The package holds no state. A message's strings share one copy of its bytes.
package message

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// MaxSize is the longest message taken, in bytes.
const MaxSize = 65535

// Rejection says why a message is refused. It is an error.
type Rejection struct {
	Status int    // what to answer a request with: 400 or 505
	Reason string // short, without content of the message; fit for a reason phrase
}

// Error implements error.
func (r *Rejection) Error() string { return strconv.Itoa(r.Status) + " " + r.Reason }

func bad(reason string) *Rejection {
	return &Rejection{Status: sip.StatusBadRequest, Reason: reason}
}

// Parse reads one whole message, as a datagram carries it: bytes after the body
// are ignored (RFC 3261 18.3). The result is a *sip.Request or a *sip.Response.
func Parse(b []byte) (sip.Message, *Rejection) {
	if len(b) > MaxSize {
		return nil, bad("Message Too Large")
	}
	b = TrimKeepAlive(b)
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, bad("Missing End Of Header")
	}
	body := b[end+4:]
	lines := unfold(string(b[:end]))

	msg, method, rej := startLine(lines[0])
	if rej != nil {
		return nil, rej
	}
	p := parser{msg: msg, method: method, length: -1}
	for _, line := range lines[1:] {
		if rej := p.header(line); rej != nil {
			return nil, rej
		}
	}
	if p.length > len(body) {
		return nil, bad("Content-Length Beyond Message")
	}
	if p.length >= 0 {
		body = body[:p.length]
	}
	if len(body) > 0 {
		msg.SetBody(bytes.Clone(body))
	}
	return msg, nil
}

// TrimKeepAlive cuts the empty lines that may come before a message (RFC 3261 7.5, RFC 5626 3.5.1).
func TrimKeepAlive(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// unfold splits a header section at its line ends and joins continuation lines.
func unfold(s string) []string {
	raw := strings.Split(s, "\r\n")
	lines := raw[:0:0]
	for i, line := range raw {
		if i > 1 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			lines[len(lines)-1] += " " + strings.Trim(line, " \t")
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

func startLine(line string) (sip.Message, sip.RequestMethod, *Rejection) {
	if rest, ok := strings.CutPrefix(line, "SIP/"); ok {
		return statusLine(rest)
	}
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !isToken(method) {
		return nil, "", bad("Bad Request Line")
	}
	uri, version, ok := strings.Cut(rest, " ")
	if !ok || uri == "" || strings.ContainsAny(version, " \t") {
		return nil, "", bad("Bad Request Line")
	}
	if rej := checkVersion(version); rej != nil {
		return nil, "", rej
	}
	var to sip.Uri
	if err := parseURI(uri, &to); err != nil || len(to.Headers) > 0 {
		return nil, "", bad("Bad Request-URI")
	}
	req := sip.NewRequest(sip.RequestMethod(method), to)
	return req, req.Method, nil
}

// statusLine reads what follows "SIP/". A reason phrase may be empty (RFC 4475
// 3.1.1.13); the space before it is missing in some gateways' answers.
func statusLine(rest string) (sip.Message, sip.RequestMethod, *Rejection) {
	version, rest, _ := strings.Cut(rest, " ")
	if rej := checkVersion("SIP/" + version); rej != nil {
		return nil, "", rej
	}
	code, reason, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 100 || status > 699 {
		return nil, "", bad("Bad Status Code")
	}
	return sip.NewResponse(status, reason), "", nil
}

func checkVersion(v string) *Rejection {
	num, ok := strings.CutPrefix(strings.ToUpper(v), "SIP/")
	major, minor, dot := strings.Cut(num, ".")
	if !ok || !dot || !isDigits(major) || !isDigits(minor) {
		return bad("Bad SIP Version")
	}
	if num != "2.0" {
		return &Rejection{Status: sip.StatusVersionNotSupported, Reason: "Version Not Supported"}
	}
	return nil
}

type parser struct {
	msg    sip.Message
	method sip.RequestMethod // "" in a response
	length int               // Content-Length, -1 without
}

// compact names of RFC 3261 7.3.3 and of the extensions in use.
var compact = map[string]string{
	"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding", "f": "From",
	"i": "Call-ID", "k": "Supported", "l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To",
	"s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity",
}

func (p *parser) header(line string) *Rejection {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) {
		return bad("Bad Header Line")
	}
	value = strings.Trim(value, " \t")
	if long, ok := compact[strings.ToLower(name)]; ok {
		name = long
	}
	switch strings.ToLower(name) {
	case "via":
		return p.vias(value)
	case "from":
		return p.from(value)
	case "to":
		return p.to(value)
	case "contact":
		return p.contacts(value)
	case "route", "record-route":
		return p.routes(name, value)
	case "call-id":
		if value == "" || strings.ContainsAny(value, " \t") {
			return bad("Bad Call-ID")
		}
		h := sip.CallIDHeader(value)
		p.msg.AppendHeader(&h)
	case "cseq":
		return p.cseq(value)
	case "max-forwards":
		n, ok := number(value, 255)
		if !ok {
			return bad("Bad Max-Forwards")
		}
		h := sip.MaxForwardsHeader(n)
		p.msg.AppendHeader(&h)
	case "content-length":
		return p.contentLength(value)
	case "content-type":
		if value == "" {
			return bad("Bad Content-Type")
		}
		h := sip.ContentTypeHeader(value)
		p.msg.AppendHeader(&h)
	case "date":
		// RFC 3261 20.17: always GMT.
		if _, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", value); err != nil {
			return bad("Bad Date")
		}
		p.msg.AppendHeader(sip.NewHeader("Date", value))
	default:
		p.msg.AppendHeader(sip.NewHeader(name, value))
	}
	return nil
}

func (p *parser) cseq(value string) *Rejection {
	num, method, ok := strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
	method = strings.TrimLeft(method, " ")
	n, fits := number(num, 1<<31-1)
	if !ok || !fits || !isToken(method) {
		return bad("Bad CSeq")
	}
	if p.method != "" && string(p.method) != method {
		return bad("CSeq Method Mismatch")
	}
	p.msg.AppendHeader(&sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(method)})
	return nil
}

func (p *parser) contentLength(value string) *Rejection {
	n, ok := number(value, MaxSize)
	if !ok {
		return bad("Bad Content-Length")
	}
	if p.length >= 0 {
		p.msg.AppendHeader(sip.NewHeader("Content-Length", value)) // for Check to find
		return nil
	}
	p.length = n
	h := sip.ContentLengthHeader(n)
	p.msg.AppendHeader(&h)
	return nil
}

func (p *parser) from(value string) *Rejection {
	a, err := parseAddress(value)
	if err != nil {
		return bad("Bad From")
	}
	p.msg.AppendHeader(&sip.FromHeader{DisplayName: a.display, Address: a.uri, Params: a.params})
	return nil
}

func (p *parser) to(value string) *Rejection {
	a, err := parseAddress(value)
	if err != nil {
		return bad("Bad To")
	}
	p.msg.AppendHeader(&sip.ToHeader{DisplayName: a.display, Address: a.uri, Params: a.params})
	return nil
}

func (p *parser) contacts(value string) *Rejection {
	if value == "*" {
		p.msg.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Wildcard: true, Host: "*"}})
		return nil
	}
	for _, v := range splitList(value) {
		a, err := parseAddress(v)
		if err != nil {
			return bad("Bad Contact")
		}
		p.msg.AppendHeader(&sip.ContactHeader{DisplayName: a.display, Address: a.uri, Params: a.params})
	}
	return nil
}

func (p *parser) routes(name, value string) *Rejection {
	for _, v := range splitList(value) {
		a, err := parseAddress(v)
		if err != nil || !a.bracketed {
			return bad("Bad " + name)
		}
		if strings.EqualFold(name, "Route") {
			p.msg.AppendHeader(&sip.RouteHeader{Address: a.uri})
		} else {
			p.msg.AppendHeader(&sip.RecordRouteHeader{Address: a.uri})
		}
	}
	return nil
}

func (p *parser) vias(value string) *Rejection {
	for _, v := range splitList(value) {
		via, err := parseVia(v)
		if err != nil {
			return bad("Bad Via")
		}
		p.msg.AppendHeader(via)
	}
	return nil
}
