package trunk

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/fault"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/trunk/transaction"
)

func TestCauses(t *testing.T) {
	if len(causes) != len(call.Causes) {
		t.Errorf("%d causes in the table, %d in the vocabulary", len(causes), len(call.Causes))
	}
	known := map[call.EndCause]bool{}
	for _, c := range call.Causes {
		known[c] = true
		e, ok := causes[c]
		if !ok {
			t.Errorf("%s is not in the table", c)
			continue
		}
		if e.status < 400 || e.status > 699 || e.q850 < 1 || e.q850 > 127 {
			t.Errorf("%s: %+v", c, e)
		}
		if StatusOf(c) != e.status || reason(c).Value() == "" {
			t.Errorf("%s: status %d", c, StatusOf(c))
		}
	}
	// What has a status of its own means the same on the way back.
	for _, c := range []call.EndCause{
		call.Declined, call.Busy, call.NoAnswer, call.NotFound, call.Forbidden, call.NoCodec, call.CarrierError,
	} {
		if got := CauseOf(StatusOf(c)); got != c {
			t.Errorf("%s → %d → %s", c, StatusOf(c), got)
		}
	}
	for status := range 700 {
		if c := CauseOf(status); !known[c] {
			t.Errorf("%d means %q", status, c)
		}
	}
	if StatusOf("nonsense") != 500 || CauseOf(0) != call.CarrierDown || CauseOf(503) != call.CarrierError || CauseOf(481) != call.CarrierError {
		t.Error("the edges of the table")
	}
}

func TestDestinations(t *testing.T) {
	d := Destinations{
		Home: "US", Countries: []string{"de"}, Short: []string{"611"},
		Lines: map[string][]string{"+4930123456": {"FR"}, "+442071838750": {"*"}},
	}
	const us, german, british = "+15550199", "+4930123456", "+442071838750"
	ok := func(number, country string) string { return number + " " + country }
	for _, tc := range []struct{ from, to, want string }{
		{us, "+15550100", ok("+15550100", "US")}, // fictional
		{us, "+12015550123", ok("+12015550123", "US")},
		{us, "(201) 555-0123", ok("+12015550123", "US")},
		{us, "+493012345678", ok("+493012345678", "DE")},
		{us, "+33142685300", "forbidden"},
		{us, "+18765550123", "forbidden"}, // Jamaica has the same code
		{us, "+19005550123", "forbidden"}, // premium rate
		{"", "+12015550123", ok("+12015550123", "US")},
		{"", "+33142685300", "forbidden"},
		{german, "030 123456", ok("+4930123456", "DE")},
		{german, "+33142685300", ok("+33142685300", "FR")},
		{german, "+12015550123", "forbidden"}, // its own list replaces the general one
		{german, "+499001123456", "forbidden"},
		{british, "+12015550123", ok("+12015550123", "US")},
		{british, "+449098790879", "forbidden"},
		{us, "611", ok("611", "")},
		{us, "911", "emergency 911"},
		{german, "110", "emergency 110"},
		{british, "999", "emergency 999"},
		{us, "112", "emergency 112"},
		{us, "411", "invalid"},
		{us, "nobody", "invalid"},
		{us, "", "invalid"},
		{us, "+999123456789", "invalid"},
	} {
		got, err := d.Check(tc.from, tc.to)
		text := ok(got.Number, got.Country)
		if got.Emergency {
			text = "emergency " + got.Number
		}
		if err != nil {
			text = fault.KindOf(err).String()
		}
		if text != tc.want {
			t.Errorf("%s → %s: %s, want %s", tc.from, tc.to, text, tc.want)
		}
	}
	// By default nobody but the own country.
	if _, err := (Destinations{}).Check(us, "+493012345678"); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("by default: %v", err)
	}
	if _, err := (Destinations{}).Check("", "112"); err != nil {
		t.Errorf("emergency without a line: %v", err)
	}
	if err := (Destinations{Home: "XX", Countries: []string{"*", "Germany"}}).Validate(); err == nil || strings.Count(err.Error(), "ISO 3166") != 2 {
		t.Errorf("validate: %v", err)
	}
}

func TestNormalise(t *testing.T) {
	for _, tc := range []struct{ user, country, want string }{
		{"+15550199", "US", "+15550199"},
		{"+1-201-555-0123", "", "+12015550123"},
		{"12015550123", "US", "+12015550123"},
		{"2015550123", "US", "+12015550123"},
		{"004930123456", "", "+4930123456"},
		{"030123456", "DE", "+4930123456"},
		{"4930123456", "DE", "+4930123456"},
		{"+4930123456;phone-context=x", "", "+4930123456"},
		{"%2B4930123456", "", "+4930123456"},
		{"611", "US", "611"},
		{"alice", "US", "alice"},
		{"", "US", ""},
		{"%ff%fe", "US", ""},
		{"bob%ff", "US", "bob"},
		{"bob%0d%0aVia%00\u202e", "US", "bobVia"},
		{strings.Repeat("é", 100), "US", strings.Repeat("é", 32)},
	} {
		if got := normalise(tc.user, tc.country); got != tc.want {
			t.Errorf("%q in %q: %q, want %q", tc.user, tc.country, got, tc.want)
		}
	}
}

