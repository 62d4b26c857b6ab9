package reports

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// leg is a ledger with a stream into it.
type leg struct {
	*Ledger
	in rtp.Header
}

func newLeg(ssrc, theirs uint32) *leg {
	return &leg{Ledger: New(ssrc), in: rtp.Header{SSRC: theirs, SequenceNumber: 65530, Timestamp: 1<<32 - 500}}
}

func (l *leg) hear() {
	l.Received(&l.in, time.Now())
	l.in.SequenceNumber++
	l.in.Timestamp += 160
}

func parse(t *testing.T, b []byte) []rtcp.Packet {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	if err != nil || len(packets) != 2 {
		t.Fatalf("%x: %v %v", b, packets, err)
	}
	d, ok := packets[1].(*rtcp.SourceDescription)
	if !ok || len(d.Chunks) != 1 || len(d.Chunks[0].Items) != 1 || len(d.Chunks[0].Items[0].Text) != 16 {
		t.Errorf("%v", packets[1])
	}
	return packets
}

// Two legs that report to each other know how long the way is, what is lost and
// how unevenly it comes.
func TestTwoLegs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const way = 30 * time.Millisecond
		a, b := newLeg(1, 2), newLeg(2, 1)
		if a.Report(time.Now()) != nil {
			t.Error("a report on nothing")
		}
		for i := range 1000 {
			a.Sent(a.in.Timestamp, 160)
			b.Sent(uint32(160*i), 160)
			a.hear()
			if i%10 == 7 {
				b.in.SequenceNumber++ // lost
				b.in.Timestamp += 160
			} else {
				b.hear()
			}
			time.Sleep(20 * time.Millisecond)
		}
		report := a.Report(time.Now())
		sr, ok := parse(t, report)[0].(*rtcp.SenderReport)
		if !ok || sr.SSRC != 1 || sr.PacketCount != 1000 || sr.OctetCount != 160_000 || len(sr.Reports) != 1 {
			t.Fatalf("%+v", sr)
		}
		// The clock was read a while ago; the RTP time is now's all the same.
		want := a.in.Timestamp
		if d := int32(sr.RTPTime - want); d < -2 || d > 2 {
			t.Errorf("RTP time %d, want %d", sr.RTPTime, want)
		}
		time.Sleep(way)
		if err := b.Take(report, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1234 * time.Millisecond) // a delay of b's own
		report = b.Report(time.Now())
		time.Sleep(way)
		if err := a.Take(report, time.Now()); err != nil {
			t.Fatal(err)
		}
		f := a.Figures()
		if d := f.RoundTrip - 2*way; d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("round trip %v", f.RoundTrip)
		}
		if f.FarLost != 100 || f.FarSent != 1000 || math.Abs(f.FarFraction-0.1) > 0.01 || f.Lost != 0 || f.Received != 1000 || f.Jitter != 0 {
			t.Errorf("%+v", f)
		}
		if f = b.Figures(); f.Lost != 100 || f.Bursts != 100 || f.Received != 900 || f.RoundTrip != 0 {
			t.Errorf("%+v", f)
		}
		// A fraction is of what came since the last report.
		b.hear()
		rr := parse(t, b.Report(time.Now()))[0].(*rtcp.SenderReport).Reports[0]
		if rr.FractionLost != 0 || rr.TotalLost != 100 || rr.LastSequenceNumber != 65530+1000 {
			t.Errorf("%+v", rr)
		}
	})
}

func TestReceiverReport(t *testing.T) {
	l := newLeg(1, 2)
	l.hear()
	rr, ok := parse(t, l.Report(time.Now()))[0].(*rtcp.ReceiverReport)
	if !ok || rr.SSRC != 1 || len(rr.Reports) != 1 || rr.Reports[0].LastSenderReport != 0 {
		t.Errorf("%+v", rr)
	}
}

// RFC 3550, A.8: the jitter of packets that come evenly late by ±d settles at
// what the distances are.
func TestJitter(t *testing.T) {
	for _, rate := range []uint32{8000, 48000} {
		l := New(1)
		l.Rate(rate)
		h := rtp.Header{SSRC: 2}
		begin := time.Now()
		r := rand.New(rand.NewPCG(1, 1))
		var sum time.Duration
		var last time.Duration
		for i := range 5000 {
			late := time.Duration(r.IntN(40)) * time.Millisecond
			h.SequenceNumber, h.Timestamp = uint16(i), uint32(i)*rate/50
			l.Received(&h, begin.Add(time.Duration(i)*20*time.Millisecond+late))
			if i > 4000 {
				sum += (late - last).Abs()
			}
			last = late
		}
		mean := sum / 1000
		if got := l.Figures().Jitter; got < mean/2 || got > 2*mean {
			t.Errorf("%d Hz: jitter %v, distances %v on average", rate, got, mean)
		}
	}
}

