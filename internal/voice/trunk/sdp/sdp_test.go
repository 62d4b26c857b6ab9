package sdp

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

const offer = "v=0\r\no=- 5 6 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
	"m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 18 8 0 100 101\r\na=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\na=rtcp:4100\r\na=sendonly\r\n"

func TestOfferAnswer(t *testing.T) {
	far, err := Parse([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	f, m, err := Choose(far, []call.Codec{call.PCMU, call.PCMA}, Off)
	if err != nil {
		t.Fatal(err)
	}
	want := media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 101, DTMFRate: 8000, Ptime: 30, SendOnly: true}
	if f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
	if m.RTCP != 4100 || m.Addr != netip.MustParseAddr("192.0.2.1") || far.Version != 6 {
		t.Errorf("%+v", m)
	}
	l := Local{Addr: netip.MustParseAddr("203.0.113.5"), Port: 5000, Session: 1, Version: 2}
	answer := string(l.Answer(far, f, m.Direction.Mirror(), Keying{}))
	for _, line := range []string{
		"o=- 1 2 IN IP4 203.0.113.5", "m=video 0 RTP/AVP 31", "m=audio 5000 RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:30", "a=recvonly",
	} {
		if !strings.Contains(answer, line+"\r\n") {
			t.Errorf("no %q in\n%s", line, answer)
		}
	}
	if strings.Index(answer, "m=video") > strings.Index(answer, "m=audio") {
		t.Error("streams are not in the offer's order")
	}
}

func TestOurOffer(t *testing.T) {
	l := Local{Addr: netip.MustParseAddr("2001:db8::1"), Port: 5000}
	far, err := Parse(l.Offer([]call.Codec{call.PCMA, call.PCMU}, SendRecv))
	if err != nil {
		t.Fatal(err)
	}
	f, m, err := Accept(far, []call.Codec{call.PCMU, call.PCMA}, Off)
	if err != nil || f.Codec != call.PCMA || f.PayloadType != 8 || f.DTMF != DTMFType || f.SendOnly {
		t.Errorf("%+v %v", f, err)
	}
	if m.Addr != l.Addr {
		t.Errorf("address %s", m.Addr)
	}
}

// A codec under a number of its own, as RFC 3551 allows.
func TestDynamicNumber(t *testing.T) {
	far, err := Parse([]byte("v=0\nm=audio 1 RTP/AVP 96 97\na=rtpmap:96 pcmu/8000/1\na=rtpmap:97 PCMA/16000\n"))
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := Choose(far, []call.Codec{call.PCMA, call.PCMU}, Off)
	if err != nil || f.Codec != call.PCMU || f.PayloadType != 96 {
		t.Errorf("%+v %v", f, err)
	}
	answer := string(Local{Addr: netip.IPv4Unspecified(), Port: 2}.Answer(far, f, SendRecv, Keying{}))
	if !strings.Contains(answer, "m=audio 2 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000\r\n") {
		t.Errorf("answered\n%s", answer)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]error{
		"":                            ErrSyntax,
		"hello":                       ErrSyntax,
		"v=0\nm=audio\n":              ErrSyntax,
		"v=0\nnonsense\n":             ErrSyntax,
		"v=0\nc=IN IP4\n":             ErrSyntax,
		"v=0\ns=-\n":                  ErrNoAudio,
		"v=0\nm=video 1 RTP/AVP 0\n":  ErrNoAudio,
		"v=0\nm=audio 0 RTP/AVP 0\n":  ErrNoAudio,
		"v=0\nm=audio 1 RTP/SAVP 0\n": ErrNoAudio,
		"v=0\nm=audio 1 RTP/SAVP 0\na=crypto:1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n": ErrNoAudio,
		"v=0\nm=audio 1 UDP/TLS/RTP/SAVPF 0\n":             ErrNoAudio,
		"v=0\nm=audio 70000 RTP/AVP 0\n":                   ErrSyntax,
		"v=0\nm=audio 1 RTP/AVP 18 9 96\n":                 ErrNoCodec,
		"v=0\nm=audio 1 RTP/AVP 0\na=rtpmap:0 G722/8000\n": ErrNoCodec,
	} {
		far, err := Parse([]byte(text))
		if err == nil {
			_, _, err = Choose(far, []call.Codec{call.PCMU, call.PCMA}, Off)
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestHeld(t *testing.T) {
	for text, want := range map[string]bool{
		"v=0\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0\n":                         false,
		"v=0\nc=IN IP4 0.0.0.0\nm=audio 1 RTP/AVP 0\n":                           true,
		"v=0\na=sendonly\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0\n":             true,
		"v=0\na=inactive\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0\na=sendrecv\n": false,
		"v=0\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0\na=recvonly\n":             false,
		"v=0\nc=IN IP4 media.carrier.example\nm=audio 1 RTP/AVP 0\n":             false,
	} {
		far, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := far.Media[0].Held(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for d, want := range map[Direction]Direction{SendRecv: SendRecv, SendOnly: RecvOnly, RecvOnly: SendOnly, Inactive: Inactive} {
		if got := d.Mirror(); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(offer))
	f.Add([]byte("v=0\nc=IN IP6 ::1\nm=audio 1/2 RTP/AVP 0 8\na=rtpmap:0 PCMU/8000\na=rtcp:5\na=ptime:20\n"))
	f.Add([]byte("v=0\nm=audio 1 RTP/AVP 0\nm=image 2 udptl t38\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		format, _, err := Choose(d, []call.Codec{call.PCMU, call.PCMA}, Off)
		if err != nil {
			return
		}
		// Our answer must be readable and have as many streams as the offer.
		answer, err := Parse(Local{Addr: netip.IPv4Unspecified(), Port: 2}.Answer(d, format, SendRecv, Keying{}))
		if err != nil {
			t.Fatalf("answer: %v", err)
		}
		if len(answer.Media) != len(d.Media) {
			t.Fatalf("%d streams for %d", len(answer.Media), len(d.Media))
		}
		again, _, err := Choose(answer, []call.Codec{format.Codec}, Off)
		if err != nil || !reflect.DeepEqual(again.PayloadType, format.PayloadType) {
			t.Fatalf("%+v answered %+v, %v", format, again, err)
		}
	})
}
