// Package browser lets Go tests use Chromium: it starts the Node driver beside
// the tests (e2e/driver.mjs, playwright-core by lock file) and offers its pages.
//
// A Browser and its pages may be used from any goroutine. Fake microphones beep,
// permission is granted, certificates are not judged. Everything ends with the
// test that started it.
package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Flags are Chromium's for tests with audio on one machine.
var flags = []string{
	"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--no-sandbox", "--disable-gpu",
	"--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
	"--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required",
}

// Options change how Chromium is started. The zero value is what most tests want.
type Options struct {
	Flags []string      // more of Chromium's
	Wait  time.Duration // for each step of a page; 15 s
}

// Browser is one Chromium.
type Browser struct {
	t    testing.TB
	wait time.Duration
	in   io.WriteCloser

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	pages   map[int]*Page
	dead    error
}

type answer struct {
	Value json.RawMessage
	Err   error
}

// Root returns the directory e2e of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// Module returns the path of a file of an npm package of the tests, as locked.
func Module(t testing.TB, path string) string {
	t.Helper()
	full := filepath.Join(Root(), "node_modules", filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		t.Fatalf("%s is missing: run `npm ci --prefix e2e` first (make test does)", full)
	}
	return full
}

// Start starts Chromium for the test, which is skipped with -short. What is
// missing fails it: a test that does not run shows nothing.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	Module(t, "playwright-core/package.json")
	chromium, err := find("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is not installed")
	}
	cmd := exec.Command(node, filepath.Join(Root(), "driver.mjs"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if o.Wait == 0 {
		o.Wait = 15 * time.Second
	}
	b := &Browser{t: t, wait: o.Wait, in: in, waiting: map[int]chan answer{}, pages: map[int]*Page{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(out)
	}()
	t.Cleanup(func() {
		_, _ = b.ask("quit", nil)
		_ = in.Close()
		gone := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		<-read
		_ = cmd.Wait()
		gone.Stop()
	})
	b.must("launch", map[string]any{"executable": chromium, "headless": true, "args": append(append([]string{}, flags...), o.Flags...)})
	return b
}

func find(names ...string) (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium is installed (the variable CHROMIUM may name one)")
}

// read takes the driver's lines until it is gone.
func (b *Browser) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var l struct {
			ID    int             `json:"id"`
			Value json.RawMessage `json:"value"`
			Error *string         `json:"error"`
			Page  int             `json:"page"`
			Event string          `json:"event"`
			Level string          `json:"level"`
			Text  string          `json:"text"`
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		b.mu.Lock()
		if l.ID == 0 {
			b.logLocked(l.Page, l.Event, l.Level, l.Text)
			b.mu.Unlock()
			continue
		}
		c := b.waiting[l.ID]
		delete(b.waiting, l.ID)
		b.mu.Unlock()
		if c == nil {
			continue
		}
		a := answer{Value: l.Value}
		if l.Error != nil {
			a.Err = errors.New(*l.Error)
		}
		c <- a
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = errors.New("the browser's driver is gone")
	for id, c := range b.waiting {
		delete(b.waiting, id)
		c <- answer{Err: b.dead}
	}
}

func (b *Browser) logLocked(page int, kind, level, text string) {
	p := b.pages[page]
	if p == nil {
		p = &Page{b: b, id: page}
		b.pages[page] = p
	}
	line := strings.TrimSpace(kind + " " + level + " " + text)
	if kind == "error" || kind == "crash" {
		p.errors = append(p.errors, line)
	}
	if len(p.log) < 10000 {
		p.log = append(p.log, line)
	}
}

func (b *Browser) ask(op string, o map[string]any) (json.RawMessage, error) {
	message := map[string]any{"op": op}
	for k, v := range o {
		message[k] = v
	}
	c := make(chan answer, 1)
	b.mu.Lock()
	if b.dead != nil {
		b.mu.Unlock()
		return nil, b.dead
	}
	b.next++
	message["id"] = b.next
	b.waiting[b.next] = c
	line, err := json.Marshal(message)
	if err == nil {
		_, err = b.in.Write(append(line, '\n'))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a := <-c
	return a.Value, a.Err
}

func (b *Browser) must(op string, o map[string]any) json.RawMessage {
	b.t.Helper()
	v, err := b.ask(op, o)
	if err != nil {
		b.t.Fatalf("browser: %s: %v", op, err)
	}
	return v
}

// Open opens a page in a session of its own: no cookies, no storage.
func (b *Browser) Open(url string) *Page {
	b.t.Helper()
	return b.adopt(b.must("open", map[string]any{"url": url, "timeout": b.wait.Milliseconds(), "context": map[string]any{"permissions": []string{"microphone"}}}))
}

// OpenWith opens a page in a session of its own with Playwright's options of a
// context: "viewport", "colorScheme", "locale", "reducedMotion"…
func (b *Browser) OpenWith(url string, context map[string]any) *Page {
	b.t.Helper()
	all := map[string]any{"permissions": []string{"microphone"}}
	for k, v := range context {
		all[k] = v
	}
	return b.adopt(b.must("open", map[string]any{"url": url, "timeout": b.wait.Milliseconds(), "context": all}))
}

func (b *Browser) adopt(value json.RawMessage) *Page {
	var id int
	if err := json.Unmarshal(value, &id); err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pages[id] == nil {
		b.pages[id] = &Page{b: b, id: id}
	}
	return b.pages[id]
}

// Page is one tab. Its methods end the test when they fail, with the page's log.
type Page struct {
	b  *Browser
	id int

	// Guarded by b.mu:
	log    []string
	errors []string
}

func (p *Page) must(op string, o map[string]any) json.RawMessage {
	p.b.t.Helper()
	o["page"] = p.id
	v, err := p.b.ask(op, o)
	if err != nil {
		p.b.t.Fatalf("page: %s %v: %v\n%s", op, brief(o), err, p.tail())
	}
	return v
}

func brief(o map[string]any) string {
	delete(o, "page")
	text := fmt.Sprint(o)
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return text
}

func (p *Page) tail() string {
	log := p.Log()
	if len(log) > 40 {
		log = log[len(log)-40:]
	}
	return "the page's log:\n  " + strings.Join(log, "\n  ")
}

// Another opens a page in the same session.
func (p *Page) Another(url string) *Page {
	p.b.t.Helper()
	return p.b.adopt(p.must("another", map[string]any{"url": url, "timeout": p.b.wait.Milliseconds()}))
}

// Eval evaluates an expression, or a function body with a return, in which await
// works and "arg" is the argument if one is given. A result that is not nil in
// into is decoded there.
func (p *Page) Eval(js string, into any, arg ...any) {
	p.b.t.Helper()
	o := map[string]any{"js": js}
	if len(arg) > 0 {
		o["arg"] = arg[0]
	}
	v := p.must("eval", o)
	if into == nil {
		return
	}
	if err := json.Unmarshal(v, into); err != nil {
		p.b.t.Fatalf("page: %s gave %s: %v", js, v, err)
	}
}

// Text evaluates an expression to a string.
func (p *Page) Text(js string, arg ...any) string {
	p.b.t.Helper()
	var s string
	p.Eval(js, &s, arg...)
	return s
}

// Until waits until an expression is true.
func (p *Page) Until(js string, arg ...any) {
	p.b.t.Helper()
	p.UntilWithin(p.b.wait, js, arg...)
}

// UntilWithin waits at most so long until an expression is true.
func (p *Page) UntilWithin(d time.Duration, js string, arg ...any) {
	p.b.t.Helper()
	o := map[string]any{"js": js, "timeout": d.Milliseconds()}
	if len(arg) > 0 {
		o["arg"] = arg[0]
	}
	p.must("until", o)
}

// Click clicks what the selector finds, once it is visible and enabled. The
// selectors are Playwright's: CSS, "text=…", "role=button[name=…]".
func (p *Page) Click(selector string) { p.b.t.Helper(); p.Locate(selector, "click") }

// Fill puts text into a field.
func (p *Page) Fill(selector, text string) { p.b.t.Helper(); p.Locate(selector, "fill", text) }

// Press presses a key wherever the focus is, as "Enter" or "Control+K".
func (p *Page) Press(key string) { p.b.t.Helper(); p.must("press", map[string]any{"key": key}) }

// See waits until what the selector finds is visible.
func (p *Page) See(selector string) {
	p.b.t.Helper()
	p.Locate(selector, "waitFor", map[string]any{"state": "visible"})
}

// SeeNot waits until nothing that the selector finds is visible.
func (p *Page) SeeNot(selector string) {
	p.b.t.Helper()
	p.Locate(selector, "waitFor", map[string]any{"state": "hidden"})
}

// Locate calls a method of Playwright's locator of the selector.
func (p *Page) Locate(selector, method string, args ...any) json.RawMessage {
	p.b.t.Helper()
	return p.must("locate", map[string]any{"selector": selector, "method": method, "args": args})
}

// Do calls a method of Playwright's page.
func (p *Page) Do(method string, args ...any) json.RawMessage {
	p.b.t.Helper()
	return p.must("do", map[string]any{"method": method, "args": args})
}

// Reload loads the page again.
func (p *Page) Reload() { p.b.t.Helper(); p.Do("reload") }

// Offline takes the page's session off the network, or back (not its UDP).
func (p *Page) Offline(on bool) { p.b.t.Helper(); p.must("offline", map[string]any{"on": on}) }

// Screenshot writes a PNG of the window, or with full of the whole page.
func (p *Page) Screenshot(path string, full bool) {
	p.b.t.Helper()
	p.must("screenshot", map[string]any{"path": path, "full": full})
}

// Close closes the tab without asking the page.
func (p *Page) Close() { p.b.t.Helper(); p.must("close", map[string]any{}) }

// Log returns what the page wrote to its console, and its uncaught errors.
func (p *Page) Log() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Errors returns the page's uncaught errors.
func (p *Page) Errors() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return append([]string(nil), p.errors...)
}
