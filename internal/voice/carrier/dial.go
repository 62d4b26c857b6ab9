package carrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"dialtone/internal/voice/carrier/wav"
)

const (
	maxRinging = 3 * time.Minute  // RFC 3261 asks proxies for as much (timer C)
	maxTalking = 10 * time.Minute // when nobody hangs up
	keysAfter  = time.Second      // from the answer to the first key
)

// CallOptions say how to call in. To is required.
type CallOptions struct {
	Node string // SIP address of the node, host:port; empty: the carrier's own
	To   string // the number to call, E.164
	From string // the caller's number; empty: anonymous (RFC 3323)

	// What is said: samples at 8 kHz or a file, once, then silence; a tone in Hz;
	// nothing at all; else the embedded sentences, over and over.
	Play     []int16
	PlayFile string
	Tone     float64
	Silent   bool

	Record string        // file to write what was heard to
	DTMF   string        // keys to press one second after the answer
	For    time.Duration // hang up so long after the answer; 0: when the node does, at most 10 min

	// Ringing bounds the wait for an answer, after which the call is canceled; 0: 3 min.
	Ringing time.Duration

	Codecs []string // PCMU, PCMA in order of preference; nil: both, PCMU first

	Username, Password string // for a node that asks (401, 407)

	// Conn, Log and ListenRTP are for Call; CallIn uses the carrier's.
	Conn      net.PacketConn // taken over; nil: a free port on the way to Node
	Log       *slog.Logger
	ListenRTP func() (net.PacketConn, error)
}

// Result is what became of a call in.
type Result struct {
	Status     int    // final SIP status; 408 when the node never answered, 487 when we gave up
	Reason     string // its phrase
	Answered   bool
	RingTime   time.Duration // from the INVITE to the first 180 or 183, 0: none
	AnswerTime time.Duration // from the INVITE to the 200, 0: none
	Talked     time.Duration // from the 200 to the end
	EndedBy    Side
	Call       Report // all the rest, as heard until the end
}

// Call calls a node once, from a socket of its own, and blocks until the call is
// over. The context hangs up or cancels. The error is about what was asked for (a
// file, an address) or our own sockets; a refused call is a Result.
func Call(ctx context.Context, o CallOptions) (Result, error) {
	conn := o.Conn
	if conn == nil {
		var err error
		if conn, err = listenToward(o.Node); err != nil {
			return Result{}, err
		}
	}
	c, err := New(Options{Conn: conn, Node: o.Node, Log: o.Log, ListenRTP: o.ListenRTP})
	if err != nil {
		return Result{}, err
	}
	stop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ran := make(chan error, 1)
	go func() { ran <- c.Run(stop) }()
	result, err := c.CallIn(ctx, o)
	cancel()
	return result, errors.Join(err, <-ran)
}

// listenToward opens a UDP socket at the address that leads to a peer.
func listenToward(peer string) (net.PacketConn, error) {
	way, err := net.Dial("udp", peer) // sends nothing
	if err != nil {
		return nil, fmt.Errorf("find the way to the node: %w", err)
	}
	ip := way.LocalAddr().(*net.UDPAddr).IP
	way.Close()
	return net.ListenUDP("udp", &net.UDPAddr{IP: ip})
}

// CallIn calls the node from the carrier's own socket, so that the node knows who
// calls, and blocks as Call does. Run must run.
func (c *Carrier) CallIn(ctx context.Context, o CallOptions) (Result, error) {
	says, err := o.voice()
	if err != nil {
		return Result{}, err
	}
	if o.Node == "" {
		o.Node = c.o.Node
	}
	if o.To == "" || o.Node == "" {
		return Result{}, errors.New("carrier: a call needs a number and a node")
	}
	node, port, err := sip.ParseAddr(o.Node)
	if err != nil {
		return Result{}, fmt.Errorf("address of the node: %w", err)
	}
	if o.Codecs == nil {
		o.Codecs = []string{PCMU, PCMA}
	}
	if len(codecsNamed(o.Codecs)) != len(o.Codecs) || len(o.Codecs) == 0 {
		return Result{}, fmt.Errorf("carrier: codecs %v: only %s and %s are spoken", o.Codecs, PCMU, PCMA)
	}
	select {
	case <-c.end.ready():
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}

	k, err := c.newCall(c.calling(o, node, port), ToNode, o.To, o.From, o.Codecs)
	if err != nil {
		return Result{}, fmt.Errorf("socket for the call's audio: %w", err)
	}
	if !c.add(k) {
		k.cancel()
		k.audio.conn.Close()
		return Result{}, errors.New("carrier: it stops, or has too many calls")
	}
	k.audio.say(says)
	k.audio.record = o.Record != ""
	out := &outgoing{call: k, o: o}
	if out.dial(ctx) {
		out.talk(ctx)
	}
	k.finish()

	if o.Record != "" && !k.answered.IsZero() {
		err = wav.WriteFile(o.Record, wav.Sound{Rate: rate, Samples: k.audio.recorded()})
	}
	return out.result(), err
}

