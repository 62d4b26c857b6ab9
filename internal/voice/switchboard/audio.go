package switchboard

import (
	"errors"
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
)

func (a *actor) join(j call.Join) {
	l, r := a.legs[j.A], a.legs[j.B]
	if l == nil || r == nil {
		return
	}
	media.Bridge(l.Endpoint(), r.Endpoint())
}

// play lets a leg hear a prompt. A prompt that cannot be had counts as heard, so
// that no call hangs on a missing file.
func (a *actor) play(p call.PlayPrompt) {
	leg := a.legs[p.Leg]
	if leg == nil {
		return
	}
	played := call.Played{Leg: p.Leg, ID: p.ID}
	clip, err := a.board.o.Prompts.Prompt(p.Prompt)
	if err != nil {
		a.log.Error("prompt cannot be played", "prompt", p.Prompt, "error", err)
		a.pending = append(a.pending, played)
		return
	}
	leg.Endpoint().Play(clip, p.Loop, func() { a.post(played) })
}

// tape is one recording under way.
type tape struct {
	id        string
	stop      func() error
	recording Recording
	limit     *time.Timer
}

func (a *actor) startTape(r call.StartRecording) {
	failed := func(err error) {
		a.log.Error("recording could not be started", "recording", r.ID, "error", err)
		a.pending = append(a.pending, call.Recorded{Leg: r.Leg, ID: r.ID, Err: err.Error()})
	}
	leg := a.legs[r.Leg]
	if leg == nil {
		a.pending = append(a.pending, call.Recorded{Leg: r.Leg, ID: r.ID, Err: "the leg is gone"})
		return
	}
	rec, err := a.board.o.Recordings.Create(r.ID)
	if err != nil {
		failed(err)
		return
	}
	t := &tape{id: r.ID, recording: rec, stop: leg.Endpoint().Record(rec)}
	if r.Max > 0 {
		t.limit = time.AfterFunc(r.Max, func() {
			a.post(call.Instructed{Instruction: call.StopRecord{Leg: r.Leg}})
		})
	}
	a.tapes[r.Leg] = t
}

func (a *actor) stopTape(leg call.LegID) {
	t := a.tapes[leg]
	if t == nil {
		return
	}
	delete(a.tapes, leg)
	if t.limit != nil {
		t.limit.Stop()
	}
	lost := t.stop()
	closed := call.Recorded{Leg: leg, ID: t.id}
	length, err := t.recording.Close()
	closed.Duration = length
	if err = errors.Join(lost, err); err != nil {
		a.log.Error("recording is not whole", "recording", t.id, "error", err)
		closed.Err = err.Error()
	}
	a.pending = append(a.pending, closed)
}
