package trunk

import (
	"net/netip"
	"testing"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/trunk/message"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// parse reads a request written with bare newlines.
func parse(t *testing.T, text string) *sip.Request {
	t.Helper()
	msg, rej := message.Parse(crlf(text))
	if rej != nil {
		t.Fatalf("%v in\n%s", rej, text)
	}
	return msg.(*sip.Request)
}
