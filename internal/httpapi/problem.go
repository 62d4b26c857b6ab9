package httpapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/fault"
	"dialtone/internal/talk/people"
)

// statuses is the one mapping of kinds of faults to HTTP.
var statuses = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusUnprocessableEntity,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.TooMany:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

func problem(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
}

// failed turns an error into the answer for it; faults of ours are logged here,
// and only here.
func (s *Server) failed(err error) error {
	p, header := s.problemOf(err)
	if header != nil {
		return huma.ErrorWithHeaders(p, header)
	}
	return p
}

func (s *Server) problemOf(err error) (*huma.ErrorModel, http.Header) {
	kind := fault.KindOf(err)
	if kind == fault.Internal || kind == fault.Unavailable {
		s.o.Log.Error("request failed", slog.Any("error", err))
	}
	p := problem(statuses[kind], fault.Message(err))
	var wait *people.Backoff
	if errors.As(err, &wait) {
		seconds := int(math.Ceil(wait.RetryAfter.Seconds()))
		return p, http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	}
	return p, nil
}

// writeFault answers outside the operations of the API document.
func (s *Server) writeFault(w http.ResponseWriter, err error) {
	p, header := s.problemOf(err)
	for name, values := range header {
		w.Header()[name] = values
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone if it fails
}
