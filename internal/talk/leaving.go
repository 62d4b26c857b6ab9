package talk

import (
	"time"

	"dialtone/internal/voice/call"
)

// leaveStep is how far a caller is in leaving a message.
type leaveStep int

const (
	leaveAnswering leaveStep = iota // not answered yet
	leaveGreeting
	leaveTone
	leaveMessage
	leaveGoodbye
)

const (
	// promptWithin bounds any prompt, should its end never be told.
	promptWithin = 90 * time.Second
	// minMessage is the shortest recording that counts as a message.
	minMessage = time.Second
)

// rule takes over a caller whom nobody can take: voicemail, or a closing word.
func (f *floor) rule(c *liveCall) {
	f.leave(c)
	c.music = false
	c.stage = leaving
	if !c.line.Voicemail {
		c.stage = closing
	}
	c.step = leaveAnswering
	if c.answered {
		f.advance(c)
		return
	}
	if !c.answering {
		c.answering = true
		c.do(call.Answer{})
	}
	f.setTimer(c, answerWithin, func() { f.end(c, call.Failed) })
}

// advance takes the next step of leaving a message, or of the closing word.
func (f *floor) advance(c *liveCall) {
	f.setTimer(c, promptWithin, func() { f.advance(c) })
	if c.stage == closing {
		if c.step != leaveAnswering {
			f.end(c, call.Completed)
			return
		}
		c.step = leaveGoodbye
		f.playTo(c, PromptClosed)
		return
	}
	c.step++
	switch c.step {
	case leaveGreeting:
		greeting := c.line.Greeting
		if greeting == "" {
			greeting = PromptVoicemail
		}
		f.playTo(c, greeting)
	case leaveTone:
		f.playTo(c, PromptBeep)
	case leaveMessage:
		c.message = &Voicemail{
			ID: NewID("RE"), Account: c.branch.ID, Call: c.offer.Call, Line: c.line.ID, From: c.from, At: f.now,
		}
		c.do(call.Record{Leg: c.offer.Leg, ID: c.message.ID, Max: c.line.message()})
		f.setTimer(c, c.line.message()+ringSlack, func() { f.end(c, call.Completed) })
	case leaveGoodbye:
		f.playTo(c, PromptGoodbye)
	case leaveAnswering:
	default:
		f.end(c, call.Completed)
	}
}

func (f *floor) whileLeaving(c *liveCall, e call.Event) {
	switch e := e.(type) {
	case call.LegAnswered:
		if e.Leg != c.offer.Leg {
			c.do(call.HangUp{Leg: e.Leg, Cause: call.Cancelled})
		} else if c.step == leaveAnswering {
			f.advance(c)
		}
	case call.PlayEnded:
		if e.Leg == c.offer.Leg && e.ID == c.play && c.step != leaveMessage {
			c.play = ""
			f.advance(c)
		}
	case call.Digit:
		if e.Leg != c.offer.Leg {
			return
		}
		switch {
		case c.step == leaveMessage && e.Digit == '#':
			c.do(call.StopRecord{Leg: c.offer.Leg})
		case c.step == leaveGreeting && c.stage == leaving && (e.Digit == '#' || e.Digit == '*'):
			f.advance(c) // who knows the greeting may skip it
		}
	}
}

// recorded keeps a message, whether the caller is still there or has hung up.
func (f *floor) recorded(c *liveCall, e call.RecordEnded) {
	m := c.message
	if m == nil || e.ID != m.ID || c.kept {
		return
	}
	if e.Err != "" {
		f.log.Error("recording failed", "call", c.offer.Call, "recording", e.ID, "error", e.Err)
	}
	if e.Err != "" || e.Duration < minMessage {
		c.message = nil
		f.keep(entry{Kind: entryErase, Account: c.branch.ID, Recording: e.ID})
	} else {
		c.kept = true
		m.Duration = SecondsOf(e.Duration)
		kept := *m
		f.keep(entry{Kind: entryVoicemail, Account: m.Account, Voicemail: &kept})
	}
	if c.stage == leaving && c.step == leaveMessage {
		f.advance(c)
	}
}
