package recordings_test

import (
	"io"
	"testing"
	"time"

	"dialtone/internal/fault"
	"dialtone/internal/store/recordings"
	"dialtone/internal/voice/media"
)

func TestRecordingIsKeptWholeAndDeleted(t *testing.T) {
	d, err := recordings.Open(t.TempDir() + "/recordings")
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Create("RE1")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteSamples(make([]int16, 12_000)); err != nil {
		t.Fatal(err)
	}
	if length, err := r.Close(); err != nil || length != 1500*time.Millisecond {
		t.Fatalf("closed with %v, %v", length, err)
	}
	if _, err := d.Create("RE1"); err == nil {
		t.Error("a recording was written over")
	}
	audio, _, err := d.Open("RE1")
	if err != nil {
		t.Fatal(err)
	}
	clip, err := media.ReadWAV(audio)
	if err != nil || clip.Duration() != 1500*time.Millisecond {
		t.Errorf("read back: %v", err)
	}
	if _, err := audio.Seek(0, io.SeekStart); err != nil {
		t.Error(err)
	}
	audio.Close()
	if err := d.Delete("RE1"); err != nil {
		t.Error(err)
	}
	if err := d.Delete("RE1"); err != nil {
		t.Errorf("deleting again: %v", err)
	}
	if _, _, err := d.Open("RE1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("opened what was deleted: %v", err)
	}
}

func TestIDsCannotLeaveTheDirectory(t *testing.T) {
	d, err := recordings.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "../x", "a/b", "a.b", "a\x00", "x y"} {
		if _, err := d.Create(id); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}
