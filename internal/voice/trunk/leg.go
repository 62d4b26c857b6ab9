package trunk

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk/audio"
	"dialtone/internal/voice/trunk/sdp"
	"dialtone/internal/voice/trunk/transaction"
)

// leg is one party behind a carrier. All fields below queue belong to it.
type leg struct {
	s        *Server
	id       call.LegID
	log      *slog.Logger
	session  *audio.Session
	endpoint *media.Endpoint
	queue    *strand.Strand

	carrier *carrier     // whose place the leg takes, nil for none
	codecs  []call.Codec // what we offer and take, most wanted first
	report  switchboard.Reporter
	in      *incoming // how the call came, nil for a dialled leg
	out     *outgoing // how the call is made, nil for an offered leg
	dialog  *dialog   // nil until a dialled leg has one
	up      bool      // answered: both sides have said yes
	toldUp  bool      // Up is reported
	over    bool      // Down is reported
	mute    bool      // the audio is closed
	closed  bool      // everything is released
	keys    []string  // under which the server finds it

	local     sdp.Local
	said      []byte       // our latest description
	offered   []call.Codec // in it, when it was an offer
	farHeld   bool
	encrypted bool         // the audio
	silent    strand.Alarm // the audio is away
	refresh   sessionTimer
	reinvite  *transaction.Server // of the far end, 2xx not yet acknowledged
	repeat    repetition          // of a 2xx
	lateOffer bool                // the ACK of the 2xx brings the answer
	asking    bool                // a re-INVITE or UPDATE with offer of ours is out
}

