package media

import (
	"time"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/media/conceal"
	"dialtone/internal/voice/media/jitter"
	"dialtone/internal/voice/media/opus"
)

// heard is one packet of a far end's audio.
type heard struct {
	stamp
	codec   call.Codec
	rate    uint32 // of its clock
	noise   bool   // comfort noise (RFC 3389)
	payload []byte
}

// ear makes a steady signal of 8 kHz of the packets that arrive: in order and in
// time, what is lost concealed, at the pace of the listener's clock. It is not for
// concurrent use and must be closed.
type ear struct {
	codecs      *Codecs
	least, most time.Duration // delay
	rate        uint32
	buffer      *jitter.Buffer
	concealer   conceal.Concealer
	decoder     *opus.Decoder
	deaf        bool // Opus is spoken, and no decoder could be had
	had         bool // one could once
	comfort     comfort
	waiting     []int16 // decoded
}

// newEar returns an ear that delays what it hears between least and most.
func newEar(c *Codecs, least, most time.Duration) *ear {
	return &ear{codecs: c, least: least, most: most}
}

// What a packet in the jitter buffer is.
const (
	tagMu = iota
	tagA
	tagOpus
)

// hear takes a packet.
func (e *ear) hear(p heard, now time.Duration) {
	tag := tagOpus
	switch lawOf(p.codec) {
	case muLaw:
		tag = tagMu
	case aLaw:
		tag = tagA
	}
	if e.buffer == nil || e.rate != p.rate {
		e.rate = p.rate
		e.buffer = jitter.New(jitter.Options{Rate: int(p.rate), Min: e.least, Max: e.most})
	}
	e.buffer.Push(jitter.Packet{
		Gen: p.gen, Seq: p.seq, TS: p.ts, Ticks: p.ticks, Tag: tag, Noise: p.noise, Payload: p.payload,
	}, now)
}

// listen fills dst with what is to be heard from now on. It is called once for
// every length of dst.
func (e *ear) listen(dst []int16, now time.Duration) {
	if e.buffer == nil {
		clear(dst)
		return
	}
	if e.deaf {
		e.opus()
	}
	e.fetch(len(dst), now)
	// Behind the far end's clock by half a packet or more: catch up unnoticed.
	const behind = 10 * sampleRate / 1000
	later := now + time.Duration(len(e.waiting))*time.Second/sampleRate
	if skew := int(e.buffer.Skew(later) * sampleRate / int64(e.rate)); skew >= behind {
		e.fetch(len(dst)+1, now) // something to fade into
		e.waiting = conceal.Shorten(e.waiting, skew)
		e.fetch(len(dst), now)
	}
	e.waiting = e.waiting[:copy(e.waiting, e.waiting[copy(dst, e.waiting):])]
}

// fetch decodes until so many samples wait.
func (e *ear) fetch(n int, now time.Duration) {
	for len(e.waiting) < n {
		e.decode(e.buffer.Pull(now + time.Duration(len(e.waiting))*time.Second/sampleRate))
	}
}

// decode appends a piece to what waits.
func (e *ear) decode(p jitter.Piece) {
	from := len(e.waiting)
	n := int(p.Ticks) * sampleRate / int(e.rate)
	switch p.Kind {
	case jitter.None:
		e.waiting = append(e.waiting, make([]int16, n)...)
	case jitter.Pause:
		e.hush(n)
	case jitter.Lost, jitter.Wait:
		e.makeUp(n, p.Next, p.NextTag)
	case jitter.Audio:
		skip := int(p.Skip) * sampleRate / int(e.rate)
		switch {
		case p.Noise:
			e.comfort.set(p.Payload)
			e.hush(n)
		case p.Tag == tagOpus:
			e.waiting, _ = e.opus().Decode(e.waiting, p.Payload)
			e.fit(from, skip, n)
		default:
			e.waiting = lawTagged(p.Tag).expand(e.waiting, p.Payload[min(skip, len(p.Payload)):])
			e.fit(from, 0, n)
			e.hangUpOpus()
			e.concealer.Good(e.waiting[from:])
		}
	}
}

// fit makes what was appended begin after skip samples and be n long.
func (e *ear) fit(from, skip, n int) {
	have := e.waiting[from:]
	e.waiting = e.waiting[:from+copy(have, have[min(skip, len(have)):])]
	for len(e.waiting) < from+n {
		e.waiting = append(e.waiting, 0)
	}
	e.waiting = e.waiting[:from+n]
}

// makeUp conceals n samples; next is the packet after them if it is there.
func (e *ear) makeUp(n int, next []byte, tag int) {
	from := len(e.waiting)
	if e.decoder != nil {
		const unit = sampleRate / 400 // what Opus counts in
		if whole := min(n/unit*unit, sampleRate*120/1000); whole > 0 {
			var err error
			if next != nil && tag == tagOpus {
				e.waiting, err = e.decoder.Recover(e.waiting, next, whole)
			}
			if next == nil || tag != tagOpus || err != nil {
				e.waiting, _ = e.decoder.Conceal(e.waiting[:from], whole)
			}
		}
		e.fit(from, 0, n)
		return
	}
	e.waiting = append(e.waiting, make([]int16, n)...)
	if next == nil || tag == tagOpus {
		e.concealer.Lost(e.waiting[from:])
		return
	}
	e.waiting = lawTagged(tag).expand(e.waiting, next)
	e.concealer.Between(e.waiting[from:from+n], e.waiting[from+n:])
	e.waiting = e.waiting[:from+n]
}

func lawTagged(tag int) *law {
	if tag == tagA {
		return aLaw
	}
	return muLaw
}

// hush appends comfort noise, silence where the far end described none.
func (e *ear) hush(n int) {
	from := len(e.waiting)
	e.waiting = append(e.waiting, make([]int16, n)...)
	e.comfort.fill(e.waiting[from:])
	e.concealer.Good(e.waiting[from:])
}

// opus returns the decoder; without one (there are too many) what is decoded is
// nothing, and fit makes silence of it.
func (e *ear) opus() *opus.Decoder {
	if e.decoder == nil {
		var err error
		e.decoder, err = e.codecs.decoder()
		if e.deaf = err != nil; e.deaf {
			e.decoder = nil
			return &opus.Decoder{}
		}
		e.had = true
	}
	return e.decoder
}

func (e *ear) hangUpOpus() {
	if e.decoder != nil {
		e.decoder.Close()
		e.decoder = nil
		e.codecs.released()
	}
	e.deaf = false
}

func (e *ear) close() { e.hangUpOpus() }
