package event_test

import (
	"strconv"
	"testing"

	"dialtone/internal/event"
)

func TestSlowSubscriberLosesTheOldestAndHarmsNobody(t *testing.T) {
	f := event.NewFan()
	slow, quick := f.Subscribe(2), f.Subscribe(10)
	for i := range 5 {
		f.Publish(event.CallEnded{Call: strconv.Itoa(i)})
	}
	for _, want := range []string{"3", "4"} {
		if got := (<-slow.Events()).(event.CallEnded).Call; got != want {
			t.Errorf("the slow one got %s, want %s", got, want)
		}
	}
	if slow.Dropped() != 3 || quick.Dropped() != 0 || len(quick.Events()) != 5 {
		t.Errorf("dropped %d and %d, %d wait", slow.Dropped(), quick.Dropped(), len(quick.Events()))
	}
	slow.Cancel()
	f.Publish(event.CallEnded{})
	if len(slow.Events()) != 0 {
		t.Error("a cancelled subscription got an event")
	}
}
