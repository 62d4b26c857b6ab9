package keyring_test

import (
	"sync"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/token"
)

// A key that is renamed while somebody replaces or closes it is replaced or closed
// all the same.
func TestAChangeUndoesNoOther(t *testing.T) {
	w := newWorld(t, keyring.Options{})
	ctx := t.Context()
	k, err := w.AddKey(ctx, keyring.Key{Account: account, Name: "app"})
	w.must(err)
	text := w.mintsWith(token.Signer{Account: account, KeyID: k.ID, Secret: k.Secret}, nil, "alice")
	yes, name := true, "renamed"
	// After the name's change has read the key, before it is kept.
	w.store.changing = func() {
		w.store.changing = nil
		_, err := w.ChangeKey(ctx, account, k.ID, keyring.KeyChange{Disabled: &yes})
		w.must(err)
		_, err = w.RotateKey(ctx, account, k.ID, 0)
		w.must(err)
	}
	changed, err := w.ChangeKey(ctx, account, k.ID, keyring.KeyChange{Name: &name})
	w.must(err)
	if changed.Name != name || !changed.Disabled || changed.Successor == "" || changed.State(time.Now()) != "retired" || changed.Secret != nil {
		t.Errorf("%+v", changed)
	}
	w.wants("disabled and replaced", w.verdict(text), token.ReasonKeyDisabled)
	no := false
	_, err = w.ChangeKey(ctx, account, k.ID, keyring.KeyChange{Disabled: &no})
	w.must(err)
	w.wants("replaced", w.verdict(text), token.ReasonKeyRetired)
}

// Of two who close the two ways at once, one is told that the other did.
func TestTwoCloseBothWays(t *testing.T) {
	w := newWorld(t, keyring.Options{})
	second := make(chan struct{})
	var arrived sync.Mutex
	n := 0
	w.store.changing = func() {
		arrived.Lock()
		n++
		here := n
		arrived.Unlock()
		if here == 2 {
			close(second)
			return
		}
		select { // the other one, if nothing keeps it from coming this far
		case <-second:
		case <-time.After(200 * time.Millisecond):
		}
	}
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, kind := range []token.Kind{token.Ticket, token.Access} {
		all.Go(func() { errs[i] = w.SetWay(t.Context(), account, keyring.Way{Kind: kind}) })
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("ticket: %v, access: %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			w.fails("the second", err, fault.Conflict)
		}
	}
	open := 0
	for _, way := range w.Ways(account) {
		if way.Kind != token.Capability && way.Open {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d ways are open: %+v", open, w.Ways(account))
	}
}
