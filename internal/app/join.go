package app

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"dialtone/internal/talk"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/switchboard"
)

// lateExchange lets devices and carriers be built before the switchboard that
// needs them; it is set before any of them runs.
type lateExchange struct{ *switchboard.Switchboard }

var errUnknownPrompt = errors.New("there is no such prompt")

// clips are the platform's tones and the call centre's spoken prompts, decoded
// once.
type clips map[string]*media.Clip

// Prompt implements switchboard.Prompts.
func (c clips) Prompt(name string) (*media.Clip, error) {
	clip, ok := c[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, errUnknownPrompt)
	}
	return clip, nil
}

// newPrompts returns every prompt; the country decides what ringing sounds like.
func newPrompts(country string) (clips, error) {
	c := clips{
		call.RingbackTone: media.Ringback(country),
		call.HoldMusic:    media.HoldMusic(),
		call.QuietTone:    media.Silence(time.Second),
		talk.PromptBeep:   media.Beep(),
	}
	for _, name := range []string{
		talk.PromptVoicemail, talk.PromptAvailable, talk.PromptWait, talk.PromptClosed, talk.PromptGoodbye,
	} {
		file, ok := talk.OpenPrompt(name)
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, errUnknownPrompt)
		}
		clip, err := media.ReadWAV(bytes.NewReader(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c[name] = clip
	}
	return c, nil
}
