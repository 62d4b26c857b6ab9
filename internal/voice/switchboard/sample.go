package switchboard

import (
	"time"

	"dialtone/internal/event"
	"dialtone/internal/voice/call"
	"dialtone/internal/voice/quality"
)

// sampleEvery is how often live legs tell how their audio fares: twice the
// interval of RTCP, so that each sample has something of the far end's.
const sampleEvery = 10 * time.Second

func (a *actor) sampleAll() {
	for id, leg := range a.legs {
		a.sample(id, leg, false)
	}
}

// sample publishes and counts what passed since the sample before. Of a leg that
// had no audio at all nothing is said.
func (a *actor) sample(id call.LegID, leg Leg, last bool) {
	codec, now, ok := leg.Endpoint().Figures()
	if !ok || now.Received == 0 && now.FarSent == 0 {
		return
	}
	in, out := quality.Between(codec, a.told[id], now)
	a.told[id] = now
	q := event.LegQuality{
		At: time.Now(), Account: a.offer.Account, Call: string(a.offer.Call), Leg: string(id),
		Codec: string(codec), Last: last, RTT: now.RoundTrip, In: wayOf(in), Out: wayOf(out),
	}
	q.Kind, q.Trunk = a.kind(id)
	a.board.metrics.heard(q)
	a.board.o.Events.Publish(q)
	if last {
		delete(a.told, id)
	}
}

func wayOf(w quality.Way) event.WayQuality {
	return event.WayQuality{Packets: w.Packets, Lost: w.Lost, Bursts: w.Bursts, Jitter: w.Jitter, MOS: w.MOS}
}

// kind says what the leg leads to, and by which carrier.
func (a *actor) kind(id call.LegID) (event.LegKind, string) {
	for _, l := range a.state.Legs {
		switch {
		case l.ID != id:
		case l.Dialled && l.Address.IsDevice(), !l.Dialled && a.offer.Device():
			return event.DeviceLeg, ""
		default:
			return event.CarrierLeg, l.Trunk
		}
	}
	return event.CarrierLeg, ""
}