func TestNumberFormats(t *testing.T) {
	for f, want := range map[NumberFormat]string{
		FormatPlus: "+4930123456", FormatE164: "4930123456", FormatNational: "030123456",
	} {
		if got := f.write("+4930123456"); got != want {
			t.Errorf("%s: %s", f, got)
		}
		if got := f.write("911"); got != "911" {
			t.Errorf("%s: %s", f, got)
		}
	}
}

func TestCaller(t *testing.T) {
	for _, tc := range []struct {
		name, from, headers, want, verified string
	}{
		{"From", `"Ann" <sip:+15550123@x>`, "", "+15550123 Ann", ""},
		{"national", `<sip:2015550123@x>`, "", "+12015550123", ""},
		{"tel", `<tel:+1-201-555-0123>`, "", "+12015550123", ""},
		{"asserted", `"Ann" <sip:x@x>`, "P-Asserted-Identity: \"Bob, Jr.\" <sip:+12015550123@x>, <tel:+12015550123>", "+12015550123 Bob, Jr.", ""},
		{"remote party", `<sip:100@x>`, "Remote-Party-ID: <sip:+12015550123@x>;party=calling;privacy=off", "+12015550123", ""},
		{"anonymous", `"Anonymous" <sip:anonymous@anonymous.invalid>`, "", "anonymous", ""},
		{"private", `"Anonymous" <sip:anonymous@anonymous.invalid>`, "P-Asserted-Identity: <sip:+12015550123@x>\nPrivacy: id", "anonymous", ""},
		{"private party", `<sip:+12015550123@x>`, "Remote-Party-ID: <sip:+12015550123@x>;privacy=full", "anonymous", ""},
		{"extension", `<sip:100@x>`, "", "100", ""},
		{"nobody", `<sip:x.example>`, "", "anonymous", ""},
		{"verified", `<sip:+12015550123@x>`, "P-Asserted-Identity: <sip:+12015550123;verstat=TN-Validation-Passed-A@x;user=phone>", "+12015550123", "TN-Validation-Passed-A"},
		{"verified tel", `<sip:+12015550123@x>`, "P-Asserted-Identity: <tel:+12015550123;verstat=TN-Validation-Passed>\nP-Attestation-Indicator: B", "+12015550123", "TN-Validation-Passed-B"},
		{"verified in From", `<sip:+12015550123@x;verstat=No-TN-Validation>`, "", "+12015550123", "No-TN-Validation"},
		{"nonsense verdict", `<sip:+12015550123@x;verstat=<script>`, "", "", ""},
		{"other verdict", `<sip:+12015550123@x;verstat=Fine>`, "", "+12015550123", ""},
		{"broken header", `<sip:+12015550123@x>`, "P-Asserted-Identity: <<<", "+12015550123", ""},
	} {
		if tc.want == "" {
			continue
		}
		req := parse(t, "INVITE sip:+15550199@y SIP/2.0\nFrom: "+tc.from+";tag=1\n"+tc.headers+"\n")
		who, verified := caller(req, "US")
		got := who.String()
		if who.Name != "" {
			got += " " + who.Name
		}
		if got != tc.want || verified != tc.verified {
			t.Errorf("%s: %q %q, want %q %q", tc.name, got, verified, tc.want, tc.verified)
		}
	}
}

func TestCalled(t *testing.T) {
	tr := Trunk{Country: "US"}
	req := parse(t, "INVITE sip:2015550123@y SIP/2.0\nTo: <sip:other@y>\n")
	if got := called(req, &tr); got.Number != "+12015550123" {
		t.Errorf("called %v", got)
	}
	// A carrier that calls the contact that we registered says the number elsewhere.
	tr.Register = Register{Enabled: true, User: "user1"}
	req = parse(t, "INVITE sip:user1@y SIP/2.0\nTo: <sip:2015550123@y>\n")
	if got := called(req, &tr); got.Number != "+12015550123" {
		t.Errorf("called %v", got)
	}
	req = parse(t, "INVITE sip:user1@y SIP/2.0\nTo: <sip:user1@y>\nP-Called-Party-ID: <sip:+12015550124@y>\n")
	if got := called(req, &tr); got.Number != "+12015550124" {
		t.Errorf("called %v", got)
	}
}

