package talk

import (
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func TestPrompts(t *testing.T) {
	files, err := fs.Glob(Prompts(), "*.wav")
	if err != nil {
		t.Fatal(err)
	}
	spoken := []string{PromptVoicemail, PromptAvailable, PromptWait, PromptClosed, PromptGoodbye}
	if len(files) != len(spoken) {
		t.Fatalf("%d files for %d prompts: %v", len(files), len(spoken), files)
	}
	for _, name := range spoken {
		data, ok := OpenPrompt(name)
		if !ok || len(data) < 44 || string(data[:4]) != "RIFF" || string(data[8:16]) != "WAVEfmt " {
			t.Fatalf("%s is no WAV file", name)
		}
		le := binary.LittleEndian
		format, channels, rate, bits := le.Uint16(data[20:]), le.Uint16(data[22:]), le.Uint32(data[24:]), le.Uint16(data[34:])
		if format != 1 || channels != 1 || rate != 8000 || bits != 16 {
			t.Errorf("%s: format %d, %d channels, %d Hz, %d bits", name, format, channels, rate, bits)
		}
		var peak int16
		for i := 44; i+1 < len(data); i += 2 {
			peak = max(peak, int16(le.Uint16(data[i:])))
		}
		length := time.Duration(len(data)-44) * time.Second / 16000
		if length < time.Second || length > 10*time.Second || peak < 8000 {
			t.Errorf("%s: %v long, peak %d", name, length, peak)
		}
	}
	for _, name := range []string{PromptBeep, PromptMusic, "greeting:", "greeting:none", "greeting:../prompts", strings.Repeat("x", 1000)} {
		if _, ok := OpenPrompt(name); ok {
			t.Errorf("%q is a spoken prompt", name)
		}
	}
}
