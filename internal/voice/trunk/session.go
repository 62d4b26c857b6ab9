package trunk

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/strand"
	"dialtone/internal/voice/trunk/sdp"
	"dialtone/internal/voice/trunk/transaction"
)

// minSessionExpires is the shortest session interval taken (RFC 4028 4).
const minSessionExpires = 90 * time.Second

func minSE() sip.Header { return sip.NewHeader("Min-SE", seconds(minSessionExpires)) }

// sessionTimer refreshes the session or waits for the far end to do it (RFC 4028).
type sessionTimer struct {
	strand.Alarm
	interval time.Duration
	ours     bool // we refresh
	update   bool // the far end understands UPDATE
}

// sessionExpires reads a Session-Expires header; refresher is "uac", "uas" or "".
func sessionExpires(msg interface{ GetHeader(string) sip.Header }) (d time.Duration, refresher string, ok bool) {
	h := msg.GetHeader("session-expires")
	if h == nil {
		return 0, "", false
	}
	value, params, _ := strings.Cut(h.Value(), ";")
	d, ok = interval(value)
	for p := range strings.SplitSeq(params, ";") {
		if name, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(name), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(v))
		}
	}
	return d, refresher, ok
}

func interval(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	if err != nil {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// leastSession is the peer's Min-SE, ours at least.
func leastSession(msg interface{ GetHeader(string) sip.Header }) time.Duration {
	least := minSessionExpires
	if h := msg.GetHeader("min-se"); h != nil {
		value, _, _ := strings.Cut(h.Value(), ";")
		if d, ok := interval(value); ok && d > least {
			least = d
		}
	}
	return least
}

// acceptSession settles the timer as the one who answers: the interval is the
// smaller of both wishes, the refresher whom the far end named, else the far end
// if it can (RFC 4028 9).
func (l *leg) acceptSession(req *sip.Request, res *sip.Response) {
	want := l.dialog.carrier.SessionExpires
	asked, refresher, ok := sessionExpires(req)
	if ok {
		want = min(want, asked)
	}
	want = max(want, leastSession(req))
	if ok {
		want = min(want, asked)
	}
	theirs := has(req, "supported", "timer") || has(req, "require", "timer")
	if refresher != "uac" && refresher != "uas" {
		refresher = "uas"
		if theirs {
			refresher = "uac"
		}
	}
	res.AppendHeader(sip.NewHeader("Session-Expires", seconds(want)+";refresher="+refresher))
	if refresher == "uac" {
		res.AppendHeader(sip.NewHeader("Require", "timer"))
	}
	l.noteAllow(req)
	l.keepSession(want, refresher == "uas")
}

// settleSession settles the timer as the one who asked (RFC 4028 7.2).
func (l *leg) settleSession(res *sip.Response) {
	l.noteAllow(res)
	d, refresher, ok := sessionExpires(res)
	if !ok {
		l.refresh.Stop()
		return
	}
	l.keepSession(max(d, minSessionExpires), refresher != "uas")
}

func (l *leg) noteAllow(msg sip.Message) {
	if len(msg.GetHeaders("allow")) > 0 {
		l.refresh.update = has(msg, "allow", "UPDATE")
	}
}

func (l *leg) keepSession(d time.Duration, ours bool) {
	l.refresh.interval, l.refresh.ours = d, ours
	if ours {
		l.refresh.Set(l.queue, d/2, l.refreshSession)
		return
	}
	// RFC 4028 10: before the interval ends by the smaller of 32 s and a third.
	l.refresh.Set(l.queue, d-min(32*time.Second, d/3), func() {
		l.log.Info("the carrier let the session lapse")
		l.down(call.CarrierDown, sip.StatusRequestTimeout)
		l.bye(call.CarrierDown)
	})
}

// refreshSession shows that we are still there, and learns whether the carrier is.
func (l *leg) refreshSession() {
	if l.over || !l.up || l.dialog == nil {
		return
	}
	if l.asking || l.repeat.pending() {
		l.refresh.Set(l.queue, 2*time.Second, l.refreshSession)
		return
	}
	method := sip.INVITE
	if l.refresh.update {
		method = sip.UPDATE
	}
	l.asking = true
	said := l.said
	l.send(method, func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Session-Expires", seconds(l.refresh.interval)+";refresher=uac"))
		req.AppendHeader(minSE())
		if method == sip.INVITE {
			withSDP(req, said)
		}
	}, func(res *sip.Response, err error) {
		l.asking = false
		if res != nil && res.IsSuccess() && method == sip.INVITE {
			l.acknowledge(res)
		}
		if !l.over {
			l.refreshed(res, err)
		}
	})
}

func (l *leg) refreshed(res *sip.Response, err error) {
	remaining := l.refresh.interval / 2
	switch {
	case err == nil && res.IsSuccess():
		l.dialog.retarget(res)
		if body := descriptionOf(res); body != nil {
			if err := l.takeAnswer(l.dialog, body); err != nil {
				l.log.Info("answer to a refresh not understood; audio stays as it was", "error", err)
			}
		}
		l.settleSession(res)
		if !l.refresh.IsSet() {
			return // the far end wants no timer any more
		}
	case err == nil && res.StatusCode == sip.StatusRequestPending:
		// Glare (RFC 3261 14.1): who made the Call-ID waits longer.
		wait := time.Duration(rand.IntN(200)) * 10 * time.Millisecond
		if l.out != nil {
			wait = 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
		}
		l.refresh.Set(l.queue, wait, l.refreshSession)
	case err == nil && res.StatusCode == 422 && leastSession(res) > l.refresh.interval:
		l.refresh.interval = leastSession(res)
		l.refresh.Set(l.queue, 0, l.refreshSession)
	case err != nil, res.StatusCode == sip.StatusRequestTimeout, res.StatusCode == sip.StatusCallTransactionDoesNotExists:
		status := 0
		if res != nil {
			status = res.StatusCode
		}
		l.log.Info("the carrier does not know the call any more", "status", status)
		l.down(call.CarrierDown, status)
		l.bye(call.CarrierDown)
	case l.refresh.update:
		l.refresh.update = false // UPDATE was refused; a re-INVITE does the same
		l.refresh.Set(l.queue, 0, l.refreshSession)
	default:
		l.refresh.Set(l.queue, remaining/2, l.refreshSession)
	}
}

// acknowledge sends the ACK of a 2xx to a re-INVITE of ours.
func (l *leg) acknowledge(res *sip.Response) {
	req, hop := l.dialog.request(sip.ACK, res.CSeq().SeqNo)
	req.SetBody(nil)
	_, _ = l.s.layer.Write(req, hop)
}

// reinvited takes a re-INVITE: hold, another codec or address, or a refresh.
func (l *leg) reinvited(tx *transaction.Server) {
	req := tx.Request
	switch {
	case l.over:
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
		return
	case l.asking:
		tx.Answer(sip.StatusRequestPending, "") // RFC 3261 14.2
		return
	case !l.up || l.repeat.pending():
		tx.Respond(later(req))
		return
	}
	res := l.within(req)
	body, status := l.newDescription(req, res)
	if status != 0 {
		tx.Respond(res)
		return
	}
	l.dialog.retarget(req)
	l.acceptSession(req, res)
	if body != nil {
		withSDP(res, body)
	} else {
		l.lateOffer = true
		withSDP(res, l.describe(l.dialog, l.preference([]call.Codec{l.session.Codec()}), sdp.SendRecv))
	}
	l.reinvite = tx
	tx.Respond(res)
	l.repeat.start(l, tx, func() {
		l.reinvite = nil
		l.down(call.CarrierError, sip.StatusRequestTimeout)
		l.bye(call.CarrierError)
	})
}

// updated takes an UPDATE (RFC 3311): the same as a re-INVITE, without ACK, and
// allowed before the answer.
func (l *leg) updated(tx *transaction.Server) {
	req := tx.Request
	offer := len(req.Body()) > 0
	switch {
	case l.over:
		tx.Answer(sip.StatusCallTransactionDoesNotExists, "")
		return
	case offer && (l.asking || l.lateOffer):
		tx.Answer(sip.StatusRequestPending, "")
		return
	case offer && l.in != nil && !l.up && !l.in.settled:
		tx.Respond(later(req)) // its first offer has no answer yet
		return
	}
	res := l.within(req)
	body, status := l.newDescription(req, res)
	if status != 0 {
		tx.Respond(res)
		return
	}
	l.dialogFor(req).retarget(req)
	if l.up {
		l.acceptSession(req, res)
	}
	if body != nil {
		withSDP(res, body)
	}
	tx.Respond(res)
}

// later asks to try again in a moment (RFC 3261 14.2).
func later(req *sip.Request) *sip.Response {
	res := transaction.NewResponse(req, sip.StatusInternalServerError, "")
	res.AppendHeader(sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(10))))
	return res
}

