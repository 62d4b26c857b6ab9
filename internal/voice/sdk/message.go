package sdk

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/go-json-experiment/json/jsontext"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
)

// Message is what app and server tell each other within a call (v2 only).
type Message struct {
	Account  string
	Identity string
	Leg      call.LegID
	ID       string // KX + 32 hex
	Type     string // "user-defined-message"
	MIME     string // of Content; "application/json"
	Content  []byte // a JSON value, at most 10 KiB
}

// UserDefined is the type of message that apps send.
const UserDefined = "user-defined-message"

// message takes an app's message: acknowledged when it was taken, otherwise an
// error that the SDK hands to the call.
func (d *device) message(m callMessage) {
	who, _ := d.party()
	refuse := func(code int, text string) {
		d.server.metrics.refused.WithLabelValues("message").Inc()
		d.send("error", errorPayload{
			Error:   wireError{Code: code, Message: text},
			CallSid: cut(m.CallSid, maxCallSid), VoiceEventID: cut(m.VoiceEventID, maxCallSid),
		})
	}
	l := d.leg(m.CallSid)
	switch {
	case l == nil:
		refuse(codeNotFound, "There is no such call.")
		return
	case m.MessageType != UserDefined || len(m.VoiceEventID) > maxCallSid:
		refuse(codeMessageType, "This type of message is not known.")
		return
	case len(m.Content) > maxMessageBody || len(m.ContentType) > maxCallSid:
		refuse(codeMessageSize, "The message is too large.")
		return
	}
	l.strand.Post(func() {
		if l.done {
			refuse(codeNotFound, "There is no such call.")
			return
		}
		l.here(d)
		if f := d.server.o.OnMessage; f != nil {
			f(Message{
				Account: who.account, Identity: who.identity, Leg: l.id,
				ID: m.VoiceEventID, Type: m.MessageType, MIME: m.ContentType, Content: m.Content,
			})
		}
		d.send("ack", ackPayload{AckType: "message", CallSid: m.CallSid, VoiceEventID: m.VoiceEventID})
	})
}

// Send sends a message to the device that has the leg, and returns the
// message's id. Content is a JSON value of at most 10 KiB. The errors are
// fault.Invalid, fault.NotFound (no such leg) and fault.Unavailable (its device
// is away right now).
func (s *Server) Send(leg call.LegID, content []byte) (id string, err error) {
	if len(content) > maxMessageBody || !jsontext.Value(content).IsValid() {
		return "", fault.New(fault.Invalid, "a message is a JSON value of at most %d bytes", maxMessageBody)
	}
	l := s.directory.legByID(leg)
	if l == nil {
		return "", fault.New(fault.NotFound, "there is no such call at a device")
	}
	d := l.home.Load()
	if d == nil {
		return "", fault.New(fault.Unavailable, "the call's device is not connected right now")
	}
	var b [16]byte
	_, _ = rand.Read(b[:])
	id = "KX" + hex.EncodeToString(b[:])
	if !d.send("message", messagePayload{
		CallSid: string(leg), Content: content, ContentType: "application/json", MessageType: UserDefined, VoiceEventID: id,
	}) {
		return "", fault.New(fault.Unavailable, "the call's device is not connected right now")
	}
	return id, nil
}
