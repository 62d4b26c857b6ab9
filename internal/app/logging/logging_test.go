package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// aToken has the shape of a token; its signature is made up.
const aToken = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLW5vYm9keQ"

type party struct {
	Number string
	Name   string
}

type stringer string

func (s stringer) String() string { return string(s) }

func TestNothingSecretIsLogged(t *testing.T) {
	attributes := []slog.Attr{
		slog.String("number", "+14155552671"),
		slog.String("number", "4155552671"),
		slog.String("from", "+1 (415) 555-2671"),
		slog.String("to", "4155552671"),
		slog.Int64("caller", 14155552671),
		slog.Any("from", stringer("4155552671")),
		slog.String("token", aToken),
		slog.String("device_token", "opaque-4155552671"),
		slog.String("Authorization", "Digest 4155552671"),
		slog.Any("password", []byte("hunter-4155552671")),
		slog.Any("cookie", []string{"4155552671"}),
		slog.String("detail", "call from +14155552671 failed"),
		slog.String("detail", "INVITE sip:4155552671@carrier.example"),
		slog.String("detail", "tel:+14155552671;ext=1"),
		slog.String("url", "https://x.example/v1?To=%2B14155552671"),
		slog.String("url", "https://x.example/v1?AccessToken="+aToken+"&x=1"),
		slog.String("url", "/signal?token=opaque4155552671"),
		slog.String("detail", "got Bearer abcdef4155552671"),
		slog.String("detail", `Digest username="u", response="4155552671"`),
		slog.String("detail", strings.ReplaceAll(aToken, "c2lnb", "+/ln=")),
		slog.Any("err", fmt.Errorf("dial +14155552671: %w", errors.New("refused "+aToken))),
		slog.Any("party", party{"+14155552671", "Ann"}),
		slog.Any("list", []string{"+14155552671"}),
		slog.Any("map", map[string]any{"token": aToken}),
		slog.Any("text", stringer("to +14155552671")),
		slog.Group("call", slog.String("number", "4155552671"), slog.Group("deep", slog.String("secret", aToken))),
	}
	leak := regexp.MustCompile(`4155552671|\(415\)|eyJ|lnYXR`)
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := New(&out, "debug", format)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attributes {
			out.Reset()
			log.LogAttrs(t.Context(), slog.LevelInfo, "something happened", a)
			log.With(a).WithGroup("group").Info("with", "more", 1)
			if found := leak.FindString(out.String()); found != "" {
				t.Errorf("%s: %q is in the log: %s", format, found, out.String())
			}
		}
		out.Reset()
		log.Info("number +14155552671 in the message")
		if leak.MatchString(out.String()) {
			t.Errorf("%s: message: %s", format, out.String())
		}
	}
}

func TestWhatIsNotSecretStays(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, a := range []slog.Attr{
		slog.String("call", "CA0123456789abcdef0123456789abcdef"),
		slog.String("from", "away"),
		slog.String("to", "client:alice"),
		slog.String("keys", "1+1=2"),
		slog.Int("status", 486),
		slog.Bool("early", true),
		slog.Any("remote", netip.MustParseAddrPort("[2001:db8::1]:5060")),
		slog.Any("legs", []int{1, 2}),
		slog.String("at", at.Format(time.RFC3339)),
		slog.String("version", "v1.2.3+dirty"),
		slog.String("token", ""),
		slog.Any("err", error(nil)),
	} {
		var got, want bytes.Buffer
		log, err := New(&got, "info", "json")
		if err != nil {
			t.Fatal(err)
		}
		log.LogAttrs(t.Context(), slog.LevelInfo, "m", a)
		slog.New(slog.NewJSONHandler(&want, nil)).LogAttrs(t.Context(), slog.LevelInfo, "m", a)
		if g, w := value(t, got, a.Key), value(t, want, a.Key); fmt.Sprint(g) != fmt.Sprint(w) {
			t.Errorf("%s: got %v, want %v", a.Key, g, w)
		}
	}
}

func value(t *testing.T, line bytes.Buffer, key string) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(line.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, line.String())
	}
	return m[key]
}

func TestNumberKeepsEnoughToRecogniseAndNoMore(t *testing.T) {
	for _, tt := range []struct{ number, want string }{
		{"+14155552671", "+1415…71"},
		{"+15550199", "+15…99"},
		{"4155552671", "4155…71"},
		{"1234567", "1…67"},
		{"112", "…12"},
		{"+1", "+…"},
		{"", "…"},
	} {
		if got := Number(tt.number); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.number, got, tt.want)
		}
	}
}

func TestLevelsAndFormatsAreChecked(t *testing.T) {
	var out bytes.Buffer
	log, err := New(&out, "warn", "text")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	if out.Len() != 0 {
		t.Errorf("info was written at level warn: %s", out.String())
	}
	if _, err := New(&out, "loud", "text"); err == nil {
		t.Error("level loud was taken")
	}
	if _, err := New(&out, "info", "xml"); err == nil {
		t.Error("format xml was taken")
	}
}

func FuzzScrub(f *testing.F) {
	for _, seed := range []string{"", "+14155552671", aToken, "sip:4155552671@x", "a=%2B4155552671", "bearer x.y.z0000", "token=\"", "+++1234567"} {
		f.Add(seed)
	}
	plus := regexp.MustCompile(`\+[0-9]{7}`)
	f.Fuzz(func(t *testing.T, text string) {
		once := Scrub(text)
		if found := plus.FindString(once); found != "" {
			t.Errorf("%q keeps %q: %q", text, found, once)
		}
		if twice := Scrub(once); twice != once {
			t.Errorf("%q: scrubbed again, %q became %q", text, once, twice)
		}
	})
}

func BenchmarkScrubPlain(b *testing.B) {
	for b.Loop() {
		Scrub("the call ended after 12s")
	}
}

func TestDurationsAreReadable(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := New(&out, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("call ended", "talked", 90*time.Second)
		if !strings.Contains(out.String(), "1m30s") {
			t.Errorf("%s: %s", format, &out)
		}
	}
}
