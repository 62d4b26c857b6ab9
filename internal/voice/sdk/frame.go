package sdk

import (
	"errors"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of what a client may send within a frame. The frame as a whole is
// bounded by the connection's read limit.
const (
	maxCallSid     = 64
	maxDigits      = 64
	maxParams      = 4 << 10 // bytes of an invite's query string
	maxParamKeys   = 64
	maxMessageBody = 10 << 10
	maxUserAgent   = 300
	maxVersion     = 32
	maxHangupText  = 200
)

// What a frame of a client says. Unknown fields are ignored, as newer SDKs add some.
type (
	listen struct {
		Token            string         `json:"token"`
		ReconnectTimeout float64        `json:"reconnectTimeout"` // seconds; v2 only
		BrowserInfo      jsontext.Value `json:"browserinfo"`
	}
	register struct {
		Media struct {
			Audio bool `json:"audio"`
		} `json:"media"`
	}
	invite struct {
		CallSid   string `json:"callsid"` // TJS… for a new call, CA… with Reconnect
		SDP       string `json:"sdp"`
		Reconnect string `json:"reconnect"`
		Preflight bool   `json:"preflight"` // v1 only
		Twilio    struct {
			Params string `json:"params"`
		} `json:"twilio"`
	}
	answer struct {
		CallSid string `json:"callsid"`
		SDP     string `json:"sdp"`
	}
	reject struct {
		CallSid string `json:"callsid"`
	}
	hangup struct {
		CallSid string `json:"callsid"`
		Message string `json:"message"` // only when the browser's media failed
	}
	dtmf struct {
		CallSid string `json:"callsid"`
		Digits  string `json:"dtmf"`
	}
	reinvite struct {
		CallSid string `json:"callsid"`
		SDP     string `json:"sdp"`
	}
	callMessage struct {
		CallSid      string         `json:"callsid"`
		Content      jsontext.Value `json:"content"`
		ContentType  string         `json:"contenttype"`
		MessageType  string         `json:"messagetype"`
		VoiceEventID string         `json:"voiceeventsid"`
	}
)

var (
	errNotJSON     = errors.New("not a JSON frame")
	errUnknownType = errors.New("unknown frame type")
	errBadPayload  = errors.New("payload does not fit its type")
)

// parseFrame returns what a client's text frame says: one of the types above,
// and the protocol version that the frame names.
func parseFrame(data []byte) (msg any, version string, err error) {
	var f struct {
		Type    string         `json:"type"`
		Version string         `json:"version"`
		Payload jsontext.Value `json:"payload"`
	}
	if json.Unmarshal(data, &f) != nil {
		return nil, "", errNotJSON
	}
	version = cut(f.Version, maxVersion)
	switch f.Type {
	case "listen":
		msg, err = payload[listen](f.Payload)
	case "register":
		msg, err = payload[register](f.Payload)
	case "invite":
		msg, err = payload[invite](f.Payload)
	case "answer":
		msg, err = payload[answer](f.Payload)
	case "reject":
		msg, err = payload[reject](f.Payload)
	case "hangup":
		msg, err = payload[hangup](f.Payload)
	case "dtmf":
		msg, err = payload[dtmf](f.Payload)
	case "reinvite":
		msg, err = payload[reinvite](f.Payload)
	case "message":
		msg, err = payload[callMessage](f.Payload)
	default:
		return nil, version, errUnknownType
	}
	return msg, version, err
}

func payload[T any](raw jsontext.Value) (any, error) {
	var v T
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil, errBadPayload
	}
	return v, nil
}

// browser returns the SDK's version and the user agent of a listen's browserinfo.
// Its shape is the client's affair: what cannot be read is left empty.
func (l listen) browser() (sdk, userAgent string) {
	var info struct {
		Version jsontext.Value `json:"v"`
		Browser jsontext.Value `json:"browser"`
	}
	if len(l.BrowserInfo) == 0 || json.Unmarshal(l.BrowserInfo, &info) != nil {
		return "", ""
	}
	var agent struct {
		UserAgent string `json:"userAgent"`
	}
	if len(info.Version) > 0 && json.Unmarshal(info.Version, &sdk) != nil {
		sdk = ""
	}
	if len(info.Browser) > 0 && json.Unmarshal(info.Browser, &agent) != nil {
		agent.UserAgent = ""
	}
	return cut(sdk, maxVersion), cut(agent.UserAgent, maxUserAgent)
}

var errParams = errors.New("custom parameters too long")

// params returns the custom parameters of a new call.
func (i invite) params() (url.Values, error) {
	if len(i.Twilio.Params) > maxParams {
		return nil, errParams
	}
	values, err := url.ParseQuery(i.Twilio.Params)
	if err != nil || len(values) > maxParamKeys {
		return nil, errParams
	}
	return values, nil
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// What the server says. Pointers and omitted fields follow what the SDKs read.
type (
	serverFrame struct {
		Type    string `json:"type"`
		Payload any    `json:"payload"`
	}
	connectedPayload struct {
		Region  string        `json:"region,omitempty"`
		Edge    string        `json:"edge,omitempty"`
		Home    string        `json:"home,omitempty"`
		Gateway string        `json:"gateway,omitempty"`
		Token   *tokenPayload `json:"token,omitempty"`
	}
	tokenPayload struct {
		Identity string `json:"identity,omitempty"`
		TTL      int    `json:"ttl"` // seconds
	}
	errorPayload struct {
		Error        wireError `json:"error"`
		CallSid      string    `json:"callsid,omitempty"`
		VoiceEventID string    `json:"voiceeventsid,omitempty"`
	}
	wireError struct {
		Code       int    `json:"code"`
		Message    string `json:"message"`
		RetryAfter int    `json:"retryAfter,omitzero"` // seconds
	}
	callPayload struct { // ringing, answer, cancel, hangup
		CallSid   string     `json:"callsid"`
		SDP       string     `json:"sdp,omitempty"`
		Reconnect string     `json:"reconnect,omitempty"`
		Error     *wireError `json:"error,omitempty"`
	}
	invitePayload struct {
		CallSid    string            `json:"callsid"`
		SDP        string            `json:"sdp"`
		Reconnect  string            `json:"reconnect"`
		Parameters map[string]string `json:"parameters"`
	}
	ackPayload struct {
		AckType      string `json:"acktype"`
		CallSid      string `json:"callsid"`
		VoiceEventID string `json:"voiceeventsid"`
	}
	messagePayload struct {
		CallSid      string         `json:"callsid"`
		Content      jsontext.Value `json:"content"`
		ContentType  string         `json:"contenttype"`
		MessageType  string         `json:"messagetype"`
		VoiceEventID string         `json:"voiceeventsid"`
	}
	empty struct{}
)

// encode returns the text of a server frame.
func encode(kind string, payload any) []byte {
	// Callers' names and numbers are in frames; what is not text in them becomes
	// U+FFFD, for without its frame a device would not ring.
	b, err := json.Marshal(serverFrame{kind, payload}, json.Deterministic(true), lenient)
	if err != nil {
		return nil // a broken Content of Send alone, which Send looks at before
	}
	return b
}
