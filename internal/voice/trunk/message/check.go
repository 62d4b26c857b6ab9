package message

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Check says what is wrong with a request that the grammar allows: a header that
// must be there is missing, or one that may be there once is there twice
// (RFC 4475 3.3.1, 3.3.8, 3.3.9). It returns nil for a sound request.
func Check(req *sip.Request) *Rejection {
	for _, name := range []string{"via", "from", "to", "call-id", "cseq"} {
		if len(req.GetHeaders(name)) == 0 {
			return bad("Missing " + canonical[name])
		}
	}
	for _, name := range []string{"from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type"} {
		if len(req.GetHeaders(name)) > 1 {
			return bad("Multiple " + canonical[name])
		}
	}
	return nil
}

var canonical = map[string]string{
	"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq",
	"max-forwards": "Max-Forwards", "content-length": "Content-Length", "content-type": "Content-Type",
}

// Reply builds the answer to a refused request from the bytes it came as. ok is
// false when there can be none: it was an ACK or a response, or it lacks the
// headers that an answer must repeat.
func (r *Rejection) Reply(raw []byte) (answer []byte, ok bool) {
	raw = TrimKeepAlive(raw)
	if end := bytes.Index(raw, []byte("\r\n\r\n")); end >= 0 {
		raw = raw[:end]
	}
	if len(raw) > MaxSize {
		raw = raw[:MaxSize]
	}
	lines := unfold(strings.TrimRight(string(raw), "\r\n"))
	if strings.HasPrefix(lines[0], "SIP/") || strings.HasPrefix(lines[0], "ACK ") {
		return nil, false
	}
	var out strings.Builder
	fmt.Fprintf(&out, "SIP/2.0 %d %s\r\n", r.Status, r.Reason)
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if long, ok := compact[name]; ok {
			name = strings.ToLower(long)
		}
		switch name {
		case "via":
		case "from", "to", "call-id", "cseq":
			if seen[name] {
				continue
			}
		default:
			continue
		}
		seen[name] = true
		value = strings.Trim(value, " \t")
		if name == "to" && !strings.Contains(strings.ToLower(value), "tag") {
			value += ";tag=" + rand.Text()
		}
		fmt.Fprintf(&out, "%s: %s\r\n", canonical[name], value)
	}
	if !seen["via"] || !seen["cseq"] || !seen["call-id"] {
		return nil, false
	}
	out.WriteString("Content-Length: 0\r\n\r\n")
	return []byte(out.String()), true
}