// voice returns what the options say shall be said.
func (o CallOptions) voice() (voice, error) {
	switch {
	case o.PlayFile != "":
		s, err := wav.ReadFile(o.PlayFile)
		if err != nil {
			return nil, err
		}
		return &loop{samples: s.At(rate).Samples, once: true}, nil
	case o.Play != nil:
		return &loop{samples: o.Play, once: true}, nil
	case o.Tone > 0:
		return &tone{hz: o.Tone}, nil
	case o.Silent:
		return silence{}, nil
	}
	return &loop{samples: Clip()}, nil
}

// calling makes the dialog of an INVITE that is to go out.
func (c *Carrier) calling(o CallOptions, node string, port int) *dialog {
	target := sip.Uri{Scheme: "sip", User: o.To, Host: node, Port: port}
	from := sip.FromHeader{Address: c.end.uri(o.From)}
	if o.From == "" {
		from = sip.FromHeader{DisplayName: "Anonymous", Address: sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}
	}
	tag, id := sip.GenerateTagN(12), sip.CallIDHeader(sip.GenerateTagN(24)+"@"+host(c.end.addr.Addr()))
	from.Params.Add("tag", tag)
	return &dialog{
		ua: c.end, callID: id, local: from, remote: sip.ToHeader{Address: *target.Clone()},
		id: dialogID(id.Value(), tag), target: target,
	}
}

// outgoing is a call to the node.
type outgoing struct {
	*call
	o      CallOptions
	req    *sip.Request // the latest INVITE
	tx     sip.ClientTransaction
	asked  bool // for credentials, once
	issued bool // the CANCEL is out
	heard  bool // a provisional response came: only now may a CANCEL go (RFC 3261, 9.1)
}

// dial sends the INVITE and waits for its final response. True: answered, and
// the audio runs.
func (out *outgoing) dial(ctx context.Context) bool {
	if err := out.invite(); err != nil {
		out.refused(503, err.Error(), EndedHere)
		return false
	}
	defer func() { out.tx.Terminate() }()
	limit := out.o.Ringing
	if limit == 0 {
		limit = maxRinging
	}
	ringing := time.NewTimer(limit)
	defer ringing.Stop()
	stop, gave := ctx.Done(), out.ctx.Done()
	var patience <-chan time.Time // once we gave up: how long the final response may take
	giveUp := func() {
		stop, gave = nil, nil
		if out.heard {
			out.cancelInvite()
		}
		patience = time.After(answerTime)
	}
	for {
		select {
		case res := <-out.tx.Responses():
			if done, answered := out.response(res); done {
				return answered
			}
			if patience != nil && !out.issued {
				out.cancelInvite()
			}
		case <-out.tx.Done():
			if errors.Is(out.tx.Err(), sip.ErrTransactionTimeout) {
				out.refused(408, "no answer from the node", EndedHere)
			} else {
				out.refused(503, "the INVITE could not be sent", EndedHere)
			}
			return false
		case <-stop:
			giveUp()
		case <-gave: // the carrier stops
			giveUp()
		case <-ringing.C:
			giveUp()
		case <-patience:
			out.refused(487, "gave up", EndedHere)
			return false
		}
	}
}

