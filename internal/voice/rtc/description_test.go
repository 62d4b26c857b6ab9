package rtc

import (
	"net"
	"slices"
	"strings"
	"testing"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

func TestOfferedCodecs(t *testing.T) {
	got, err := Offered(chromeOffer)
	if want := []call.Codec{call.Opus, call.PCMU, call.PCMA}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// Whatever is wrong with an SDP is said, and leaves nothing behind.
func TestBadDescriptions(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	without := func(lines ...string) string {
		out := chromeOffer
		for _, l := range lines {
			if !strings.Contains(out, l) {
				t.Fatalf("no %q", l)
			}
			out = strings.Replace(out, l, "", 1)
		}
		return out
	}
	swap := func(old, with string) string {
		if !strings.Contains(chromeOffer, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(chromeOffer, old, with, 1)
	}
	for name, c := range map[string]struct{ sdp, says string }{
		"empty":            {"", "no audio"},
		"garbage":          {"\x00\xff not an SDP", "cannot be read"},
		"JSON":             {`{"type":"offer"}`, "cannot be read"},
		"too long":         {chromeOffer + strings.Repeat("a=x\n", maxSDP/4), "longer than"},
		"no audio":         {swap("m=audio", "m=video"), "no audio"},
		"audio off":        {swap("m=audio 9", "m=audio 0"), "no audio"},
		"plain RTP":        {swap("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "DTLS-SRTP"},
		"unknown codecs":   {swap("111 63 9 0 8 13 110 126", "63 9 13 110 126"), "no codec"},
		"no rtcp-mux":      {without("a=rtcp-mux\n"), "rtcp-mux"},
		"no bundle":        {without("a=group:BUNDLE 0\n"), "BUNDLE"},
		"other bundle":     {swap("a=group:BUNDLE 0", "a=group:BUNDLE 1"), "BUNDLE"},
		"no mid":           {without("a=mid:0\n"), "BUNDLE"},
		"no ufrag":         {without("a=ice-ufrag:WqqT\n"), "ICE credentials"},
		"short password":   {swap("Fbo9ZyjH+De+NJ7n1XwcqON/", "Fbo9"), "ICE credentials"},
		"lite":             {swap("t=0 0\n", "t=0 0\na=ice-lite\n"), "full ICE agent"},
		"no fingerprint":   {swap("a=fingerprint", "a=x-fingerprint"), "fingerprint"},
		"weak fingerprint": {swap("sha-256 76", "sha-1 76"), "fingerprint"},
		"cut fingerprint":  {swap(":95:24\n", "\n"), "fingerprint"},
		"no setup":         {without("a=setup:actpass\n"), "a=setup"},
		"holdconn":         {swap("actpass", "holdconn"), "a=setup"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newPeer(t, e)
			_, err := p.Answer(c.sdp, []call.Codec{call.PCMU, call.PCMA, call.Opus})
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
			if _, ok := p.Format(); ok {
				t.Error("a format was agreed")
			}
			// The same peer still takes a good one.
			if _, err := p.Answer(chromeOffer, []call.Codec{call.PCMU}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("codec forced", func(t *testing.T) {
		p, _ := newPeer(t, e)
		_, err := p.Answer(swap("111 63 9 0 8 13 110 126", "111 110"), []call.Codec{call.PCMU})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Message(err), "codecs that the call needs") {
			t.Error(err)
		}
	})
}

func TestAnswers(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	for name, c := range map[string]struct {
		change []string
		codecs []call.Codec
		want   media.Format
		lines  []string
	}{
		"our order counts": {
			codecs: []call.Codec{call.PCMA, call.Opus},
			want:   media.Format{Codec: call.PCMA, PayloadType: 8, ClockRate: 8000, DTMF: 126, DTMFRate: 8000},
			lines:  []string{"UDP/TLS/RTP/SAVPF 8 126", "a=rtpmap:8 PCMA/8000", "a=setup:passive", "a=sendrecv", "a=mid:0", "a=group:BUNDLE 0"},
		},
		"their payload types": {
			change: []string{"111 63 9 0 8 13 110 126", "96 97 98", "rtpmap:111", "rtpmap:96", "rtpmap:110", "rtpmap:97", "rtpmap:126", "rtpmap:98"},
			codecs: []call.Codec{call.Opus},
			want:   media.Format{Codec: call.Opus, PayloadType: 96, ClockRate: 48000, DTMF: 97, DTMFRate: 48000},
			lines:  []string{"UDP/TLS/RTP/SAVPF 96 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/48000"},
		},
		"held with music": {
			change: []string{"a=sendrecv", "a=sendonly", "a=mid:0", "a=mid:0\na=ptime:30"},
			codecs: []call.Codec{call.PCMU},
			want:   media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 126, DTMFRate: 8000, Ptime: 30, SendOnly: true},
			lines:  []string{"a=recvonly"},
		},
		"no telephone-event": {
			change: []string{"13 110 126", "13"},
			codecs: []call.Codec{call.PCMU},
			want:   media.Format{Codec: call.PCMU, ClockRate: 8000},
			lines:  []string{"UDP/TLS/RTP/SAVPF 0", "a=setup:passive"},
		},
		"the browser begins DTLS": {
			change: []string{"actpass", "active"},
			codecs: []call.Codec{call.PCMU},
			want:   media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 126, DTMFRate: 8000},
			lines:  []string{"a=setup:passive"},
		},
		"the browser waits for us": {
			change: []string{"actpass", "passive"},
			codecs: []call.Codec{call.PCMU},
			want:   media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 126, DTMFRate: 8000},
			lines:  []string{"a=setup:active"},
		},
		"video is refused": {
			change: []string{"m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\na=mid:v\nm=audio", "BUNDLE 0", "BUNDLE v 0"},
			codecs: []call.Codec{call.PCMU},
			want:   media.Format{Codec: call.PCMU, ClockRate: 8000, DTMF: 126, DTMFRate: 8000},
			lines:  []string{"m=video 0 UDP/TLS/RTP/SAVPF 0", "a=mid:v", "a=group:BUNDLE 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			offer := chromeOffer
			for i := 0; i < len(c.change); i += 2 {
				if !strings.Contains(offer, c.change[i]) {
					t.Fatalf("no %q", c.change[i])
				}
				offer = strings.Replace(offer, c.change[i], c.change[i+1], 1)
			}
			p, _ := newPeer(t, e)
			answer, err := p.Answer(offer, c.codecs)
			if err != nil {
				t.Fatal(err)
			}
			if f, _ := p.Format(); f != c.want {
				t.Errorf("format %+v, want %+v", f, c.want)
			}
			for _, l := range c.lines {
				if !strings.Contains(answer, l+"\r\n") {
					t.Errorf("no %q in\n%s", l, answer)
				}
			}
			again, err := p.Answer(offer, c.codecs)
			if err != nil {
				t.Fatal(err)
			}
			if ours := "a=ice-ufrag:" + p.local[0].ufrag + "\r\n"; !strings.Contains(answer, ours) || !strings.Contains(again, ours) || len(p.local) != 1 {
				t.Error("the same offer again changed our credentials")
			}
		})
	}
}

func TestOffersAndAnswersInTheWrongOrder(t *testing.T) {
	e := newEngine(t, "127.0.0.1:0")
	p, _ := newPeer(t, e)
	if err := p.Accept(chromeOffer); fault.KindOf(err) != fault.Invalid { // an answer must not say actpass
		t.Error(err)
	}
	active := strings.Replace(chromeOffer, "actpass", "active", 1)
	if err := p.Accept(active); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	}
	if _, err := p.Offer(nil); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
	if _, err := p.Offer([]call.Codec{call.PCMU}); err != nil {
		t.Error(err)
	}
	if _, err := p.Offer([]call.Codec{call.PCMU}); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	}
	if _, err := p.Answer(chromeOffer, []call.Codec{call.PCMU}); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	}
	if err := p.Accept(strings.Replace(active, "9 0 8", "9 8", 1)); fault.KindOf(err) != fault.Invalid {
		t.Error("an answer without the codec:", err)
	}
	if err := p.Accept(active); err != nil {
		t.Error(err)
	}
	_ = p.Close()
	<-p.left
	if _, err := p.Answer(chromeOffer, []call.Codec{call.PCMU}); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	}
	_ = p.Close()
}

