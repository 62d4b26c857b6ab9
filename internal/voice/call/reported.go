package call

func (d *decision) reported(in Reported) {
	l := d.leg(in.Leg)
	if l == nil || !l.live() {
		return
	}
	switch r := in.Report.(type) {
	case Progress:
		d.progress(l, r)
	case Up:
		d.up(l, r)
	case Down:
		d.down(in.Leg, r, in.Media)
	case Dialled:
		d.notify(Digit{Leg: l.ID, Digit: r.Digit})
		if !r.Relayed && d.Pair.has(l.ID) && d.HeldBy == "" {
			d.do(PressKeys{Leg: d.Pair.other(l.ID), Digits: string(rune(r.Digit))})
		}
	case FarHold:
		d.notify(Held{Leg: l.ID, On: r.On})
	case Away:
		d.notify(Reconnecting{Leg: l.ID, On: r.On})
	}
}

// progress lets the caller hear what the called side does before it answers.
func (d *decision) progress(l *LegState, r Progress) {
	if !l.Dialled || l.answered() || l.HungUp {
		return
	}
	if r.Trunk != "" {
		l.Trunk = r.Trunk
	}
	if l.Ringing.IsZero() {
		l.Ringing, l.Phase = d.now, Alerting
		d.notify(LegRinging{Leg: l.ID})
	}
	if !l.Dial.Ringback || d.Ending {
		return
	}
	o := d.offered()
	switch {
	case o.HungUp || !o.live():
	case r.Early:
		l.Early = true
		if len(r.Codecs) > 0 {
			l.Codec = r.Codecs[0]
		}
		if o.Phase < Answering && !o.Early {
			o.Phase, o.Early = Alerting, true
			if o.Ringing.IsZero() {
				o.Ringing = d.now
			}
			d.do(LegRing{Leg: o.ID, Early: true, Codecs: r.Codecs})
		}
		if d.Pair.none() {
			d.join(o.ID, l.ID)
		}
	case o.Phase < Answering:
		// A browser makes no ringing sound of its own; a carrier does.
		d.ring(d.Offer.Device())
	case o.Playing == "" && d.Pair.none():
		o.Playing, o.Loop = RingbackTone, true
		d.do(PlayPrompt{Leg: o.ID, ID: RingbackTone, Prompt: RingbackTone, Loop: true})
	}
}

func (d *decision) up(l *LegState, r Up) {
	if l.answered() {
		return
	}
	l.Phase, l.Up = Talking, d.now
	l.Codec = r.Codec
	if r.Trunk != "" {
		l.Trunk = r.Trunk
	}
	if !l.Dialled {
		d.Answered = d.now
	}
	if l.HungUp { // the answer crossed our hang-up; Down follows
		return
	}
	d.notify(LegAnswered{Leg: l.ID})
	if l.Dialled && l.Dial.Ringback && !d.Ending {
		d.connect(l)
	}
	d.bridgedIfBothUp()
}

// connect gives the caller the dialled leg that answered first; the others that
// rang beside it stop.
func (d *decision) connect(l *LegState) {
	for i := range d.Legs {
		if o := &d.Legs[i]; o.Dialled && o.ID != l.ID && o.Dial.Ringback && !o.answered() {
			d.hangUp(o, Replaced)
		}
	}
	o := d.offered()
	if !o.live() || o.HungUp {
		return
	}
	d.answer([]Codec{l.Codec})
	d.join(o.ID, l.ID)
}

func (d *decision) down(id LegID, r Down, m Media) {
	l := d.leg(id)
	if l == nil || !l.live() {
		return
	}
	d.part(id)
	if l.Recording != "" {
		d.do(StopRecording{Leg: id})
	}
	l.Phase, l.Ended, l.Playing = Gone, d.now, ""
	l.Cause, l.Status, l.Media = r.Cause, r.Status, m
	d.notify(LegEnded{Leg: id, Cause: r.Cause})
	if !l.Dialled {
		d.end(r.Cause, id)
	}
}

func (d *decision) played(in Played) {
	l := d.leg(in.Leg)
	if l == nil || l.Playing != in.ID || l.Loop {
		return
	}
	l.Playing = ""
	d.notify(PlayEnded(in))
}

func (d *decision) recorded(in Recorded) {
	l := d.leg(in.Leg)
	if l == nil || l.Recording != in.ID {
		return
	}
	l.Recording = ""
	d.notify(RecordEnded(in))
}
