package health_test

import (
	"testing"
	"testing/synctest"
	"time"

	"dialtone/internal/health"
)

func TestWarningKeepsItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := health.NewBoard()
		begun := time.Now()
		b.Raise(health.Warning{Code: "disk", Severity: health.Notice})
		time.Sleep(time.Minute)
		b.Raise(health.Warning{Code: "trunk", Subject: "one", Severity: health.Degraded})
		b.Raise(health.Warning{Code: "disk", Severity: health.Critical, Text: "full"})
		all := b.Warnings()
		if len(all) != 2 || all[0].Code != "disk" || !all[0].Since.Equal(begun) || all[0].Text != "full" {
			t.Errorf("%+v", all)
		}
		if b.Ready() {
			t.Error("ready with a critical warning")
		}
		b.Clear("disk", "")
		b.Clear("trunk", "another")
		if !b.Ready() || len(b.Warnings()) != 1 {
			t.Errorf("%+v", b.Warnings())
		}
	})
}
