package talk

import "testing"

func TestInboxRefusesWhatMayBeRefused(t *testing.T) {
	b := newInbox()
	for range inboxSize {
		if !b.request(func() {}) {
			t.Fatal("refused too early")
		}
	}
	if b.request(func() {}) {
		t.Fatal("a full inbox takes requests")
	}
	ran := 0
	if !b.post(func() { ran++ }) {
		t.Fatal("a call's event is lost")
	}
	work := b.take()
	work[len(work)-1]()
	if len(work) != inboxSize+1 || ran != 1 || len(b.take()) != 0 {
		t.Fatalf("%d taken", len(work))
	}
	b.post(func() { ran++ })
	for _, fn := range b.close() {
		fn()
	}
	if ran != 2 || b.post(func() {}) || b.request(func() {}) {
		t.Fatal("a closed inbox takes work, or has lost some")
	}
}
