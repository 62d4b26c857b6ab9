package call_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// story feeds a call with inputs, a second apart, and collects what was decided.
type story struct {
	t       *testing.T
	state   call.State
	now     time.Time
	actions []call.Action // of the last input
	all     []call.Action
}

func begin(t *testing.T, o call.Offer) *story {
	s := &story{t: t, now: start}
	if o.Call == "" {
		o.Call, o.Leg = "CAcall", "a"
	}
	o.At = start
	return s.in(call.Begin{Offer: o})
}

func inbound(t *testing.T) *story {
	return begin(t, call.Offer{Trunk: "carrier", From: call.Phone("+15550123"), To: call.Phone("+15550199"), Codecs: []call.Codec{call.PCMA, call.PCMU}})
}

func outbound(t *testing.T) *story {
	return begin(t, call.Offer{From: call.Client("alice"), To: call.Phone("+15550105"), Codecs: []call.Codec{call.PCMU, call.Opus, call.PCMA}})
}

func (s *story) in(in call.Input) *story {
	s.state, s.actions = call.Decide(s.state, in, s.now)
	s.all = append(s.all, s.actions...)
	s.now = s.now.Add(time.Second)
	return s
}

func (s *story) tell(i call.Instruction) *story { return s.in(call.Instructed{Instruction: i}) }
func (s *story) report(leg call.LegID, r call.Report) *story {
	return s.in(call.Reported{Leg: leg, Report: r})
}

// want checks the actions of the last input, timers left out.
func (s *story) want(actions ...call.Action) *story {
	s.t.Helper()
	got := slices.DeleteFunc(slices.Clone(s.actions), isTimer)
	if len(got) == 0 && len(actions) == 0 {
		return s
	}
	if !reflect.DeepEqual(got, actions) {
		s.t.Fatalf("decided\n%s\nwant\n%s", list(got), list(actions))
	}
	return s
}

func (s *story) record() call.CallRecord {
	s.t.Helper()
	f, ok := s.all[len(s.all)-1].(call.Finish)
	if !ok {
		s.t.Fatalf("the call is not finished: %s", list(s.all))
	}
	return f.Record
}

func isTimer(a call.Action) bool {
	switch a.(type) {
	case call.StartTimer, call.StopTimer:
		return true
	}
	return false
}

func list(actions []call.Action) string {
	var b strings.Builder
	for _, a := range actions {
		fmt.Fprintf(&b, "  %T%+v\n", a, a)
	}
	return b.String()
}

func TestAgentAnswersInboundCall(t *testing.T) {
	dial := call.Dial{Leg: "b", To: call.Client("alice"), Timeout: 30 * time.Second, Ringback: true}
	asked := dial
	asked.Codecs = []call.Codec{call.PCMA, call.PCMU}
	s := inbound(t)
	s.tell(dial).want(call.LegDial{Dial: asked})
	s.report("b", call.Progress{}).want(call.Notify{Event: call.LegRinging{Leg: "b"}}, call.LegRing{Leg: "a"})
	s.report("b", call.Up{Codec: call.PCMA}).want(
		call.Notify{Event: call.LegAnswered{Leg: "b"}},
		call.LegAnswer{Leg: "a", Codecs: []call.Codec{call.PCMA}},
		call.Join{A: "a", B: "b"},
	)
	s.report("a", call.Up{Codec: call.PCMA}).want(
		call.Notify{Event: call.LegAnswered{Leg: "a"}}, call.Notify{Event: call.Bridged{A: "a", B: "b"}})
	s.report("a", call.Down{Cause: call.Completed}).want(
		call.Part{Leg: "a"}, call.Notify{Event: call.LegEnded{Leg: "a", Cause: call.Completed}},
		call.LegEnd{Leg: "b", Cause: call.Completed})
	s.report("b", call.Down{Cause: call.Completed})
	r := s.record()
	if r.Cause != call.Completed || r.EndedBy != "a" || r.Direction != call.Inbound || r.Talked != time.Second || len(r.Legs) != 2 {
		t.Errorf("record %+v", r)
	}
}

