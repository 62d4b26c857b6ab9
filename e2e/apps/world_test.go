package apps

import (
	"bytes"
	"embed"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/node"
	"dialtone/internal/config"
	"dialtone/internal/talk"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/carrier/wav"
	"dialtone/internal/voice/token"
)

//go:embed pages
var pages embed.FS

const (
	micTone    = 600.0  // what every page's microphone hears, Hz
	callerTone = 440.0  // what a caller says
	lineTone   = 1000.0 // what …111 says
	micLevel   = 5657   // of the microphone's tone at the carrier, but for the codec
	longest    = 60.0   // ms that a tone may be away
	patient    = 20 * time.Second
)

// world is a node and one browser for all apps.
type world struct {
	t       *testing.T
	node    *node.Node
	browser *browser.Browser
	site    string // where the apps' pages are: not the node
}

func newWorld(t *testing.T) *world {
	t.Helper()
	microphone := filepath.Join(t.TempDir(), "microphone.wav")
	if err := wav.WriteFile(microphone, tone(micTone, 60*time.Second)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t:       t,
		browser: browser.Start(t, browser.Options{Flags: []string{"--use-file-for-fake-audio-capture=" + microphone}, Wait: patient}),
		node:    node.Start(t, node.Options{Config: func(c *config.Config) { c.Calls.OfferFor = 6 * time.Second }, Carrier: carrier.Options{Step: time.Second}}),
	}
	site := httptest.NewServer(routes(t))
	t.Cleanup(site.Close)
	w.site = site.URL
	return w
}

func tone(hz float64, d time.Duration) wav.Sound {
	const rate = 48000
	s := wav.Sound{Rate: rate, Samples: make([]int16, int(d.Seconds()*rate))}
	for i := range s.Samples {
		s.Samples[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/rate))
	}
	return s
}

func routes(t *testing.T) http.Handler {
	sub, err := fs.Sub(pages, "pages")
	if err != nil {
		t.Fatal(err)
	}
	var silence bytes.Buffer
	if err := wav.Encode(&silence, wav.Sound{Rate: 8000, Samples: make([]int16, 800)}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(sub))
	file := func(path, module string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, browser.Module(t, module)) })
	}
	file("/sdk/v2.js", "@twilio/voice-sdk/dist/twilio.min.js")
	file("/sdk/v1.js", "twilio-client/dist/twilio.min.js")
	mux.HandleFunc("/silence.wav", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "silence.wav", time.Time{}, bytes.NewReader(silence.Bytes()))
	})
	return mux
}

// app is a page with one of the SDKs.
type app struct {
	*world
	page *browser.Page
	v1   bool
	name string    // the device's identity
	from time.Time // when the current subtest began: older calls are others'
}

func (w *world) open(page, name string) *app {
	w.t.Helper()
	return &app{world: w, page: w.browser.Open(w.site + "/" + page + "?node=" + url.QueryEscape("localhost:"+w.node.Port())), v1: page == "v1.html", name: name}
}

// begin is the app as one subtest sees it.
func (a *app) begin(t *testing.T) *app {
	here := *a
	world := *a.world
	world.t = t
	here.world = &world
	here.page = a.page.For(t)
	here.from = time.Now()
	here.page.Eval("app.clear()", nil)
	return &here
}

// register lets the device register; v2 is asked for the codes of errors as they are.
func (a *app) register(kind token.Kind, options map[string]any) {
	a.t.Helper()
	a.page.Eval("app.start(...arg)", nil, []any{a.node.Token(a.t, kind, a.name), options})
	a.page.Until("app.ready()")
}

// leave ends the device.
func (a *app) leave() {
	a.t.Helper()
	a.page.Eval("app.stop()", nil)
	node.Until(a.t, patient, a.name+" is gone", func() bool { return !a.agent().Device.Reachable })
}

func (a *app) agent() talk.Agent {
	a.t.Helper()
	var all struct{ Agents []talk.Agent }
	a.node.Ask(a.t, "GET", "/api/v1/agents", nil, &all)
	for _, agent := range all.Agents {
		if agent.Identity == a.name {
			return agent
		}
	}
	a.t.Fatalf("there is no %s", a.name)
	return talk.Agent{}
}

