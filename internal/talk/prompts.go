package talk

import (
	"embed"
	"io/fs"
	"strings"
)

// The prompts. Those named greeting are spoken and come from OpenPrompt; tones
// and music are voice/media's.
const (
	PromptVoicemail = "greeting:voicemail"
	PromptAvailable = "greeting:available"
	PromptWait      = "greeting:wait"   // all agents are busy, press 1 to leave a message
	PromptClosed    = "greeting:closed" // nobody can take the call, and there is no voicemail
	PromptGoodbye   = "greeting:goodbye"
	PromptBeep      = "tone:beep"
	PromptMusic     = "music:hold"
)

// The files are made by scripts/make-prompts.sh.
//
//go:embed prompts/*.wav
var promptFiles embed.FS

// Prompts returns the spoken prompts as files: NAME.wav for greeting:NAME, 8 kHz,
// 16 bit, mono.
func Prompts() fs.FS {
	sub, err := fs.Sub(promptFiles, "prompts")
	if err != nil {
		panic(err) // "prompts" is a valid path
	}
	return sub
}

// OpenPrompt returns the WAV file of a spoken prompt by its name.
func OpenPrompt(name string) ([]byte, bool) {
	short, ok := strings.CutPrefix(name, "greeting:")
	if !ok || strings.ContainsAny(short, "/\\") {
		return nil, false
	}
	data, err := promptFiles.ReadFile("prompts/" + short + ".wav")
	return data, err == nil
}
