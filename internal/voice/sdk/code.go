package sdk

import (
	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/token"
)

// The SDK error codes that we send. Only codes that the SDKs know are of use:
// others become 53000 or 31005 in the app. Whether the app sees the code itself
// depends on its SDK; the tables are in docs/voice-sdk.md.
const (
	codeNone          = 0
	codeUnknown       = 31000 // something failed on our side
	codeRefused       = 31002 // ConnectionDeclined
	codeConnection    = 31005 // ConnectionError
	codeParamsTooLong = 31103
	codeAuthorization = 31201
	codeTokenInvalid  = 31204
	codeTokenExpired  = 31205
	codeRate          = 31206
	codeReconnect     = 31209
	codeMessageType   = 31210
	codeMessageSize   = 31212
	codeBadRequest    = 31400
	codeNotFound      = 31404
	codeUnavailable   = 31480
	codeBusy          = 31486
	codeDeclined      = 31603
	codeSignalling    = 53000
	codeMedia         = 53405
)

// endCodes says which error a hangup carries for an end cause; 0: none, the
// call just ended.
var endCodes = map[call.EndCause]int{
	call.Completed:    codeNone,
	call.Cancelled:    codeNone,
	call.Replaced:     codeNone,
	call.Declined:     codeDeclined,
	call.Busy:         codeBusy,
	call.NoAnswer:     codeUnavailable,
	call.Unreachable:  codeUnavailable,
	call.NotFound:     codeNotFound,
	call.Forbidden:    codeRefused,
	call.CarrierError: codeConnection,
	call.CarrierDown:  codeConnection,
	call.NoCodec:      codeMedia,
	call.MediaFailed:  codeMedia,
	call.MediaLost:    codeMedia,
	call.SignalLost:   codeSignalling,
	call.TimeLimit:    codeConnection,
	call.Overload:     codeRate,
	call.Shutdown:     codeConnection,
	call.Failed:       codeUnknown,
}

// endTexts are the messages beside the codes, for the person who reads the app's log.
var endTexts = map[call.EndCause]string{
	call.Declined:     "The called party declined.",
	call.Busy:         "The called party is busy.",
	call.NoAnswer:     "Nobody answered.",
	call.Unreachable:  "The called party cannot be reached.",
	call.NotFound:     "There is no such number or client.",
	call.Forbidden:    "This call is not allowed.",
	call.CarrierError: "The carrier refused the call.",
	call.CarrierDown:  "No carrier answered.",
	call.NoCodec:      "There is no common audio format.",
	call.MediaFailed:  "The audio connection did not come up.",
	call.MediaLost:    "The audio connection was lost.",
	call.SignalLost:   "The connection to the server was lost.",
	call.TimeLimit:    "The longest allowed duration is over.",
	call.Overload:     "Too many calls at the moment.",
	call.Shutdown:     "The server is stopping.",
	call.Failed:       "Something went wrong on our side.",
}

// endError returns the error that a hangup carries for the cause, nil for none.
func endError(cause call.EndCause) *wireError {
	code, known := endCodes[cause]
	if !known {
		code = codeUnknown
	}
	if code == codeNone {
		return nil
	}
	return &wireError{Code: code, Message: endTexts[cause]}
}

// refusal is how a device is told that its token does not let it in.
func refusal(class token.Class) wireError {
	switch class {
	case token.Expired:
		return wireError{Code: codeTokenExpired, Message: "The token is expired."}
	case token.Unauthorized:
		return wireError{Code: codeAuthorization, Message: "The token's account or key is not known or not allowed."}
	case token.Malformed:
		return wireError{Code: codeTokenInvalid, Message: "The token is malformed or its signature is wrong."}
	}
	return wireError{Code: codeTokenInvalid, Message: "The token is not valid."}
}

// refusedCause says how a call ended that the exchange did not take.
func refusedCause(err error) call.EndCause {
	switch fault.KindOf(err) {
	case fault.TooMany:
		return call.Overload
	case fault.Unavailable:
		return call.Shutdown
	case fault.Forbidden, fault.Unauthenticated:
		return call.Forbidden
	case fault.NotFound:
		return call.NotFound
	case fault.Internal, fault.Invalid, fault.Conflict:
	}
	return call.Failed
}