func (a *app) dial(to string) {
	a.t.Helper()
	a.page.Eval("app.clear()", nil)
	a.page.Eval("app.dial({To: arg})", nil, to)
}

// told waits until the app was told something, as "accept" or "error 31486".
func (a *app) told(event string) {
	a.t.Helper()
	a.page.Until("app.saw(arg)", event)
}

// heard is what a page measures.
type heard struct {
	Hz, Level              float64
	Quiet, Concealed, Hole float64 // ms
	Seconds, Buffered      float64
	Packets, Lost          float64
}

func (a *app) hear(seconds float64) (h heard) {
	a.t.Helper()
	a.page.Eval("app.hear(arg)", &h, seconds)
	return h
}

// hears waits until the page hears one of the tones.
func (a *app) hears(tones ...float64) {
	a.t.Helper()
	var h heard
	give := time.Now().Add(patient)
	for {
		h = a.hear(0.5)
		for _, hz := range tones {
			if h.Level > 0.01 && isNear(h.Hz, hz) {
				a.t.Logf("the page hears %.1f Hz, level %.3f", h.Hz, h.Level)
				return
			}
		}
		if time.Now().After(give) {
			a.t.Fatalf("the page hears %.1f Hz, level %.3f, not %v", h.Hz, h.Level, tones)
		}
	}
}

// carries waits until the newest call of the carrier to or from the number is as
// it should be.
func (a *app) carries(number, what string, ok func(carrier.Report) bool) (found carrier.Report) {
	a.t.Helper()
	node.Until(a.t, patient, "the carrier's call "+what, func() bool {
		for _, r := range a.node.Carrier().Calls() {
			if r.Number == number && r.Started.After(a.from) {
				found = r
			}
		}
		return found.CallID != "" && ok(found)
	})
	return found
}

// heardAt waits until the carrier hears the page's microphone.
func (a *app) heardAt(number string) {
	a.t.Helper()
	a.heardWithin(0.1, number)
}

// heardWithin is heardAt with so much difference in level: Opus is not exact.
func (a *app) heardWithin(share float64, number string) {
	a.t.Helper()
	r := a.carries(number, "hears the microphone", func(r carrier.Report) bool {
		return isNear(r.Heard.Frequency, micTone) && math.Abs(r.Heard.Level-micLevel) < micLevel*share
	})
	a.t.Logf("the carrier hears %.1f Hz, level %.0f", r.Heard.Frequency, r.Heard.Level)
}

// callIn lets the carrier call the line, as soon as the agent is free for it.
func (a *app) callIn(o carrier.CallOptions) chan carrier.Result {
	a.t.Helper()
	node.Until(a.t, patient, a.name+" is free", func() bool {
		agent := a.agent()
		return agent.Device.Reachable && agent.Activity == nil
	})
	o.To, o.From, o.Tone = talk.DemoNumber, "+15550123", callerTone
	done := make(chan carrier.Result, 1)
	go func() {
		r, err := a.node.Carrier().CallIn(a.t.Context(), o)
		if err != nil {
			a.t.Errorf("call in: %v", err)
		}
		done <- r
	}()
	return done
}

func (a *app) result(done chan carrier.Result) carrier.Result {
	a.t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(time.Minute):
		a.t.Fatal("the call in did not end")
		return carrier.Result{}
	}
}

// get asks the API by key, and decodes the answer.
func (w *world) get(path string, out any) {
	w.t.Helper()
	if status := w.node.Ask(w.t, "GET", path, nil, out); status != 200 {
		w.t.Fatalf("%s: %d", path, status)
	}
}

// audio downloads a message.
func (w *world) audio(id string) wav.Sound {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.node.URL("/api/v1/voicemails/"+id+"/audio"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.node.Demo.APIKey)
	response, err := w.node.HTTP.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "audio/wav" {
		w.t.Fatalf("audio: %s", response.Status)
	}
	s, err := wav.Decode(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// missed returns the agent's notices, the newest first.
func (a *app) missed() []talk.Missed {
	a.t.Helper()
	var all struct{ Missed []talk.Missed }
	if status := a.node.SignIn(a.t, a.name).Ask(a.t, "GET", "/api/v1/missed", nil, &all); status != 200 {
		a.t.Fatalf("missed: %d", status)
	}
	return all.Missed
}

func isNear(got, want float64) bool { return math.Abs(got-want) < want/100 }
