package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"dialtone/internal/talk"
)

// VoicemailPath is a part of inputs, exported as Page is.
type VoicemailPath struct {
	ID string `path:"id" maxLength:"64"`
}

type (
	voicemailsAnswer struct{ Body talk.VoicemailPage }
	heardInput       struct {
		VoicemailPath
		Body struct {
			Heard bool `json:"heard"`
		}
	}
)

func (s *Server) voicemailOperations(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "voicemails", Method: http.MethodGet, Path: "/api/v1/voicemails", Summary: "Messages on one's lines, newest first",
		Tags: []string{"voicemail"}, Security: byBoth, Errors: []int{401, 422},
	}, s.voicemails)
	huma.Register(api, huma.Operation{
		OperationID: "heard", Method: http.MethodPost, Path: "/api/v1/voicemails/{id}/heard", Summary: "Mark a message as heard, or as new again",
		Tags: []string{"voicemail"}, Security: byBoth, Errors: []int{401, 403, 404}, DefaultStatus: http.StatusNoContent,
	}, s.heard)
	huma.Register(api, huma.Operation{
		OperationID: "delete-voicemail", Method: http.MethodDelete, Path: "/api/v1/voicemails/{id}", Summary: "Delete a message and its audio",
		Tags: []string{"voicemail"}, Security: byBoth, Errors: []int{401, 403, 404}, DefaultStatus: http.StatusNoContent,
	}, s.deleteVoicemail)
}

func (s *Server) voicemails(ctx context.Context, in *Page) (*voicemailsAnswer, error) {
	p, err := s.o.Desk.Voicemails(ctx, callerOf(ctx).viewer, in.Cursor, in.Limit)
	if err != nil {
		return nil, s.failed(err)
	}
	return &voicemailsAnswer{Body: p}, nil
}

func (s *Server) heard(ctx context.Context, in *heardInput) (*struct{}, error) {
	return s.nothing(s.o.Desk.Heard(ctx, callerOf(ctx).viewer, in.ID, in.Body.Heard))
}

func (s *Server) deleteVoicemail(ctx context.Context, in *VoicemailPath) (*struct{}, error) {
	return s.nothing(s.o.Desk.DeleteVoicemail(ctx, callerOf(ctx).viewer, in.ID))
}

// voicemailAudio serves a message's audio to those who may see the message.
func (s *Server) voicemailAudio(w http.ResponseWriter, r *http.Request) {
	c, err := s.identify(r, false)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	v, err := s.o.Desk.Voicemail(r.Context(), c.viewer, r.PathValue("id"))
	if err != nil {
		s.writeFault(w, err)
		return
	}
	audio, written, err := s.o.Recordings.Open(v.ID)
	if err != nil {
		s.writeFault(w, err)
		return
	}
	defer audio.Close()
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Cache-Control", "private, no-store")
	http.ServeContent(w, r, "voicemail.wav", written, audio)
}
