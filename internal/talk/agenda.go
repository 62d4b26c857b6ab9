package talk

import (
	"container/heap"
	"time"
)

// agenda is what the floor has to do later, earliest first.
type agenda struct {
	alarms alarmHeap
	added  uint64
}

// alarm is one entry; a nil alarm is never due.
type alarm struct {
	at    time.Time
	order uint64 // of those due at the same time, the first added is first
	do    func()
	index int // in the heap, -1 when it is not there
}

// add plans do for the time.
func (a *agenda) add(at time.Time, do func()) *alarm {
	a.added++
	al := &alarm{at: at, order: a.added, do: do}
	heap.Push(&a.alarms, al)
	return al
}

// cancel removes the alarm, if it is still to come.
func (a *agenda) cancel(al *alarm) {
	if al != nil && al.index >= 0 {
		heap.Remove(&a.alarms, al.index)
	}
}

// next returns when the earliest alarm is due.
func (a *agenda) next() (time.Time, bool) {
	if len(a.alarms) == 0 {
		return time.Time{}, false
	}
	return a.alarms[0].at, true
}

// due removes and returns the earliest alarm that is due at now, nil when none is.
func (a *agenda) due(now time.Time) *alarm {
	if len(a.alarms) == 0 || a.alarms[0].at.After(now) {
		return nil
	}
	return heap.Pop(&a.alarms).(*alarm)
}

type alarmHeap []*alarm

func (h alarmHeap) Len() int { return len(h) }
func (h alarmHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	al := x.(*alarm)
	al.index = len(*h)
	*h = append(*h, al)
}

func (h *alarmHeap) Pop() any {
	old := *h
	al := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	al.index = -1
	return al
}
