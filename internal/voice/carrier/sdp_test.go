package carrier

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func sdpText(lines ...string) []byte {
	return []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" + strings.Join(lines, "\r\n") + "\r\n")
}

func TestParseSDP(t *testing.T) {
	for _, c := range []struct {
		name      string
		body      []byte
		audio     string
		codecs    string
		events    uint8
		direction direction
	}{
		{"plain", sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"), "192.0.2.7:4000", "PCMU/0 PCMA/8", 101, sendRecv},
		{"own address, dynamic types", sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 4000 RTP/AVP 98 97", "c=IN IP4 192.0.2.9", "a=rtpmap:98 pcma/8000/1", "a=rtpmap:97 PCMU/16000"), "192.0.2.9:4000", "PCMA/98", 0, sendRecv},
		{"hold of RFC 2543", sdpText("c=IN IP4 0.0.0.0", "t=0 0", "m=audio 4000 RTP/AVP 0"), "0.0.0.0:4000", "PCMU/0", 0, sendOnly},
		{"session's direction", sdpText("c=IN IP4 192.0.2.7", "t=0 0", "a=inactive", "m=audio 4000 RTP/AVP 0"), "192.0.2.7:4000", "PCMU/0", 0, inactive},
		{"section's direction wins", sdpText("c=IN IP4 192.0.2.7", "t=0 0", "a=inactive", "m=audio 4000 RTP/AVP 0", "a=sendonly"), "192.0.2.7:4000", "PCMU/0", 0, sendOnly},
		{"after another section", sdpText("c=IN IP6 ::1", "t=0 0", "m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/SAVP 0", "m=audio 4004 RTP/AVP 18 8"), "[::1]:4004", "PCMA/8", 0, sendRecv},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := parseSDP(c.body)
			if err != nil {
				t.Fatal(err)
			}
			var codecs []string
			for _, k := range d.codecs {
				codecs = append(codecs, k.name+"/"+string(rune('0'+k.pt/10))+string(rune('0'+k.pt%10)))
			}
			want := strings.NewReplacer("/0", "/00", "/8", "/08").Replace(c.codecs)
			if d.audio != netip.MustParseAddrPort(c.audio) || strings.Join(codecs, " ") != want || d.events != c.events || d.direction != c.direction {
				t.Errorf("%v %v %d %s", d.audio, codecs, d.events, d.direction)
			}
		})
	}
	for name, body := range map[string][]byte{
		"nothing":        nil,
		"no sense":       []byte("hello"),
		"no audio":       sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=video 4000 RTP/AVP 31"),
		"audio refused":  sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 0 RTP/AVP 0"),
		"only encrypted": sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 4000 RTP/SAVP 0"),
		"no address":     sdpText("t=0 0", "m=audio 4000 RTP/AVP 0"),
		"address a name": sdpText("c=IN IP4 example.net", "t=0 0", "m=audio 4000 RTP/AVP 0"),
		"port too large": sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 70000 RTP/AVP 0"),
	} {
		if d, err := parseSDP(body); err == nil {
			t.Errorf("%s: no error but %+v", name, d)
		}
	}
}

// What is answered to each offered direction (RFC 3264, 6.1).
func TestAnswerDirection(t *testing.T) {
	for _, c := range []struct{ offered, want, answer direction }{
		{sendRecv, sendRecv, sendRecv},
		{sendOnly, sendRecv, recvOnly},
		{recvOnly, sendRecv, sendOnly},
		{inactive, sendRecv, inactive},
		{sendRecv, sendOnly, sendOnly},
		{sendOnly, sendOnly, inactive},
		{recvOnly, sendOnly, sendOnly},
	} {
		if got := c.offered.answer(c.want); got != c.answer {
			t.Errorf("%s wanting %s: %s, want %s", c.offered, c.want, got, c.answer)
		}
	}
}

func FuzzParseSDP(f *testing.F) {
	f.Add(sdpText("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"))
	f.Add(sdpText("c=IN IP6 ::1", "t=0 0", "m=video 1 RTP/AVP 31", "m=audio 4002 RTP/AVP 98", "a=rtpmap:98 PCMA/8000/1", "a=sendonly"))
	f.Add([]byte("v=0\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseSDP(body)
		if err != nil {
			return
		}
		o := ours{audio: netip.MustParseAddrPort("127.0.0.1:4000"), codecs: d.codecs, events: d.events, direction: d.direction.answer(sendRecv)}
		if len(d.codecs) == 0 {
			return
		}
		again, err := parseSDP(o.answer(d))
		if err != nil {
			t.Fatalf("our own answer is not read: %v\n%s", err, o.answer(d))
		}
		if again.index != d.index || len(again.sections) != len(d.sections) {
			t.Fatalf("the answer has %d sections, the offer %d", len(again.sections), len(d.sections))
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x01\x00\x00\x00\xa0\x01\x02\x03\x04audio"))
	f.Add([]byte("\x80\xe5\x00\x02\x00\x00\x00\xa0\x01\x02\x03\x04\x05\x8a\x03\x20"))
	f.Add([]byte("\x90\x00\x00\x01\x00\x00\x00\xa0\x01\x02\x03\x04\xbe\xde\xff\xff"))
	conn := loopback(f)
	f.Cleanup(func() { conn.Close() })
	mu, _ := codecNamed(PCMU)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStream(conn, func() uint32 { return 7 })
		s.record, s.echo = true, true
		s.agree(terms{
			remote: netip.MustParseAddrPort("127.0.0.1:9"), codec: mu, accepted: []codec{mu}, eventsIn: 101, eventsOut: 101, direction: sendRecv,
		})
		for range 2 {
			s.packet(b, time.Unix(1, 0))
		}
		if c := s.counts; c.packetsIn+c.strange != 2 || len(s.recording) > 2*len(b) {
			t.Fatalf("%+v, %d samples recorded", c, len(s.recording))
		}
	})
}
