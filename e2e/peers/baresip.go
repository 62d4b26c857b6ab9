package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dialtone/internal/voice/carrier/wav"
)

// The events of baresip that tests wait for.
const (
	Incoming    = "CALL_INCOMING"
	Ringing     = "CALL_RINGING"
	Progress    = "CALL_PROGRESS" // 183 with audio
	Established = "CALL_ESTABLISHED"
	Closed      = "CALL_CLOSED"
	KeyDown     = "CALL_DTMF_START" // Param is the key
	Registered  = "REGISTER_OK"
	NotAllowed  = "REGISTER_FAIL"
)

// PhoneOptions say what kind of phone a baresip is.
type PhoneOptions struct {
	Number   string   // its own; empty: +15550188
	Tone     float64  // Hz, what it says; 0: silence
	Echo     bool     // say what is heard instead
	Codecs   []string // nil: PCMU, PCMA
	Answers  bool     // take calls at once; else Answer does
	Register string   // registrar, host:port; empty: none
	Password string   // for the registrar
	SRTP     string   // keys by SDES: "srtp" (offered beside plain RTP), "srtp-mand" (required); empty: plain RTP
}

// Baresip is a running baresip with one line.
type Baresip struct {
	// Addr is where it takes calls, host:port.
	Addr string

	t       testing.TB
	p       *process
	dir     string
	control net.Conn

	mu     sync.Mutex
	events []Event
	fresh  chan struct{} // closed and replaced with each event

	answers chan answer // to commands, one each
}

// answer is what baresip says to a command.
type answer struct {
	Response bool   `json:"response"`
	OK       bool   `json:"ok"`
	Data     string `json:"data"`
}

// Event is one of baresip's events.
type Event struct {
	Type      string `json:"type"`
	Direction string `json:"direction"`
	Peer      string `json:"peeruri"`
	Param     string `json:"param"`
}

// StartBaresip starts a phone and returns once it can be used. It keeps its
// files, with the recordings of what it hears and says, in a directory of the test.
func StartBaresip(t testing.TB, o PhoneOptions) *Baresip {
	t.Helper()
	program := need(t, "baresip", "baresip-core")
	b := &Baresip{t: t, dir: t.TempDir(), fresh: make(chan struct{}), answers: make(chan answer, 1)}
	if o.Number == "" {
		o.Number = "+15550188"
	}
	if o.Codecs == nil {
		o.Codecs = []string{PCMU, PCMA}
	}
	first := ports(t, 24)
	b.Addr = fmt.Sprintf("127.0.0.1:%d", first)
	control := fmt.Sprintf("127.0.0.1:%d", first+2)

	source := "aufile," + filepath.Join(b.dir, "says.wav")
	if o.Echo {
		source = "aubridge,itself"
	} else if err := wav.WriteFile(filepath.Join(b.dir, "says.wav"), sine(o.Tone)); err != nil {
		t.Fatal(err)
	}
	b.write("config", strings.Join([]string{
		"module_path " + modules(t),
		"module g711.so", "module aufile.so", "module aubridge.so", "module sndfile.so", "module srtp.so",
		"module_tmp account.so", "module_app menu.so", "module_app ctrl_tcp.so",
		"ctrl_tcp_listen " + control,
		"net_interface 127.0.0.1",
		"sip_listen " + b.Addr,
		fmt.Sprintf("rtp_ports %d-%d", first+4, first+22),
		"audio_source " + source,
		// A bridge takes what is heard and, but for the echo, nobody fetches it.
		"audio_player aubridge,itself",
		"audio_alert aubridge,alert",
		"ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1",
		"snd_path " + b.dir,
		"call_local_timeout 60", "call_max_calls 1",
		"",
	}, "\n"))
	answer, register := "manual", "regint=0"
	domain := "127.0.0.1"
	if o.Answers {
		answer = "auto"
	}
	if o.Register != "" {
		domain, register = o.Register, "regint=60;auth_pass="+o.Password
	}
	account := fmt.Sprintf("<sip:%s@%s>;%s;answermode=%s;audio_codecs=%s;dtmfmode=rtpevent",
		o.Number, domain, register, answer, strings.Join(o.Codecs, ","))
	if o.SRTP != "" {
		account += ";mediaenc=" + o.SRTP
	}
	b.write("accounts", "")
	b.write("contacts", "")

	b.p = launch(t, b.dir, program, "-f", b.dir, "-t", strconv.Itoa(int(life.Seconds())))
	b.connect(control)
	// Only now, so that no event of a registration is missed.
	b.command("uanew", account)
	return b
}

// modules returns where baresip's modules are.
func modules(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Fatal("baresip's modules are not found")
	return ""
}

// sine is four minutes of a tone at −12 dBFS: longer than any call here.
func sine(hz float64) wav.Sound {
	s := wav.Sound{Rate: 8000, Samples: make([]int16, 8000*240)}
	if hz > 0 {
		for i := range s.Samples {
			s.Samples[i] = int16(8192 * math.Sin(2*math.Pi*hz*float64(i)/8000))
		}
	}
	return s
}