func TestAgentCallsOut(t *testing.T) {
	s := outbound(t)
	s.tell(call.Dial{Leg: "b", To: call.Phone("+15550105"), Ringback: true})
	s.report("b", call.Progress{}).want(
		call.Notify{Event: call.LegRinging{Leg: "b"}},
		call.LegRing{Leg: "a", Early: true},
		call.PlayPrompt{Leg: "a", ID: call.RingbackTone, Prompt: call.RingbackTone, Loop: true},
	)
	s.report("b", call.Progress{Early: true, Codecs: []call.Codec{call.PCMU}}).want(call.Join{A: "a", B: "b"})
	s.report("b", call.Up{Codec: call.PCMU, Trunk: "one"}).want(
		call.Notify{Event: call.LegAnswered{Leg: "b"}}, call.LegAnswer{Leg: "a", Codecs: []call.Codec{call.PCMU}})
	s.report("a", call.Up{Codec: call.PCMU})
	s.tell(call.Hold{Leg: "a"}).want(call.Part{Leg: "a"},
		call.PlayPrompt{Leg: "b", ID: call.HoldMusic, Prompt: call.HoldMusic, Loop: true},
		call.Notify{Event: call.Held{Leg: "a", On: true}})
	s.tell(call.Hold{Leg: "b"}).want()
	s.tell(call.Resume{Leg: "b"}).want()
	s.tell(call.Resume{Leg: "a"}).want(call.Join{A: "a", B: "b"}, call.Notify{Event: call.Held{Leg: "a", On: false}})
	s.report("b", call.Down{Cause: call.Completed})
	s.tell(call.End{Cause: call.Completed})
	s.report("a", call.Down{Cause: call.Completed})
	r := s.record()
	if r.EndedBy != "b" || r.Trunk != "one" || r.Held != 3*time.Second || r.Talked != 2*time.Second || r.Direction != call.Outbound {
		t.Errorf("record %+v", r)
	}
}

func TestKeysBySignallingAreSentOnAndThoseInTheAudioAreNot(t *testing.T) {
	s := outbound(t)
	s.tell(call.Dial{Leg: "b", To: call.Phone("+15550105"), Ringback: true})
	s.report("b", call.Up{Codec: call.PCMU}).report("a", call.Up{Codec: call.PCMU})
	s.report("a", call.Dialled{Digit: '7'}).want(
		call.Notify{Event: call.Digit{Leg: "a", Digit: '7'}}, call.PressKeys{Leg: "b", Digits: "7"})
	s.report("a", call.Dialled{Digit: '7', Relayed: true}).want(call.Notify{Event: call.Digit{Leg: "a", Digit: '7'}})
}

func TestFirstOfSeveralAnswers(t *testing.T) {
	s := inbound(t)
	for _, leg := range []call.LegID{"b", "c"} {
		s.tell(call.Dial{Leg: leg, To: call.Client(string(leg)), Ringback: true}).report(leg, call.Progress{})
	}
	s.report("c", call.Up{Codec: call.PCMU}).want(
		call.Notify{Event: call.LegAnswered{Leg: "c"}},
		call.LegEnd{Leg: "b", Cause: call.Replaced},
		call.LegAnswer{Leg: "a", Codecs: []call.Codec{call.PCMU}},
		call.Join{A: "a", B: "c"})
	// The other's answer crosses our hang-up: it stays out of the call.
	s.report("b", call.Up{Codec: call.PCMU}).want()
}

