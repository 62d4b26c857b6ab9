package talk

import (
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

func TestQualityOfALeg(t *testing.T) {
	got := qualityOf(call.Media{
		Codec: call.Opus, PacketsIn: 1, PacketsOut: 2, Lost: 3, LongestGap: 4 * time.Second, SpeechIn: true,
		Bursts: 5, Jitter: 6780 * time.Microsecond, MOS: 4.2849, RoundTrip: 89_123 * time.Microsecond,
		FarLost: 10, FarJitter: 11_049 * time.Microsecond, FarMOS: 3.996,
	})
	want := Quality{
		Codec: call.Opus, PacketsIn: 1, PacketsOut: 2, Lost: 3, LongestGap: 4, Speech: true,
		Bursts: 5, JitterMS: 6.8, MOS: 4.28, RTTMS: 89.1, FarLost: 10, FarJitterMS: 11, FarMOS: 4,
	}
	if got != want {
		t.Errorf("%+v", got)
	}
}