// What no network does, changes no figure beyond reason.
func TestRestarts(t *testing.T) {
	l := newLeg(1, 2)
	for range 10 {
		l.hear()
	}
	l.in.SequenceNumber += 20_000
	l.in.Timestamp += 1 << 30
	l.hear() // a stray so far
	for range 10 {
		l.hear() // it was none
	}
	if f := l.Figures(); f.Lost != 0 || f.Received != 20 || f.Jitter > time.Second {
		t.Errorf("%+v", f)
	}
	l.in.SequenceNumber += 5
	l.hear()
	l.in.SSRC = 3
	l.hear()
	l.in.SequenceNumber -= 2
	l.hear() // late
	if f := l.Figures(); f.Lost != 5 || f.Received != 23 {
		t.Errorf("%+v", f)
	}
}

// Runs of lost packets are counted once, also when another stream follows; what
// only came late was not lost.
func TestBursts(t *testing.T) {
	l := newLeg(1, 2)
	hear := func(numbers ...uint16) {
		for _, n := range numbers {
			l.Received(&rtp.Header{SSRC: l.in.SSRC, SequenceNumber: n, Timestamp: uint32(n) * 160}, time.Now())
		}
	}
	check := func(lost, bursts uint64) {
		t.Helper()
		if f := l.Figures(); f.Lost != lost || f.Bursts != bursts {
			t.Errorf("%d lost in %d bursts, want %d in %d", f.Lost, f.Bursts, lost, bursts)
		}
	}
	hear(65533, 65534, 2, 3, 4) // 65535 to 1
	check(3, 1)
	hear(1, 0)
	check(1, 1)
	hear(65535)
	check(0, 0)
	hear(6, 7, 9, 8, 12) // 5 is lost, 8 late, 10 and 11 lost
	check(3, 2)
	l.in.SSRC = 3
	hear(100, 105)
	check(7, 3)
}

// A leg that moved to another connection keeps what it was told before.
func TestFiguresOfTwoConnections(t *testing.T) {
	past := Figures{Received: 100, Lost: 3, Bursts: 2, Jitter: 5, FarSent: 90, FarLost: 1, FarJitter: 6, RoundTrip: 7}
	if got := (Figures{}).After(past); got != past {
		t.Errorf("%+v", got)
	}
	want := Figures{Received: 110, Lost: 4, Bursts: 3, Jitter: 50, FarSent: 99, FarLost: 2, FarFraction: .5, FarJitter: 60, RoundTrip: 70}
	got := Figures{Received: 10, Lost: 1, Bursts: 1, Jitter: 50, FarSent: 9, FarLost: 1, FarFraction: .5, FarJitter: 60, RoundTrip: 70}.After(past)
	if got != want {
		t.Errorf("%+v", got)
	}
}

func TestIntervals(t *testing.T) {
	var sum time.Duration
	for range 1000 {
		d := Interval()
		if d < 2*time.Second || d > 6200*time.Millisecond {
			t.Fatal(d)
		}
		sum += d
	}
	if mean := sum / 1000; mean < 3900*time.Millisecond || mean > 4300*time.Millisecond {
		t.Errorf("%v on average", mean)
	}
}

// Whatever a far end reports, figures stay in their bounds.
func FuzzTake(f *testing.F) {
	l := newLeg(1, 2)
	l.Sent(0, 160)
	l.hear()
	f.Add(l.Report(time.Now()))
	block := rtcp.ReceptionReport{SSRC: 1, TotalLost: 1<<24 - 1, FractionLost: 255, Jitter: 1<<32 - 1, LastSenderReport: 1, Delay: 1<<32 - 1}
	b, err := (&rtcp.ReceiverReport{SSRC: 2, Reports: []rtcp.ReceptionReport{block}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLeg(1, 2)
		l.Sent(0, 160)
		l.hear()
		_ = l.Take(b, time.Now())
		v := l.Figures()
		if v.RoundTrip < 0 || v.RoundTrip > longestTrip || v.FarFraction < 0 || v.FarFraction >= 1 || v.FarLost >= 1<<23 || v.FarSent > 1 || v.FarJitter < 0 || v.Received != 1 {
			t.Errorf("%+v", v)
		}
		parse(t, l.Report(time.Now()))
	})
}