func TestConfigProblems(t *testing.T) {
	c := Config{
		RTPLow: 10001, TryFor: -1, CallerID: "12",
		Destinations: Destinations{Home: "XX"},
		Trunks: []Trunk{
			{Name: "a", Host: "carrier.example"},
			{
				Name: "a", Host: "sip:carrier", Port: 70000, Transport: "sctp", Proxy: "a:b:c", Sources: []string{"0.0.0.0/1", "128.0.0.0/1", "x y"},
				Username: "u", Register: Register{Enabled: true, Expires: 1}, Codecs: []call.Codec{"G729"}, SessionExpires: 1,
				CallerIDFormat: "odd", Country: "Germany", MaxCalls: -1,
			},
			{},
		},
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	for _, part := range []string{
		"rtp_low and rtp_high", "try_for", "caller_id must", "destinations:", "the name is taken", "trunk a: host", "trunk a: port",
		"transport must", "proxy must", `source "x y"`, "needs inbound_auth", "username and password", "register.expires",
		`codec "G729"`, "session_expires", `format "odd"`, `country "Germany"`, "max_calls", "trunks[2]: name must", "trunks[2]: host must",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %q in\n%v", part, err)
		}
	}
	good := Config{
		Announce: "192.0.2.1", RTPLow: 10000, RTPHigh: 10001, Destinations: Destinations{Home: "US", Countries: []string{"*"}},
		Trunks: []Trunk{{
			Name: "a", Host: "2001:db8::1", Transport: "tls", Proxy: "[2001:db8::2]:5061", Sources: []string{"0.0.0.0/0", "::/0", "carrier.example"},
			Username: "u", Password: "p", InboundAuth: true, Register: Register{Enabled: true}, Country: "DE", Countries: []string{"DE", "at"},
		}},
	}
	if err := good.Validate(); err != nil {
		t.Errorf("good: %v", err)
	}
}

func FuzzInfoDigit(f *testing.F) {
	for _, s := range []string{"Signal=5\r\nDuration=160\r\n", "Signal=#", "5", "10", "", "signal = d"} {
		f.Add("application/dtmf-relay", []byte(s))
		f.Add("application/dtmf", []byte(s))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		digit, ok := infoDigit(kind, body)
		if ok && !strings.ContainsRune("0123456789*#ABCD", rune(digit)) {
			t.Fatalf("digit %q", digit)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add("multipart/mixed;boundary=x", []byte("--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"))
	f.Add("multipart/mixed", []byte("--"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) { sdpPart(kind, body) })
}

func TestMultipart(t *testing.T) {
	body := "--x\r\nContent-Type: application/isup;version=itu-t92+\r\n\r\n\x01\x00\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=audio 4000 RTP/AVP 0\r\n--x--\r\n"
	if got := string(sdpPart(`multipart/mixed; boundary="x"`, []byte(body))); got != "v=0\r\nm=audio 4000 RTP/AVP 0" {
		t.Errorf("%q", got)
	}
	if got := sdpPart("multipart/mixed", []byte(body)); got != nil {
		t.Errorf("%q", got)
	}
}

func TestChallengeGrowsOld(t *testing.T) {
	g := guard{secret: []byte("s")}
	now := time.Now()
	req := parse(t, "INVITE sip:a@b SIP/2.0\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\nFrom: <sip:x@y>;tag=1\nTo: <sip:a@b>\nCall-ID: c1\nCSeq: 1 INVITE\n")
	res := transaction.NewResponse(req, 401, "t")
	g.challenge(res, "realm", now, false)
	h, err := credentials(req, res, "user", "secret")
	if err != nil {
		t.Fatal(err)
	}
	req.AppendHeader(h)
	for _, tc := range []struct {
		user, password, realm string
		after                 time.Duration
		want                  authorization
	}{
		{"user", "secret", "realm", 0, authorized},
		{"user", "secret", "realm", nonceLife + 2*time.Second, outdated},
		{"user", "wrong", "realm", nonceLife + 2*time.Second, unauthorized},
		{"user", "wrong", "realm", 0, unauthorized},
		{"other", "secret", "realm", 0, unauthorized},
		{"user", "secret", "elsewhere", 0, unauthorized},
	} {
		if got := g.check(req, tc.user, tc.password, tc.realm, now.Add(tc.after)); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
	if got := (guard{secret: []byte("other node")}).check(req, "user", "secret", "realm", now); got != unauthorized {
		t.Errorf("a nonce of somebody else: %d", got)
	}
	again := transaction.NewResponse(req, 401, "t")
	g.challenge(again, "realm", now, true)
	if !stale(again) || stale(res) {
		t.Error("stale is not told apart")
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(`Digest username="u", realm="r", nonce="0.ab", uri="sip:x", response="00", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`Digest`)
	f.Add(`Basic x`)
	f.Fuzz(func(t *testing.T, header string) {
		req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", Host: "x"})
		id := sip.CallIDHeader("c")
		req.AppendHeader(&id)
		req.AppendHeader(sip.NewHeader("Authorization", header))
		if (guard{secret: []byte("s")}).check(req, "u", "p", "r", time.Now()) != unauthorized {
			t.Fatal("let in")
		}
		res := sip.NewResponse(401, "x")
		res.AppendHeader(sip.NewHeader("WWW-Authenticate", header))
		_, _ = credentials(req, res, "u", "p")
		stale(res)
	})
}
