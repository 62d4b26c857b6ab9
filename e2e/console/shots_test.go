package console_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"dialtone/e2e/browser"
	"dialtone/e2e/node"
	"dialtone/internal/voice/carrier"
)

// TestScreenshots writes what the console looks like into the directory that
// the variable SCREENSHOTS names, as the README's picture was made.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		t.Skip("set SCREENSHOTS to a directory")
	}
	f := &floor{
		node:    node.Start(t, node.Options{}),
		browser: browser.Start(t, browser.Options{Flags: []string{"--use-file-for-fake-audio-capture=" + microphone(t)}, Wait: 25 * time.Second}),
	}
	d := f.open(t)
	shot := func(name string) { d.page.Screenshot(filepath.Join(dir, name+".png"), false) }
	shot("idle")
	done := d.callIn(carrier.CallOptions{For: 12 * time.Second, From: "+12125550147"})
	d.page.See(test("answer"))
	shot("ringing")
	d.page.Click(test("answer"))
	d.page.See(test("timer"))
	d.carrierCall("the call runs a while", func(r carrier.Report) bool { return r.PacketsIn > 150 })
	shot("call")
	d.page.Click(test("keypad"))
	shot("keypad")
	d.result(done)
	d.page.See(test("dial-input"))
	shot("ended")
	d.page.Click(test("nav-history"))
	shot("history")
}