func (b *Baresip) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// connect opens the control connection, as soon as baresip listens.
func (b *Baresip) connect(addr string) {
	b.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	give := time.After(patience)
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			b.control = c
			read := make(chan struct{})
			go func() {
				defer close(read)
				b.read(c)
			}()
			b.t.Cleanup(func() {
				c.Close()
				<-read
			})
			return
		}
		select {
		case <-look.C:
		case <-b.p.done:
			b.t.Fatalf("baresip ended at once:\n%s", b.p.output)
		case <-give:
			b.t.Fatalf("baresip does not listen:\n%s", b.p.output)
		}
	}
}

// read takes events, which come as netstrings of JSON, until the connection ends.
func (b *Baresip) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		head, err := in.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(head, ":"))
		if err != nil || n < 0 || n > 1<<16 {
			return
		}
		body := make([]byte, n+1) // and the comma
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var a answer
		if json.Unmarshal(body[:n], &a) == nil && a.Response {
			select {
			case b.answers <- a:
			default: // of a command that nobody waits for any more
			}
			continue
		}
		var e Event
		if json.Unmarshal(body[:n], &e) != nil || e.Type == "" {
			continue
		}
		b.mu.Lock()
		b.events = append(b.events, e)
		close(b.fresh)
		b.fresh = make(chan struct{})
		b.mu.Unlock()
	}
}

// command tells baresip what to do and waits until it has begun to.
func (b *Baresip) command(name, params string) {
	b.t.Helper()
	body, err := json.Marshal(map[string]string{"command": name, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.control, "%d:%s,", len(body), body); err != nil {
		b.t.Fatalf("tell baresip to %s: %v\n%s", name, err, b.p.output)
	}
	select {
	case a := <-b.answers:
		if !a.OK {
			b.t.Fatalf("baresip refuses to %s: %s\n%s", name, a.Data, b.p.output)
		}
	case <-b.p.done:
		b.t.Fatalf("baresip ended before it could %s:\n%s", name, b.p.output)
	case <-time.After(patience):
		b.t.Fatalf("baresip does not answer to %s:\n%s", name, b.p.output)
	}
}

// Await returns the first event of the kind that no Await has returned yet. It
// fails the test when none comes.
func (b *Baresip) Await(kind string) Event {
	b.t.Helper()
	give := time.After(patience)
	for {
		b.mu.Lock()
		fresh := b.fresh
		i := slices.IndexFunc(b.events, func(e Event) bool { return e.Type == kind })
		if i >= 0 {
			e := b.events[i]
			b.events = slices.Delete(b.events, i, i+1)
			b.mu.Unlock()
			return e
		}
		b.mu.Unlock()
		select {
		case <-fresh:
		case <-b.p.done:
			b.t.Fatalf("baresip ended before %s:\n%s", kind, b.p.output)
		case <-give:
			b.t.Fatalf("baresip: no %s; it said:\n%s", kind, b.p.output)
		}
	}
}

// Dial calls a number by way of a SIP peer, host:port. It does not wait.
func (b *Baresip) Dial(number, peer string) {
	b.t.Helper()
	b.command("dial", "sip:"+number+"@"+peer)
}

// Answer takes the call that came in.
func (b *Baresip) Answer() {
	b.t.Helper()
	b.command("accept", "")
}

// HangUp ends, cancels or refuses the call.
func (b *Baresip) HangUp() {
	b.t.Helper()
	b.command("hangup", "")
}

// Hold puts the other side on hold or takes it back.
func (b *Baresip) Hold(on bool) {
	b.t.Helper()
	b.command(map[bool]string{true: "hold", false: "resume"}[on], "")
}

// Press sends keys (RFC 4733).
func (b *Baresip) Press(digits string) {
	b.t.Helper()
	b.command("sndcode", digits)
}

// Keys returns the keys that were heard until now, and takes them away.
func (b *Baresip) Keys() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys strings.Builder
	b.events = slices.DeleteFunc(b.events, func(e Event) bool {
		if e.Type == KeyDown {
			keys.WriteString(e.Param)
		}
		return e.Type == KeyDown
	})
	return keys.String()
}

// Heard measures what was heard in the latest call, which must be over.
func (b *Baresip) Heard() Heard { return b.recording("dec") }

// Said measures what was said in it.
func (b *Baresip) Said() Heard { return b.recording("enc") }

func (b *Baresip) recording(kind string) Heard {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "dump-*-"+kind+".wav"))
	if err != nil || len(files) == 0 {
		b.t.Fatalf("baresip recorded nothing; it said:\n%s", b.p.output)
	}
	s, err := wav.ReadFile(slices.Max(files)) // their names hold the time
	if err != nil {
		b.t.Fatal(err)
	}
	return Measure(s)
}