func (out *outgoing) invite(headers ...sip.Header) error {
	out.req = out.dialog.request(sip.INVITE, out.describe(), 0)
	if out.o.From == "" {
		out.req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	for _, h := range headers {
		out.req.AppendHeader(h)
	}
	tx, err := out.carrier.end.send(context.Background(), out.req)
	if err != nil {
		return err
	}
	out.tx = tx
	return nil
}

// response takes one response to the INVITE.
func (out *outgoing) response(res *sip.Response) (done, answered bool) {
	switch {
	case res.IsProvisional():
		out.heard = true
		if res.StatusCode > 100 {
			out.rings()
			if early, err := parseSDP(res.Body()); err == nil && out.agreeTo(early) {
				out.sound()
			}
		}
		return false, false
	case res.IsSuccess():
		return true, out.answeredWith(res)
	case (res.StatusCode == 401 || res.StatusCode == 407) && out.o.Username != "" && !out.asked:
		out.asked = true
		header, err := out.credentials(res)
		if err == nil {
			out.tx.Terminate()
			err = out.invite(header)
		}
		if err == nil {
			return false, false
		}
		out.refused(res.StatusCode, err.Error(), EndedHere)
		return true, false
	}
	by := EndedThere
	if out.issued {
		by = EndedHere
	}
	out.refused(res.StatusCode, res.Reason, by)
	return true, false
}

// answeredWith takes the 200. One that crossed our CANCEL is acknowledged and
// hung up by finish.
func (out *outgoing) answeredWith(res *sip.Response) bool {
	out.dialog.established(res)
	if err := out.acknowledge(out.req.CSeq().SeqNo); err != nil {
		out.carrier.log.Warn("ACK not sent", "call", out.dialog.callID.Value(), "error", err)
	}
	out.mu.Lock()
	if out.state != Ended {
		out.state, out.answered, out.status, out.reason = Answered, time.Now(), res.StatusCode, res.Reason
	}
	out.mu.Unlock()
	answer, err := parseSDP(res.Body())
	if err != nil || !out.agreeTo(answer) {
		out.mu.Lock()
		out.reason = "answered without audio that we speak"
		out.mu.Unlock()
		out.hangUp(EndedHere)
		return false
	}
	if out.issued {
		out.hangUp(EndedHere)
		return false
	}
	out.sound()
	return true
}

func (out *outgoing) credentials(res *sip.Response) (sip.Header, error) {
	ask, have := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, have = "Proxy-Authenticate", "Proxy-Authorization"
	}
	h := res.GetHeader(ask)
	if h == nil {
		return nil, fmt.Errorf("%d without %s", res.StatusCode, ask)
	}
	challenge, err := digest.ParseChallenge(h.Value())
	if err != nil {
		return nil, err
	}
	creds, err := digest.Digest(challenge, digest.Options{
		Method: "INVITE", URI: out.req.Recipient.String(), Username: out.o.Username, Password: out.o.Password,
	})
	if err != nil {
		return nil, err
	}
	return sip.NewHeader(have, creds.String()), nil
}

// cancelInvite sends the CANCEL (RFC 3261, 9.1): the INVITE's own branch and number.
// Its response says nothing; the INVITE's does.
func (out *outgoing) cancelInvite() {
	out.issued = true
	req := sip.NewRequest(sip.CANCEL, out.req.Recipient)
	req.AppendHeader(sip.HeaderClone(out.req.Via()))
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.AppendHeader(sip.HeaderClone(out.req.From()))
	req.AppendHeader(sip.HeaderClone(out.req.To()))
	req.AppendHeader(sip.HeaderClone(out.req.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: out.req.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.SetBody(nil)
	req.SetTransport("UDP")
	req.Laddr = out.req.Laddr
	tx, err := out.carrier.end.send(context.Background(), req)
	if err != nil {
		out.carrier.log.Warn("CANCEL not sent", "call", out.dialog.callID.Value(), "error", err)
		return
	}
	out.runs.Go(func() {
		defer tx.Terminate()
		select {
		case <-tx.Responses():
		case <-tx.Done():
		case <-out.ctx.Done():
		}
	})
}

// talk waits for the end of an answered call: theirs, the limit or the context.
func (out *outgoing) talk(ctx context.Context) {
	limit := out.o.For
	if limit <= 0 {
		limit = maxTalking
	}
	over := time.NewTimer(limit)
	defer over.Stop()
	keys := time.NewTimer(keysAfter)
	defer keys.Stop()
	for {
		select {
		case <-out.ctx.Done():
			return
		case <-over.C:
			out.hangUp(EndedHere)
		case <-ctx.Done():
			out.hangUp(EndedHere)
		case <-keys.C:
			if out.o.DTMF != "" && !out.audio.press(out.o.DTMF) {
				out.carrier.log.Warn("keys not sent: telephone-event was not agreed", "call", out.dialog.callID.Value())
			}
		}
	}
}

func (out *outgoing) result() Result {
	r := out.report()
	result := Result{Status: r.Status, Reason: r.Reason, Answered: !r.Answered.IsZero(), EndedBy: r.EndedBy, Call: r}
	if !r.Rang.IsZero() {
		result.RingTime = r.Rang.Sub(r.Started)
	}
	if result.Answered {
		result.AnswerTime = r.Answered.Sub(r.Started)
		result.Talked = r.Ended.Sub(r.Answered)
	}
	return result
}
