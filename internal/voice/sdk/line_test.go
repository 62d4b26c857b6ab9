package sdk

import (
	"testing"

	"dialtone/internal/voice/call"
)

// The record of a call is written when its legs' peers are closed.
func TestLineRemembersItsFormat(t *testing.T) {
	var l line
	if f, ok := l.Format(); ok {
		t.Errorf("before any peer: %+v", f)
	}
	l.use(&fakePeer{codec: call.PCMA})
	l.use(nil)
	if f, ok := l.Format(); !ok || f.Codec != call.PCMA {
		t.Errorf("after its peer: %+v, %t", f, ok)
	}
}
