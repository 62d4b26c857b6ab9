package trunk

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/transaction"
)

// informed takes an INFO: a key by signalling, or something we need not know.
func (l *leg) informed(tx *transaction.Server) {
	req := tx.Request
	kind := ""
	if t := req.ContentType(); t != nil {
		kind, _, _ = strings.Cut(strings.ToLower(string(*t)), ";")
		kind = strings.TrimSpace(kind)
	}
	switch kind {
	case "application/dtmf-relay", "application/dtmf":
		digit, ok := infoDigit(kind, req.Body())
		if !ok {
			tx.Answer(sip.StatusBadRequest, "")
			return
		}
		tx.Answer(sip.StatusOK, "")
		l.tell(call.Dialled{Digit: digit})
	case "":
		tx.Answer(sip.StatusOK, "")
	default:
		res := transaction.NewResponse(req, sip.StatusUnsupportedMediaType, "")
		res.AppendHeader(sip.NewHeader("Accept", "application/sdp, application/dtmf-relay, application/dtmf"))
		tx.Respond(res)
	}
}

// infoDigit reads the key of an INFO body: "Signal=5\r\nDuration=160" or "5". Some
// senders write 10 and 11 for star and pound, as RFC 4733 numbers them.
func infoDigit(kind string, body []byte) (byte, bool) {
	text := strings.TrimSpace(string(body))
	if kind == "application/dtmf-relay" {
		found := false
		for line := range strings.Lines(text) {
			name, value, ok := strings.Cut(line, "=")
			if ok && strings.EqualFold(strings.TrimSpace(name), "signal") {
				text, found = strings.TrimSpace(value), true
				break
			}
		}
		if !found {
			return 0, false
		}
	}
	switch text {
	case "10":
		return '*', true
	case "11":
		return '#', true
	}
	if len(text) != 1 {
		return 0, false
	}
	digit := text[0]
	if digit >= 'a' && digit <= 'd' {
		digit -= 'a' - 'A'
	}
	return digit, strings.IndexByte("0123456789*#ABCD", digit) >= 0
}

// sdpPart finds the SDP among the parts of a body (RFC 5621), nil if there is none.
func sdpPart(contentType string, body []byte) []byte {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range 16 {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) || err != nil {
			return nil
		}
		kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";")
		if strings.EqualFold(strings.TrimSpace(kind), "application/sdp") {
			b, err := io.ReadAll(io.LimitReader(part, 1<<16))
			if err != nil {
				return nil
			}
			return b
		}
	}
	return nil
}
