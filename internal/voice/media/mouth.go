package media

import (
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/opus"
)

// How we speak Opus: what we have to say comes from telephones and prompts of
// 8 kHz. Agents use it on poor networks, so that FEC is worth its bits; complexity
// 2 is the least that has use of it, and 5 is no better.
var opusVoice = opus.Config{Rate: sampleRate, Complexity: 2, Bitrate: 24000, Loss: 10}

// mouth makes payloads of samples, for one stream. It is not for concurrent use
// and must be closed.
type mouth struct {
	codecs  *Codecs
	encoder *opus.Encoder
	payload []byte
}

// speak encodes 8 kHz samples for the format; ok is false when they cannot be. The
// payload is good until the next call.
func (m *mouth) speak(f Format, samples []int16) (payload []byte, ok bool) {
	if l := lawOf(f.Codec); l != nil {
		m.close()
		m.payload = m.payload[:0]
		for _, s := range samples {
			m.payload = append(m.payload, l.encode(s))
		}
		return m.payload, true
	}
	if f.Codec != call.Opus {
		return nil, false
	}
	var err error
	if m.encoder == nil {
		if m.encoder, err = m.codecs.encoder(); err != nil {
			return nil, false
		}
	}
	m.payload, err = m.encoder.Encode(m.payload[:0], samples)
	return m.payload, err == nil
}

func (m *mouth) close() {
	if m.encoder != nil {
		m.encoder.Close()
		m.encoder = nil
		m.codecs.released()
	}
}