func TestCallerGivesUp(t *testing.T) {
	s := inbound(t)
	s.tell(call.Dial{Leg: "b", To: call.Client("alice"), Ringback: true}).report("b", call.Progress{})
	s.report("a", call.Down{Cause: call.Cancelled}).want(
		call.Notify{Event: call.LegEnded{Leg: "a", Cause: call.Cancelled}}, call.LegEnd{Leg: "b", Cause: call.Cancelled})
	s.report("b", call.Down{Cause: call.Cancelled})
	if r := s.record(); r.Cause != call.Cancelled || !r.Answered.IsZero() || r.Talked != 0 {
		t.Errorf("record %+v", r)
	}
}

func TestVoicemail(t *testing.T) {
	s := inbound(t)
	s.tell(call.Answer{}).want(call.LegAnswer{Leg: "a"})
	s.report("a", call.Up{Codec: call.PCMU})
	s.tell(call.Play{Leg: "a", ID: "greet", Prompt: "greeting:voicemail"}).want(
		call.PlayPrompt{Leg: "a", ID: "greet", Prompt: "greeting:voicemail"})
	s.in(call.Played{Leg: "a", ID: "other"}).want()
	s.in(call.Played{Leg: "a", ID: "greet"}).want(call.Notify{Event: call.PlayEnded{Leg: "a", ID: "greet"}})
	s.tell(call.Record{Leg: "a", ID: "vm1", Max: time.Minute}).want(
		call.StartRecording{Leg: "a", ID: "vm1", Max: time.Minute},
		call.PlayPrompt{Leg: "a", ID: call.QuietTone, Prompt: call.QuietTone, Loop: true})
	s.report("a", call.Down{Cause: call.Completed}).want(
		call.StopRecording{Leg: "a"}, call.Notify{Event: call.LegEnded{Leg: "a", Cause: call.Completed}})
	if s.state.Over {
		t.Fatal("finished before the recording was closed")
	}
	s.in(call.Recorded{Leg: "a", ID: "vm1", Duration: time.Second})
	s.record()
}

func TestForgottenCallEnds(t *testing.T) {
	s := inbound(t)
	if !reflect.DeepEqual(s.actions, []call.Action{call.StartTimer{Timer: call.OrphanTimer, After: call.OrphanAfter}}) {
		t.Fatalf("begin decided %s", list(s.actions))
	}
	s.tell(call.Dial{Leg: "b", To: call.Client("alice")})
	if !slices.Contains(s.actions, call.Action(call.StopTimer{Timer: call.OrphanTimer})) {
		t.Errorf("dialling did not stop the orphan timer: %s", list(s.actions))
	}
	s.in(call.DialFailed{Leg: "b", Cause: call.Unreachable})
	if !slices.Contains(s.actions, call.Action(call.StartTimer{Timer: call.OrphanTimer, After: call.OrphanAfter})) {
		t.Errorf("the orphan timer does not run: %s", list(s.actions))
	}
	s.in(call.TimeUp{Timer: call.OrphanTimer}).want(call.LegEnd{Leg: "a", Cause: call.Failed})
}

func TestLegThatNeverReportsItsEnd(t *testing.T) {
	s := inbound(t)
	s.tell(call.End{Cause: call.NotFound}).want(call.LegEnd{Leg: "a", Cause: call.NotFound})
	s.in(call.TimeUp{Timer: call.LingerTimer})
	if r := s.record(); r.Cause != call.NotFound || r.Legs[0].Cause != call.Failed || r.Legs[0].Ended.IsZero() {
		t.Errorf("record %+v", r)
	}
}

