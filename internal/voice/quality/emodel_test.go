package quality

import (
	"math"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within || math.IsNaN(got) {
		t.Errorf("%s: %.3f, want %.3f ±%g", what, got, want, within)
	}
}

// ITU-T G.107, Table B.1 (and G.109, which names the categories).
func TestScoresOfRatings(t *testing.T) {
	for _, c := range []struct{ r, mos float64 }{
		{-3, 1}, {0, 1}, {50, 2.58}, {60, 3.10}, {70, 3.60}, {80, 4.03}, {90, 4.34}, {93.2, 4.41}, {100, 4.5}, {120, 4.5},
	} {
		near(t, "MOS", MOS(c.r), c.mos, 0.01)
	}
}

// ITU-T G.113's planning values for one-way delay, which are rounded to fives.
func TestDelay(t *testing.T) {
	for _, c := range []struct {
		ms   int
		want float64
	}{{0, 0}, {100, 0}, {150, 0}, {200, 3}, {250, 10}, {300, 15}, {400, 25}, {500, 30}, {600, 35}, {800, 40}} {
		near(t, "Idd", delayed(time.Duration(c.ms)*time.Millisecond), c.want, 1.5)
	}
}

// ITU-T G.113, Appendix I: planning values for G.711 with concealment, random loss.
func TestLossOfG711(t *testing.T) {
	for percent, want := range map[float64]float64{0: 0, 1: 5, 2: 7, 3: 10, 5: 15, 7: 20, 10: 25, 15: 35, 20: 45} {
		near(t, "Ie,eff", g711.impaired(percent/100, 1), want, 3)
	}
}

func TestCodecs(t *testing.T) {
	// G.107: all values at their defaults give 93.2, a MOS of 4.41. G.107.1 with
	// G.722 (G.113, Ie,WB 13): 116 of 129. Opus between its neighbours of
	// 10.1145/3458751: Ie 20.21 at 25 kbit/s, 10.67 at 40, Bpl 11.28.
	near(t, "PCMU", Path{Codec: call.PCMU}.MOS(), 4.41, 0.005)
	near(t, "PCMA", Path{Codec: call.PCMA}.R(), 93.2, 0)
	near(t, "G722", Path{Codec: "G722"}.R(), 116/1.29, 1e-9)
	if r := (Path{Codec: call.Opus}).R(); r < (129-20.21)/1.29 || r > (129-10.67)/1.29 {
		t.Errorf("Opus: %f", r)
	}
	near(t, "Opus, 5 % lost", opus.impaired(0.05, 1), opus.ie+(95-opus.ie)*5/(5+11.28), 0.1)
	for _, c := range []call.Codec{call.PCMU, call.PCMA, "G722", call.Opus} {
		last := 5.0
		for _, loss := range []float64{0, 0.01, 0.03, 0.1, 0.3, 1} {
			m := Path{Codec: c, Loss: loss}.MOS()
			if m >= last || m < 1 {
				t.Errorf("%s, %g lost: %f after %f", c, loss, m, last)
			}
			last = m
			if loss == 0 || loss == 1 {
				continue
			}
			if b := (Path{Codec: c, Loss: loss, Burst: 4}).MOS(); b >= m {
				t.Errorf("%s, %g lost in bursts: %f, at random %f", c, loss, b, m)
			}
		}
	}
	if g, o := g722.impaired(0.03, 1)-g722.ie, opus.impaired(0.03, 1)-opus.ie; g <= o {
		t.Errorf("3 %% lost: G.722 %f, Opus %f", g, o)
	}
}

func TestNonsense(t *testing.T) {
	for _, p := range []Path{
		{Loss: -1, Burst: -1, Delay: -time.Hour}, {Loss: 7, Burst: 1e9, Delay: time.Hour}, {Codec: "x", Loss: 1},
	} {
		if m := p.MOS(); m < 1 || m > 4.5 || math.IsNaN(m) {
			t.Errorf("%+v: %f", p, m)
		}
	}
}
