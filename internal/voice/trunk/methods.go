package trunk

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/transaction"
)

const (
	allowed   = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK"
	supported = "100rel, timer"
)

// unsupported answers methods that we know but do not offer with 405, others
// with 501 (RFC 3261 8.2.1, 21.5.2).
func (s *Server) unsupported(tx *transaction.Server) {
	status := sip.StatusNotImplemented
	switch tx.Request.Method {
	case sip.REGISTER, sip.SUBSCRIBE, sip.NOTIFY, sip.PUBLISH, sip.MESSAGE, sip.REFER:
		status = sip.StatusMethodNotAllowed
	default: // the methods that we offer do not come here
	}
	res := transaction.NewResponse(tx.Request, status, newTag())
	res.AppendHeader(sip.NewHeader("Allow", allowed))
	tx.Respond(res)
}

// options answers a carrier's keep-alive; while the node drains it says so.
func (s *Server) options(tx *transaction.Server) {
	status := sip.StatusOK
	if s.isDraining() {
		status = sip.StatusServiceUnavailable
	}
	if unknown := unknownOptions(tx.Request); unknown != "" {
		badExtension(tx, unknown)
		return
	}
	if scheme := tx.Request.Recipient.Scheme; scheme != "sip" && scheme != "sips" && scheme != "tel" {
		tx.Answer(416, newTag())
		return
	}
	res := transaction.NewResponse(tx.Request, status, newTag())
	res.AppendHeader(sip.NewHeader("Allow", allowed))
	res.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	res.AppendHeader(sip.NewHeader("Supported", supported))
	tx.Respond(res)
}

// unknownOptions returns the option tags that a request requires and we lack.
func unknownOptions(req *sip.Request) string {
	var unknown []string
	for _, tag := range tokens(req, "require") {
		if tag != "100rel" && tag != "timer" {
			unknown = append(unknown, tag)
		}
	}
	return strings.Join(unknown, ", ")
}

func badExtension(tx *transaction.Server, unknown string) {
	res := transaction.NewResponse(tx.Request, sip.StatusBadExtension, newTag())
	res.AppendHeader(sip.NewHeader("Unsupported", unknown))
	tx.Respond(res)
}

// tokens returns the comma-separated tokens of all headers of a name.
func tokens(msg sip.Message, name string) []string {
	var list []string
	for _, h := range msg.GetHeaders(name) {
		for t := range strings.SplitSeq(h.Value(), ",") {
			if t = strings.TrimSpace(t); t != "" {
				list = append(list, t)
			}
		}
	}
	return list
}

func has(msg sip.Message, header, token string) bool {
	for _, t := range tokens(msg, header) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}
