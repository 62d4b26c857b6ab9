package trunk

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"dialtone/internal/voice/call"
)

const torture = "message/testdata/rfc4475/"

// TestTorture throws RFC 4475 and garbage at the live port while a call is up.
// What must be refused is refused with the status that it asks for, strangers
// get no answer, and the call does not notice.
func TestTorture(t *testing.T) {
	n, p := oneTrunk(t)
	good, o := answered(t, n, p)
	f, err := os.Open(torture + "verdicts.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	stranger := newPeerAt(t, "127.0.0.9")
	// What is taken by the parser and still has no call for an answer.
	other := map[string]int{
		"TC_INSUF_I.dat":   0, // neither From nor To nor Call-ID to repeat
		"TC_MULTI01_I.dat": 400, "TC_MCL01_I.dat": 400, "TC_BEXT01_V.dat": 420,
		"TC_UNKSCM_V.dat": 416, "TC_NOVELSC_V.dat": 416, "TC_INVUT_V.dat": 415, "TC_SDP01_V.dat": 406,
		"TC_INTMETH.dat": 501, "TC_ESC02_V.dat": 501, "TC_MPART01.dat": 405, "TC_UNKSM2_V.dat": 405,
		"TC_REGAUT01_V.dat": 405, "TC_CPARAM01_V.dat": 405, "TC_CPARAM02_V.dat": 405, "TC_REGESCRT_V.dat": 405,
		"TC_ESCNULL_V.dat": 405, "TC_DBLREQ.dat": 405, "TC_ZEROMF_V.dat": 200, "TC_BADBRANCH_V.dat": 200,
		"TC_LWSDISP_V.dat": 200, "TC_SEMIURI_V.dat": 200, "TC_TRANSPORTS_V.dat": 200,
		"TC_WSINV.dat": 481, "TC_ESC01_V.dat": 100, "TC_LONGREQ_V.dat": 100, "TC_INV2543_I.dat": 100,
	}
	for i, row := range rows[1:] {
		t.Run(row[0], func(t *testing.T) {
			p.t = t
			raw, err := os.ReadFile(torture + row[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stranger.conn.WriteTo(raw, n.addr); err != nil {
				t.Fatal(err)
			}
			want := other[row[0]]
			if row[2] == "reject" {
				want, _ = strconv.Atoi(row[3])
			}
			if strings.HasPrefix(string(raw), "SIP/") || row[0] == "TC_TEST_I.dat" {
				want = 0 // a response, or nothing to answer to
			}
			// Most of these name another host in Via; rport asks for the answer here. Some
			// have a branch in common, which makes them one transaction.
			if want != 0 {
				raw = answerHere(raw)
				if row[0] != "TC_BADBRANCH_V.dat" {
					raw = []byte(strings.Replace(string(raw), "z9hG4bK", "z9hG4bK"+strconv.Itoa(i), 1))
				}
			}
			if _, err := p.conn.WriteTo(raw, n.addr); err != nil {
				t.Fatal(err)
			}
			if want == 0 {
				return
			}
			if status := p.statusOf(raw); status != want {
				t.Errorf("answered %d, want %d", status, want)
			}
			if want == 100 {
				x := n.offered()
				x.leg.End(call.Busy)
				wantDown(t, x.reports, call.Busy)
				for p.statusOf(raw) != 486 {
					continue
				}
			}
		})
	}
	p.t = t
	for range 500 {
		b := make([]byte, rand.IntN(1500))
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		_, _ = p.conn.WriteTo(b, n.addr)
		_, _ = stranger.conn.WriteTo(b, n.addr)
	}
	_, _ = p.conn.WriteTo(make([]byte, 60000), n.addr)
	// 486 and 4xx of INVITEs are repeated until their ACK; none comes. Let that end.
	time.Sleep(64 * quick.T1)
	p.drop()
	good.request("INFO", "Content-Type: application/dtmf\n\n7")
	p.response(200)
	if d := want[call.Dialled](t, o.reports); d.Digit != '7' {
		t.Errorf("digit %c", d.Digit)
	}
	good.request("BYE", "")
	p.response(200)
	wantDown(t, o.reports, call.Completed)
	stranger.silence(20 * time.Millisecond)
	n.quietly()
}

// answerHere puts rport into the topmost Via, the only one that is ours to change.
func answerHere(raw []byte) []byte {
	text := string(raw)
	for _, name := range []string{"\r\nVia:", "\r\nVia  :", "\r\nv:"} {
		i := strings.Index(text, name)
		if i < 0 {
			continue
		}
		end := i + 2 + strings.Index(text[i+2:], "\r\n")
		for strings.HasPrefix(text[end:], "\r\n ") {
			end += 2 + strings.Index(text[end+2:], "\r\n")
		}
		return []byte(text[:end] + ";rport" + text[end:])
	}
	return raw
}

// statusOf waits for a response with the Call-ID of the message. It reads less
// strictly than we do: what is refused is repeated as it came.
func (p *peer) statusOf(raw []byte) int {
	p.t.Helper()
	callID := regexp.MustCompile(`(?i)\r\n(?:call-id|i)\s*:\s*(\S+)`)
	want := callID.FindSubmatch(raw)
	buf := make([]byte, 65536)
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			p.t.Fatal("nothing came")
		}
		got := callID.FindSubmatch(buf[:n])
		if got == nil || want == nil || string(got[1]) != string(want[1]) || !strings.HasPrefix(string(buf[:n]), "SIP/2.0 ") {
			continue
		}
		status, _ := strconv.Atoi(string(buf[8:11]))
		return status
	}
}

// drop forgets what came so far.
func (p *peer) drop() {
	buf := make([]byte, 65536)
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, _, err := p.conn.ReadFrom(buf); err != nil {
			return
		}
	}
}
