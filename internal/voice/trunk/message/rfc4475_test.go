package message

import (
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func verdicts(t *testing.T) [][]string {
	t.Helper()
	f, err := os.Open("testdata/rfc4475/verdicts.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func TestRFC4475(t *testing.T) {
	rows := verdicts(t)
	if len(rows) < 49 {
		t.Fatalf("%d verdicts", len(rows))
	}
	for _, row := range rows {
		t.Run(row[0], func(t *testing.T) {
			raw, err := os.ReadFile("testdata/rfc4475/" + row[0])
			if err != nil {
				t.Fatal(err)
			}
			msg, rej := Parse(raw)
			if row[2] == "parse" {
				if rej != nil {
					t.Fatalf("rejected: %v", rej)
				}
				if msg == nil {
					t.Fatal("neither message nor rejection")
				}
				return
			}
			if rej == nil {
				t.Fatalf("taken:\n%s", msg)
			}
			if want, _ := strconv.Atoi(row[3]); rej.Status != want {
				t.Fatalf("status %d, want %d (%s)", rej.Status, want, rej.Reason)
			}
		})
	}
}

// What is written must be read as the same again: a carrier gets back the tags
// and parameters that it sent.
func TestWrittenIsReadAgain(t *testing.T) {
	for _, row := range verdicts(t) {
		raw, err := os.ReadFile("testdata/rfc4475/" + row[0])
		if err != nil {
			t.Fatal(err)
		}
		msg, rej := Parse(raw)
		if rej != nil {
			continue
		}
		once := msg.String()
		again, rej := Parse([]byte(once))
		if rej != nil {
			t.Errorf("%s: written form rejected: %v\n%s", row[0], rej, once)
			continue
		}
		if twice := again.String(); twice != once {
			t.Errorf("%s: changed when read again:\n%s\n--\n%s", row[0], once, twice)
		}
	}
}

func TestFields(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc4475/TC_WSINV.dat")
	if err != nil {
		t.Fatal(err)
	}
	msg, rej := Parse(raw)
	if rej != nil {
		t.Fatal(rej)
	}
	req := msg.(*sip.Request)
	if got, _ := req.From().Params.Get("tag"); got != "98asjd8" {
		t.Errorf("From tag %q", got)
	}
	if got := req.From().DisplayName; got != `J Rosenberg \\\"` {
		t.Errorf("From name %q", got)
	}
	if got := len(req.GetHeaders("via")); got != 3 {
		t.Errorf("%d Via values", got)
	}
	if got := req.Via().Host; got != "192.0.2.2" {
		t.Errorf("sent by %q", got)
	}
	if req.CSeq().SeqNo != 9 || req.CSeq().MethodName != sip.INVITE {
		t.Errorf("CSeq %v", req.CSeq())
	}
	if len(req.Body()) != 150 {
		t.Errorf("body of %d bytes", len(req.Body()))
	}
}

func TestCheck(t *testing.T) {
	for file, want := range map[string]string{
		"TC_INSUF_I.dat":    "Missing From",
		"TC_MULTI01_I.dat":  "Multiple From",
		"TC_MCL01_I.dat":    "Multiple Content-Length",
		"TC_INV2543_I.dat":  "",
		"TC_WSINV.dat":      "",
		"TC_LWSDISP_V.dat":  "",
		"TC_UNKSM2_V.dat":   "",
		"TC_LONGREQ_V.dat":  "",
		"TC_CPARAM01_V.dat": "",
	} {
		raw, err := os.ReadFile("testdata/rfc4475/" + file)
		if err != nil {
			t.Fatal(err)
		}
		msg, rej := Parse(raw)
		if rej != nil {
			t.Fatalf("%s: %v", file, rej)
		}
		got := ""
		if rej := Check(msg.(*sip.Request)); rej != nil {
			got = rej.Reason
		}
		if got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestReply(t *testing.T) {
	for _, row := range verdicts(t) {
		if row[2] != "reject" {
			continue
		}
		raw, err := os.ReadFile("testdata/rfc4475/" + row[0])
		if err != nil {
			t.Fatal(err)
		}
		_, rej := Parse(raw)
		answer, ok := rej.Reply(raw)
		response := strings.HasPrefix(string(raw), "SIP/")
		if noVia := row[0] == "TC_TEST_I.dat"; ok == (response || noVia) {
			t.Errorf("%s: answered %v", row[0], ok)
		}
		if ok && !strings.HasPrefix(string(answer), "SIP/2.0 "+row[3]+" ") {
			t.Errorf("%s: %q", row[0], answer)
		}
	}
}

func FuzzParse(f *testing.F) {
	entries, err := os.ReadDir("testdata/rfc4475")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile("testdata/rfc4475/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		msg, rej := Parse(raw)
		if rej != nil {
			rej.Reply(raw)
			return
		}
		if req, ok := msg.(*sip.Request); ok {
			Check(req)
		}
		// What we would send on must be something that we take ourselves.
		if _, rej := Parse([]byte(msg.String())); rej != nil {
			t.Fatalf("written form rejected: %v\n%q", rej, msg.String())
		}
	})
}