// nowhere is a port that nothing comes from.
type nowhere struct {
	net.PacketConn
	done chan struct{}
}

func (n nowhere) ReadFrom([]byte) (int, net.Addr, error) {
	<-n.done
	return 0, nil, net.ErrClosed
}

func (n nowhere) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

func (n nowhere) Close() error {
	close(n.done)
	return nil
}

func (nowhere) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// Whatever a browser sends as SDP, nothing crashes, a refusal is the asker's
// fault, and what is agreed is usable.
func FuzzDescription(f *testing.F) {
	f.Add(chromeOffer)
	f.Add(strings.Replace(chromeOffer, "actpass", "active", 1))
	f.Add(strings.Replace(chromeOffer, "m=audio", "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:1\nm=audio", 1))
	f.Add("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 0")
	e, err := New(Options{Conn: nowhere{done: make(chan struct{})}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	f.Fuzz(func(t *testing.T, sdp string) {
		codecs, err := Offered(sdp)
		if (err == nil) != (len(codecs) > 0) || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("%v, %v", codecs, err)
		}
		for _, offered := range []bool{false, true} {
			p, perr := e.NewPeer(nil)
			if perr != nil {
				t.Fatal(perr)
			}
			all := []call.Codec{call.PCMU, call.PCMA, call.Opus}
			var answer string
			if offered {
				if _, err = p.Offer(all); err != nil {
					t.Fatal(err)
				}
				err = p.Accept(sdp)
			} else {
				answer, err = p.Answer(sdp, all)
			}
			format, ok := p.Format()
			switch {
			case err != nil && (ok || fault.KindOf(err) != fault.Invalid):
				t.Fatalf("%v with format %+v", err, format)
			case err == nil && (!ok || format.ClockRate == 0 || format.PayloadType > 127):
				t.Fatalf("agreed on %+v", format)
			case err == nil && !offered && strings.Count(answer, "\r\nm=") < 1:
				t.Fatalf("answer %q", answer)
			}
			_ = p.Close()
			<-p.left
		}
	})
}