// newLeg opens the leg's audio.
func (s *Server) newLeg(id call.LegID) (*leg, error) {
	l := &leg{s: s, id: id, log: s.log.With("leg", string(id)), queue: strand.New(&s.crew)}
	bind := s.o.Config.RTPBind
	if !bind.IsValid() {
		for _, c := range s.o.UDP {
			if a, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
				bind = a.Addr()
				break
			}
		}
	}
	var err error
	l.session, err = audio.Open(audio.Options{
		Listen: s.o.ListenPacket, Bind: bind, Low: s.o.Config.RTPLow, High: s.o.Config.RTPHigh,
		Stranger: s.metrics.rtpStrangers.Inc, Refused: s.metrics.refuse,
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.sockets += 2
	s.mu.Unlock()
	l.endpoint = media.NewEndpoint(l.session, s.o.Codecs, media.Hooks{
		Digit: func(d byte, relayed bool) { l.queue.Post(func() { l.tell(call.Dialled{Digit: d, Relayed: relayed}) }) },
		Heard: func() { l.queue.Post(func() { l.tell(call.Heard{}) }) },
		Lost:  func(on bool) { l.queue.Post(func() { l.away(on) }) },
	})
	l.local = sdp.Local{Port: l.session.Port(), Session: rand.Uint64() >> 2, Version: 1}
	return l, nil
}

// Endpoint implements switchboard.Leg.
func (l *leg) Endpoint() *media.Endpoint { return l.endpoint }

// End implements switchboard.Leg.
func (l *leg) End(cause call.EndCause) { l.queue.Post(func() { l.end(cause) }) }

// Ringing implements switchboard.Leg.
func (l *leg) Ringing(early bool, codecs []call.Codec) {
	l.queue.Post(func() {
		if l.in != nil && !l.over {
			l.ringing(early, codecs)
		}
	})
}

// Answer implements switchboard.Leg.
func (l *leg) Answer(codecs []call.Codec) {
	l.queue.Post(func() {
		if l.in != nil && !l.over {
			l.answer(codecs)
		}
	})
}

// tell passes a report on while the leg lives.
func (l *leg) tell(r call.Report) {
	if !l.over && l.report != nil {
		l.report(r)
	}
}

// away takes note that the far end's audio stopped, or came back. A leg that the
// far end holds, or that lost its audio before an answer, waits.
func (l *leg) away(on bool) {
	if l.over {
		return
	}
	if !on {
		l.silent.Stop()
	} else if l.up {
		l.awaitAudio(l.s.o.Config.MediaTimeout)
	}
	l.tell(call.Away{On: on})
}

// awaitAudio ends the leg unless its audio comes back. Reports of RTCP show that
// the far end lives and only has nothing to say.
func (l *leg) awaitAudio(d time.Duration) {
	l.silent.Set(l.queue, d, func() {
		if ago := time.Since(l.session.Heard()); ago < l.s.o.Config.MediaTimeout {
			l.awaitAudio(l.s.o.Config.MediaTimeout - ago)
			return
		}
		l.end(call.MediaLost)
	})
}

// tellUp reports that the leg is answered, and that it is on hold if it was
// answered so.
func (l *leg) tellUp() {
	l.toldUp = true
	l.tell(call.Up{Codec: l.session.Codec(), Trunk: l.dialog.carrier.Name})
	if l.farHeld {
		l.tell(call.FarHold{On: true})
	}
}

// down reports the end of the leg, once.
func (l *leg) down(cause call.EndCause, status int) {
	if l.over {
		return
	}
	l.tell(call.Down{Cause: cause, Status: status})
	l.over = true
	l.silent.Stop()
	l.refresh.Stop()
	l.log.Info("carrier leg ended", "cause", string(cause), "status", status)
}

// end ends the leg from our side in whatever state it is.
func (l *leg) end(cause call.EndCause) {
	if l.over {
		return
	}
	l.down(cause, 0)
	switch {
	case l.out != nil && !l.up:
		l.out.giveUp()
	case l.in != nil && !l.up:
		l.in.refuse(StatusOf(cause))
	case l.repeat.pending() && l.reinvite == nil:
		// A BYE may not overtake the ACK of the 2xx (RFC 3261 15).
		l.in.byeCause = cause
		l.quiet()
	default:
		l.bye(cause)
	}
}

// bye ends the dialog; the leg is released when the far end has answered.
func (l *leg) bye(cause call.EndCause) {
	l.repeat.stop()
	l.send(sip.BYE, func(req *sip.Request) { req.AppendHeader(reason(cause)) }, func(*sip.Response, error) { l.release() })
	l.quiet()
}

// quiet stops the audio at once; the dialog may need some time more.
func (l *leg) quiet() {
	if l.mute {
		return
	}
	l.mute = true
	l.endpoint.Close()
	l.session.Close()
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.sockets -= 2
}

// release forgets the leg. Whatever is left of it are transactions that wait for
// repetitions.
func (l *leg) release() {
	if l.closed {
		return
	}
	l.closed = true
	l.down(call.Failed, 0) // a leg never goes without a word
	l.repeat.stop()
	l.refresh.Stop()
	l.silent.Stop()
	if l.in != nil {
		l.in.stop()
	}
	if l.out != nil {
		l.out.stop()
	}
	l.quiet()
	l.s.dropLeg(l, l.keys...)
	if l.carrier != nil {
		l.carrier.leave()
		l.carrier = nil
	}
}

// send sends a request within the dialog and answers a challenge once. done gets
// the final response or the error, on the leg's strand.
func (l *leg) send(method sip.RequestMethod, fill func(*sip.Request), done func(*sip.Response, error)) {
	l.sendIn(l.dialog, method, fill, nil, done)
}

func (l *leg) sendIn(d *dialog, method sip.RequestMethod, fill func(*sip.Request), auth sip.Header, done func(*sip.Response, error)) {
	d.seq++
	req, hop := d.request(method, d.seq)
	if method == sip.INVITE || method == sip.UPDATE {
		req.AppendHeader(l.s.contact(d.carrier, hop))
		req.AppendHeader(sip.NewHeader("Allow", allowed))
		req.AppendHeader(sip.NewHeader("Supported", supported))
	}
	req.AppendHeader(sip.NewHeader("User-Agent", l.s.o.UserAgent))
	if fill != nil {
		fill(req)
	}
	if auth != nil {
		req.AppendHeader(auth)
	}
	if req.Body() == nil {
		req.SetBody(nil)
	}
	l.s.layer.Send(req, hop, func(res *sip.Response, err error) {
		if res != nil && res.IsProvisional() {
			return
		}
		l.queue.Post(func() {
			if c := d.carrier; res != nil && transaction.Challenged(res) && auth == nil && c.Username != "" {
				again := d.preview(method)
				if fill != nil {
					fill(again)
				}
				if h, err := credentials(again, res, c.Username, c.Password); err == nil {
					l.sendIn(d, method, fill, h, done)
					return
				}
			}
			done(res, err)
		})
	})
}

// preview is the request that comes next, as far as credentials depend on it.
func (d *dialog) preview(method sip.RequestMethod) *sip.Request {
	req, _ := d.request(method, d.seq+1)
	return req
}

// inDialog handles a request within the leg's dialog.
func (l *leg) inDialog(tx *transaction.Server) {
	req := tx.Request
	d := l.dialogFor(req)
	if d == nil || l.closed {
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	// RFC 3261 12.2.2: an older CSeq is out of order.
	if req.CSeq().SeqNo < d.remoteSeq {
		tx.Answer(sip.StatusInternalServerError, "")
		return
	}
	d.remoteSeq = req.CSeq().SeqNo
	if unknown := unknownOptions(req); unknown != "" && req.Method != sip.BYE {
		badExtension(tx, unknown)
		return
	}
	switch req.Method {
	case sip.BYE:
		l.byed(tx)
	case sip.INVITE:
		l.reinvited(tx)
	case sip.UPDATE:
		l.updated(tx)
	case sip.PRACK:
		l.pracked(tx)
	case sip.INFO:
		l.informed(tx)
	case sip.OPTIONS:
		l.s.options(tx)
	case sip.CANCEL:
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
	default:
		l.s.unsupported(tx)
	}
}

// dialogFor returns the dialog that a request belongs to: the leg's, or one of
// the early dialogs of a call that we make.
func (l *leg) dialogFor(req *sip.Request) *dialog {
	tag, _ := req.From().Params.Get("tag")
	if l.dialog != nil && l.dialog.remoteTag == tag {
		return l.dialog
	}
	if l.out != nil {
		return l.out.early(tag)
	}
	return nil
}

// byed: the far end hung up.
func (l *leg) byed(tx *transaction.Server) {
	tx.Answer(sip.StatusOK, "")
	switch {
	case l.in != nil && !l.up:
		// RFC 3261 15: a caller may end an early dialog so.
		l.down(call.Cancelled, 0)
		l.in.refuse(sip.StatusRequestTerminated)
	case l.out != nil && !l.up:
		return // of one fork; its INVITE's answer follows
	default:
		l.down(call.Completed, 0)
		l.repeat.stop()
	}
	l.release()
}

// ack takes the ACK of a 2xx that we sent.
func (l *leg) ack(req *sip.Request) {
	if l.closed || !l.repeat.pending() || req.CSeq().SeqNo != l.repeat.seq {
		return
	}
	l.repeat.stop()
	late := l.lateOffer
	l.lateOffer = false
	if l.reinvite != nil {
		l.reinvite = nil
		if late {
			if body := descriptionOf(req); body != nil {
				if err := l.takeAnswer(l.dialog, body); err != nil {
					l.log.Info("answer in ACK not understood; audio stays as it was", "error", err)
				}
			}
		}
		return
	}
	l.in.acknowledged(req, late)
}

// repetition sends a 2xx again until its ACK comes (RFC 3261 13.3.1.4).
type repetition struct {
	tx    *transaction.Server
	seq   uint32
	wait  time.Duration
	timer strand.Alarm
	limit strand.Alarm
}

func (r *repetition) pending() bool { return r.tx != nil }

func (r *repetition) start(l *leg, tx *transaction.Server, gone func()) {
	r.stop()
	r.tx, r.seq, r.wait = tx, tx.Request.CSeq().SeqNo, l.s.timers.T1
	r.limit.Set(l.queue, 64*l.s.timers.T1, gone)
	r.schedule(l)
}

func (r *repetition) schedule(l *leg) {
	r.timer.Set(l.queue, r.wait, func() {
		r.tx.Repeat()
		r.wait = min(2*r.wait, l.s.timers.T2)
		r.schedule(l)
	})
}

func (r *repetition) stop() {
	r.tx = nil
	r.timer.Stop()
	r.limit.Stop()
}
