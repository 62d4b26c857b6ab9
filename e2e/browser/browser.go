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
	"slices"
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

// Browser is one Chromium as one test sees it.
type Browser struct {
	*driver
	t testing.TB
}

// driver is the process that drives one Chromium.
type driver struct {
	wait time.Duration
	cmd  *exec.Cmd
	in   io.WriteCloser
	read chan struct{} // closed when the process said its last

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	logs    map[int]*log // by page
	dead    error
}

// log is what a page said, guarded by the driver's mu.
type log struct{ lines, errors []string }

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
	full, err := module(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func module(path string) (string, error) {
	full := filepath.Join(Root(), "node_modules", filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		return "", fmt.Errorf("%s is missing: run `npm ci --prefix e2e` first (make test does)", full)
	}
	return full, nil
}

// Start starts Chromium for the test, which is skipped with -short. What is
// missing fails it: a test that does not run shows nothing.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	b, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Quit)
	return b.For(t)
}

// Launch starts Chromium for several tests: each uses it by For. Quit ends it.
func Launch(o Options) (*Browser, error) {
	if _, err := module("playwright-core/package.json"); err != nil {
		return nil, err
	}
	chromium, err := find("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("the browser's driver needs Node: %w", err)
	}
	cmd := exec.Command(node, filepath.Join(Root(), "driver.mjs"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if o.Wait == 0 {
		o.Wait = 15 * time.Second
	}
	d := &driver{wait: o.Wait, cmd: cmd, in: in, read: make(chan struct{}), waiting: map[int]chan answer{}, logs: map[int]*log{}}
	go func() {
		defer close(d.read)
		d.listen(out)
	}()
	b := &Browser{driver: d}
	_, err = d.ask("launch", map[string]any{"executable": chromium, "headless": true, "args": append(append([]string{}, flags...), o.Flags...)})
	if err != nil {
		b.Quit()
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	return b, nil
}

// For returns the browser for a test: what fails, fails that test.
func (b *Browser) For(t testing.TB) *Browser { return &Browser{driver: b.driver, t: t} }

// Quit ends Chromium. A Browser of Start ends by itself.
func (b *Browser) Quit() {
	gone := time.AfterFunc(10*time.Second, func() { _ = b.cmd.Process.Kill() })
	defer gone.Stop()
	_, _ = b.ask("quit", nil)
	_ = b.in.Close()
	<-b.read
	_ = b.cmd.Wait()
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

// listen takes the driver's lines until it is gone.
func (d *driver) listen(out io.Reader) {
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
		d.mu.Lock()
		if l.ID == 0 {
			d.logLocked(l.Page, l.Event, l.Level, l.Text)
			d.mu.Unlock()
			continue
		}
		c := d.waiting[l.ID]
		delete(d.waiting, l.ID)
		d.mu.Unlock()
		if c == nil {
			continue
		}
		a := answer{Value: l.Value}
		if l.Error != nil {
			a.Err = errors.New(*l.Error)
		}
		c <- a
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = errors.New("the browser's driver is gone")
	for id, c := range d.waiting {
		delete(d.waiting, id)
		c <- answer{Err: d.dead}
	}
}

func (d *driver) logLocked(page int, kind, level, text string) {
	l := d.logs[page]
	if l == nil {
		l = &log{}
		d.logs[page] = l
	}
	line := strings.TrimSpace(kind + " " + level + " " + text)
	if kind == "error" || kind == "crash" {
		l.errors = append(l.errors, line)
	}
	if len(l.lines) < 10000 {
		l.lines = append(l.lines, line)
	}
}

func (d *driver) ask(op string, o map[string]any) (json.RawMessage, error) {
	message := map[string]any{"op": op}
	for k, v := range o {
		message[k] = v
	}
	c := make(chan answer, 1)
	d.mu.Lock()
	if d.dead != nil {
		d.mu.Unlock()
		return nil, d.dead
	}
	d.next++
	message["id"] = d.next
	d.waiting[d.next] = c
	line, err := json.Marshal(message)
	if err == nil {
		_, err = d.in.Write(append(line, '\n'))
	}
	d.mu.Unlock()
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
	return &Page{b: b, id: id}
}

// Page is one tab. Its methods end the test when they fail, with the page's log.
type Page struct {
	b  *Browser
	id int
}

// For returns the page for another test: what fails, fails that test.
func (p *Page) For(t testing.TB) *Page { return &Page{b: p.b.For(t), id: p.id} }

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

// CDP sends a command of the DevTools protocol, in a session that lasts as long as
// the page, and decodes its result into into unless that is nil.
func (p *Page) CDP(method string, params, into any) {
	p.b.t.Helper()
	v := p.must("cdp", map[string]any{"method": method, "params": params})
	if into == nil {
		return
	}
	if err := json.Unmarshal(v, into); err != nil {
		p.b.t.Fatalf("page: %s gave %s: %v", method, v, err)
	}
}

// Screenshot writes a PNG of the window, or with full of the whole page.
func (p *Page) Screenshot(path string, full bool) {
	p.b.t.Helper()
	p.must("screenshot", map[string]any{"path": path, "full": full})
}

// Close closes the tab without asking the page.
func (p *Page) Close() { p.b.t.Helper(); p.must("close", map[string]any{}) }

// Leave ends the page's whole session, with all its tabs; a session that is gone is fine.
func (p *Page) Leave() { _, _ = p.b.ask("leave", map[string]any{"page": p.id}) }

// Log returns what the page wrote to its console, and its uncaught errors.
func (p *Page) Log() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if l := p.b.logs[p.id]; l != nil {
		return slices.Clone(l.lines)
	}
	return nil
}

// Errors returns the page's uncaught errors.
func (p *Page) Errors() []string {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if l := p.b.logs[p.id]; l != nil {
		return slices.Clone(l.errors)
	}
	return nil
}

// Crash ends the page's process, as a crash does. Of the page only Log, Errors
// and Leave are of use afterwards.
func (p *Page) Crash() {
	_, _ = p.b.ask("do", map[string]any{"page": p.id, "method": "goto", "args": []any{"chrome://crash"}})
}
