package strand_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/voice/strand"
)

func TestPostsRunInOrderAndNeverTogether(t *testing.T) {
	var crew strand.Crew
	s := strand.New(&crew)
	got := map[int][]int{} // by poster; touched by the strand alone, which the race detector checks
	var posters sync.WaitGroup
	for p := range 8 {
		posters.Go(func() {
			for i := range 500 {
				s.Post(func() { got[p] = append(got[p], i) })
			}
		})
	}
	posters.Wait()
	if err := crew.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for p := range 8 {
		for i := range 500 {
			if len(got[p]) != 500 || got[p][i] != i {
				t.Fatalf("poster %d: %d functions, out of order", p, len(got[p]))
			}
		}
	}
}

func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var crew strand.Crew
		s := strand.New(&crew)
		var a strand.Alarm
		var rang []string
		s.Post(func() {
			a.Set(s, time.Second, func() { rang = append(rang, "replaced") })
			a.Set(s, 2*time.Second, func() { rang = append(rang, "rang") })
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.Post(func() {
			if a.IsSet() {
				t.Error("set after it rang")
			}
			a.Set(s, time.Second, func() { rang = append(rang, "stopped") })
			a.Stop()
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(rang) != 1 || rang[0] != "rang" {
			t.Errorf("%q", rang)
		}
	})
}

func TestClosedCrewRunsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var crew strand.Crew
		s := strand.New(&crew)
		release := make(chan struct{})
		s.Post(func() { <-release })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if crew.Wait(ctx) == nil || crew.Count() != 1 {
			t.Errorf("waited for nothing; %d are left", crew.Count())
		}
		time.AfterFunc(time.Second, func() { close(release) })
		crew.Close()
		s.Post(func() { t.Error("ran after Close") })
		synctest.Wait()
	})
}