// within begins a 200 to a request within the dialog.
func (l *leg) within(req *sip.Request) *sip.Response {
	res := transaction.NewResponse(req, sip.StatusOK, "")
	res.AppendHeader(l.s.contact(l.dialogFor(req).carrier, l.dialogFor(req).hop))
	res.AppendHeader(sip.NewHeader("Allow", allowed))
	res.AppendHeader(sip.NewHeader("Supported", supported))
	return res
}

// newDescription answers the offer of a request, if it has one. What cannot be
// answered turns res into a refusal, whose status is returned; the session stays
// as it was.
func (l *leg) newDescription(req *sip.Request, res *sip.Response) (body []byte, status int) {
	fail := func(status int, h sip.Header) int {
		res.StatusCode, res.Reason = status, transaction.Phrase(status)
		res.AppendHeader(h)
		return status
	}
	if se, _, ok := sessionExpires(req); ok && se < minSessionExpires {
		return nil, fail(422, minSE())
	}
	if len(req.Body()) == 0 {
		return nil, 0
	}
	offer := descriptionOf(req)
	if offer == nil {
		return nil, fail(sip.StatusUnsupportedMediaType, sip.NewHeader("Accept", "application/sdp"))
	}
	body, err := l.reply(l.dialogFor(req), offer, []call.Codec{l.session.Codec()})
	if err != nil {
		return nil, fail(sip.StatusNotAcceptableHere, warning(err))
	}
	return body, 0
}
