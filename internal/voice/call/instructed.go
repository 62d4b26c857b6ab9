package call

func (d *decision) instructed(in Instruction) {
	if d.Ending {
		return
	}
	switch in := in.(type) {
	case Ring:
		d.ring(in.Early)
	case Answer:
		d.answer(nil)
	case Dial:
		d.dial(in)
	case Bridge:
		d.bridge(in)
	case Hold:
		d.hold(in.Leg)
	case Resume:
		d.resume(in.Leg)
	case Play:
		d.play(in)
	case StopPlay:
		if l := d.liveLeg(in.Leg); l != nil && l.Playing != "" {
			l.Playing = ""
			d.do(Silence(in))
		}
	case Record:
		if l := d.liveLeg(in.Leg); l != nil && l.Recording == "" {
			l.Recording = in.ID
			d.do(StartRecording(in))
			if l.Playing == "" && !d.Pair.has(l.ID) {
				l.Playing, l.Loop = QuietTone, true
				d.do(PlayPrompt{Leg: l.ID, ID: QuietTone, Prompt: QuietTone, Loop: true})
			}
		}
	case StopRecord:
		if l := d.leg(in.Leg); l != nil && l.Recording != "" {
			d.do(StopRecording(in))
		}
	case SendDigits:
		if l := d.liveLeg(in.Leg); l != nil && l.answered() {
			d.do(PressKeys(in))
		}
	case HangUp:
		if l := d.liveLeg(in.Leg); l != nil {
			d.hangUp(l, in.Cause)
		}
	case End:
		d.end(in.Cause, d.lastToLeave(in.Cause))
	case Label:
		d.label(in.Key, in.Value)
	}
}

// lastToLeave returns the dialled leg that left last by itself with the cause:
// a Director ends a call because of it.
func (d *decision) lastToLeave(cause EndCause) LegID {
	var last *LegState
	for i := range d.Legs {
		l := &d.Legs[i]
		if l.Phase == Gone && !l.HungUp && l.Cause == cause && (last == nil || l.Ended.After(last.Ended)) {
			last = l
		}
	}
	if last == nil {
		return ""
	}
	return last.ID
}

func (d *decision) ring(early bool) {
	l := d.offered()
	if l.Phase > Alerting || l.HungUp || (l.Phase == Alerting && (l.Early || !early)) {
		return
	}
	l.Phase = Alerting
	if l.Ringing.IsZero() {
		l.Ringing = d.now
	}
	if early {
		l.Early = true
		l.Playing, l.Loop = RingbackTone, true
		d.do(LegRing{Leg: l.ID, Early: true, Codecs: d.dialCodecs()},
			PlayPrompt{Leg: l.ID, ID: RingbackTone, Prompt: RingbackTone, Loop: true})
		return
	}
	d.do(LegRing{Leg: l.ID})
}

// dialCodecs returns what the latest dialled leg speaks, so that the offered leg
// agrees on the same and nothing needs transcoding.
func (d *decision) dialCodecs() []Codec {
	for i := len(d.Legs) - 1; i > 0; i-- {
		if l := &d.Legs[i]; l.live() && l.Codec != "" {
			return []Codec{l.Codec}
		}
	}
	return nil
}

func (d *decision) answer(codecs []Codec) {
	l := d.offered()
	if l.Phase >= Answering || l.HungUp {
		return
	}
	l.Phase = Answering
	if codecs == nil {
		codecs = d.dialCodecs()
	}
	d.do(LegAnswer{Leg: l.ID, Codecs: codecs})
}

func (d *decision) dial(in Dial) {
	if d.leg(in.Leg) != nil {
		return
	}
	in.Account = d.Offer.Account
	if in.Codecs == nil {
		in.Codecs = d.codecs(d.offered())
	}
	d.Legs = append(d.Legs, LegState{ID: in.Leg, Address: in.To, Dialled: true, Dial: in, Started: d.now})
	d.do(LegDial{in})
}

func (d *decision) bridge(in Bridge) {
	a, b := d.liveLeg(in.A), d.liveLeg(in.B)
	if a == nil || b == nil || a == b {
		return
	}
	for _, l := range []*LegState{a, b} {
		if !l.Dialled && l.Phase < Answering {
			d.answer(nil)
		}
	}
	d.join(in.A, in.B)
}

func (d *decision) hold(id LegID) {
	if !d.Pair.has(id) || d.HeldBy != "" || d.since.IsZero() {
		return
	}
	d.HeldBy = id
	other := d.leg(d.Pair.other(id))
	other.Playing, other.Loop = HoldMusic, true
	d.do(Part{Leg: id}, PlayPrompt{Leg: other.ID, ID: HoldMusic, Prompt: HoldMusic, Loop: true})
	d.notify(Held{Leg: id, On: true})
}

func (d *decision) resume(id LegID) {
	if d.HeldBy == "" || d.HeldBy != id {
		return
	}
	d.HeldBy = ""
	d.leg(d.Pair.other(id)).Playing = ""
	d.do(Join(d.Pair))
	d.notify(Held{Leg: id, On: false})
}

func (d *decision) play(in Play) {
	l := d.liveLeg(in.Leg)
	if l == nil {
		return
	}
	d.part(in.Leg)
	l.Playing, l.Loop = in.ID, in.Loop
	d.do(PlayPrompt(in))
}
