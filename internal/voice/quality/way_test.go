package quality_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"

	"dialtone/internal/voice/call"
	"dialtone/internal/voice/quality"
	"dialtone/internal/voice/reports"
)

// network is what lies between two ledgers.
type network struct {
	name   string
	loss   float64
	burst  int // packets lost together
	jitter time.Duration
	way    time.Duration
}

// carry sends 20 s of speech through the network, with reports both ways, and
// returns the sender's and the receiver's figures.
func (n network) carry(t *testing.T, rate uint32) (from, to reports.Figures) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	a, b := reports.New(1), reports.New(2)
	a.Rate(rate)
	b.Rate(rate)
	begin := time.Now()
	gone := 0
	for i := range 1000 {
		h := rtp.Header{SSRC: 1, SequenceNumber: uint16(i), Timestamp: uint32(i) * rate / 50}
		now := begin.Add(time.Duration(i) * 20 * time.Millisecond)
		a.Sent(h.Timestamp, 160)
		a.Received(&rtp.Header{SSRC: 2, SequenceNumber: uint16(i), Timestamp: h.Timestamp}, now)
		b.Sent(h.Timestamp, 160)
		if gone > 0 {
			gone--
			continue
		}
		if random.Float64() < n.loss/float64(n.burst) {
			gone = n.burst - 1
			continue
		}
		late := time.Duration(random.Float64() * 2 * float64(n.jitter))
		b.Received(&h, now.Add(n.way+late))
	}
	tell := func(from, to *reports.Ledger, at time.Time) {
		if err := to.Take(from.Report(at), at.Add(n.way)); err != nil {
			t.Fatal(err)
		}
	}
	end := begin.Add(20 * time.Second)
	tell(a, b, end)
	tell(b, a, end.Add(n.way))
	tell(a, b, end.Add(2*n.way))
	return a.Figures(), b.Figures()
}

// The worse the network, the worse the score, at the end that hears it and at
// the one that is told.
func TestScoresFollowTheNetwork(t *testing.T) {
	const ms = time.Millisecond
	for _, worse := range [][]network{
		{
			{name: "perfect", burst: 1},
			{name: "1 % lost", loss: 0.01, burst: 1},
			{name: "5 %", loss: 0.05, burst: 1},
			{name: "20 %", loss: 0.2, burst: 1},
		},
		{{name: "near", burst: 1, way: 20 * ms}, {name: "far", burst: 1, way: 150 * ms}, {name: "satellite", burst: 1, way: 400 * ms}},
		{{name: "even", burst: 1, way: 50 * ms}, {name: "uneven", burst: 1, way: 50 * ms, jitter: 60 * ms}, {name: "ragged", burst: 1, way: 50 * ms, jitter: 150 * ms}},
	} {
		for codec, rate := range map[call.Codec]uint32{call.PCMU: 8000, call.Opus: 48000} {
			lastIn, lastOut := 5., 5.
			for _, n := range worse {
				from, to := n.carry(t, rate)
				in, _ := quality.Between(codec, reports.Figures{}, to)
				_, out := quality.Between(codec, reports.Figures{}, from)
				t.Logf("%s, %s: in %.2f (%d of %d lost in %d bursts, jitter %v), out %.2f, round trip %v",
					codec, n.name, in.MOS, in.Lost, in.Packets+in.Lost, in.Bursts, in.Jitter, out.MOS, from.RoundTrip)
				if in.MOS >= lastIn || out.MOS >= lastOut || in.MOS < 1 || out.MOS < 1 {
					t.Errorf("%s, %s: in %.3f after %.3f, out %.3f after %.3f", codec, n.name, in.MOS, lastIn, out.MOS, lastOut)
				}
				lastIn, lastOut = in.MOS, out.MOS
			}
		}
	}
	// The same loss in bursts is heard more.
	_, single := network{loss: 0.1, burst: 1}.carry(t, 8000)
	_, runs := network{loss: 0.1, burst: 6}.carry(t, 8000)
	runs.Lost, single.Lost = 100, 100
	runs.Received, single.Received = 900, 900
	in, _ := quality.Between(call.PCMU, reports.Figures{}, single)
	burst, _ := quality.Between(call.PCMU, reports.Figures{}, runs)
	if burst.MOS > in.MOS-0.2 {
		t.Errorf("single losses %.2f in %d bursts, runs %.2f in %d", in.MOS, in.Bursts, burst.MOS, burst.Bursts)
	}
}

func TestBetweenReadings(t *testing.T) {
	before := reports.Figures{Received: 1000, Lost: 100, Bursts: 50, FarSent: 500, FarLost: 50}
	now := reports.Figures{Received: 1500, Lost: 100, Bursts: 50, FarSent: 600, FarLost: 80, FarJitter: time.Millisecond}
	in, out := quality.Between(call.PCMU, before, now)
	if in.Packets != 500 || in.Lost != 0 || in.Bursts != 0 || in.MOS < 4.4 {
		t.Errorf("%+v", in)
	}
	if out.Packets != 70 || out.Lost != 30 || out.Loss() != 0.3 || out.Jitter != time.Millisecond || out.MOS > 2.2 {
		t.Errorf("%+v", out)
	}
	// Late packets undo losses of before; nothing is less than none.
	now.Lost, now.FarLost = 90, 40
	if in, out = quality.Between(call.PCMU, before, now); in.Lost != 0 || out.Lost != 0 || out.Packets != 100 {
		t.Errorf("%+v %+v", in, out)
	}
	// Nothing came, and nobody reported.
	if in, out = quality.Between(call.PCMU, now, now); in.MOS != 0 || out.MOS != 0 || in.Loss() != 0 {
		t.Errorf("%+v %+v", in, out)
	}
}