// FuzzDecide feeds any order of inputs and checks what must hold in every one.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{0, 0x10, 0x21, 0x31, 0x30, 0x50, 0x51})
	f.Add([]byte{1, 0x10, 0x11, 0x12, 0x22, 0x33, 0x40, 0x60, 0x70, 0x80})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		o := call.Offer{Call: "CAcall", Leg: "a", From: call.Client("alice"), Codecs: []call.Codec{call.PCMU}}
		if script[0]%2 == 1 {
			o.Trunk = "carrier"
		}
		now := start
		s, _ := call.Decide(call.State{}, call.Begin{Offer: o}, now)
		ended := map[call.LegID]int{}
		finished := 0
		check := func(before call.State, actions []call.Action) {
			for i, a := range actions {
				switch a := a.(type) {
				case call.LegEnd:
					if ended[a.Leg]++; ended[a.Leg] > 1 {
						t.Fatalf("leg %s was ended twice", a.Leg)
					}
				case call.Join:
					if a.A == a.B {
						t.Fatal("a leg was joined with itself")
					}
				case call.Finish:
					if finished++; finished > 1 || i != len(actions)-1 {
						t.Fatal("Finish is not the last action, or came twice")
					}
				}
			}
			if before.Over && len(actions) > 0 {
				t.Fatalf("acted after the end: %s", list(actions))
			}
		}
		step := func(in call.Input) {
			now = now.Add(time.Second)
			before := s
			legs := slices.Clone(before.Legs)
			var actions []call.Action
			s, actions = call.Decide(s, in, now)
			if !reflect.DeepEqual(before.Legs, legs) {
				t.Fatal("Decide changed the state it was given")
			}
			check(before, actions)
		}
		for _, b := range script[1:] {
			step(fuzzInput(b))
		}
		// However it went: ending it and all legs going down finishes it.
		step(call.Stop{Cause: call.Shutdown})
		for i := range s.Legs {
			leg := s.Legs[i].ID
			step(call.Reported{Leg: leg, Report: call.Down{Cause: call.Completed}})
			if s.Legs[i].Recording != "" {
				step(call.Recorded{Leg: leg, ID: s.Legs[i].Recording})
			}
		}
		if !s.Over {
			t.Fatalf("the call did not finish: %+v", s)
		}
		if s.Talked < 0 || s.Held < 0 || s.Talked+s.Held > now.Sub(start) {
			t.Fatalf("talked %v and held %v of %v", s.Talked, s.Held, now.Sub(start))
		}
	})
}

func fuzzInput(b byte) call.Input {
	legs := []call.LegID{"a", "b", "c", "d"}
	leg, next := legs[b&3], legs[(b+1)&3]
	switch b >> 4 {
	case 0:
		return call.Instructed{Instruction: call.Answer{}}
	case 1:
		return call.Instructed{Instruction: call.Dial{Leg: leg, To: call.Client(string(leg)), Ringback: b&4 == 0}}
	case 2:
		return call.Reported{Leg: leg, Report: call.Progress{Early: b&4 == 0, Codecs: []call.Codec{call.PCMU}}}
	case 3:
		return call.Reported{Leg: leg, Report: call.Up{Codec: call.PCMU}}
	case 4:
		return call.Reported{Leg: leg, Report: call.Down{Cause: call.Causes[int(b)%len(call.Causes)]}}
	case 5:
		return call.Instructed{Instruction: call.Bridge{A: leg, B: next}}
	case 6:
		return call.Instructed{Instruction: call.Hold{Leg: leg}}
	case 7:
		return call.Instructed{Instruction: call.Resume{Leg: leg}}
	case 8:
		return call.Instructed{Instruction: call.Play{Leg: leg, ID: "p", Prompt: "x", Loop: b&4 == 0}}
	case 9:
		return call.Played{Leg: leg, ID: "p"}
	case 10:
		return call.Instructed{Instruction: call.Record{Leg: leg, ID: "r" + string(leg)}}
	case 11:
		return call.Recorded{Leg: leg, ID: "r" + string(leg)}
	case 12:
		return call.Instructed{Instruction: call.HangUp{Leg: leg, Cause: call.Declined}}
	case 13:
		return call.DialFailed{Leg: leg, Cause: call.Unreachable}
	case 14:
		return call.TimeUp{Timer: []call.Timer{call.LimitTimer, call.OrphanTimer, call.LingerTimer}[int(b)%3]}
	default:
		return call.Instructed{Instruction: call.End{Cause: call.Completed}}
	}
}
