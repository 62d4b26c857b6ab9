// Package app builds, starts and stops a node. It is the only place that knows
// every wing, and it holds no decision of theirs: it opens sockets, joins what
// belongs together and lets go of it in order.
//
// New does all that can fail and takes the sockets; Run serves until its context
// is done and then stops gracefully. A Node runs once.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"dialtone/internal/app/certs"
	"dialtone/internal/config"
	"dialtone/internal/event"
	"dialtone/internal/health"
	"dialtone/internal/httpapi"
	"dialtone/internal/store/recordings"
	"dialtone/internal/talk"
	"dialtone/internal/talk/people"
	"dialtone/internal/voice/carrier"
	"dialtone/internal/voice/keyring"
	"dialtone/internal/voice/media"
	"dialtone/internal/voice/rtc"
	"dialtone/internal/voice/sdk"
	"dialtone/internal/voice/switchboard"
	"dialtone/internal/voice/trunk"
	"dialtone/web"
)

// store is what a node keeps.
type store interface {
	talk.Store
	keyring.Store
}

// Options is what a node is built from.
type Options struct {
	Config  config.Config
	Log     *slog.Logger
	Version string
	Out     io.Writer // where the demo's passwords and the addresses are printed; nil: nowhere
	Console fs.FS     // the console's files; nil: those built into the binary

	// Demo tells how the simulated carrier behaves, for tests; zero: as its defaults.
	Demo carrier.Options

	// WrapVerifier stands between devices and the verifier of their tokens, for
	// tests: a broken release.
	WrapVerifier func(sdk.Verifier) sdk.Verifier
	// IssuerClient reads the key sets of accounts' own issuers, for tests; nil: one
	// that goes to public addresses alone.
	IssuerClient *http.Client
}

// Node is one machine's Dialtone.
type Node struct {
	o       Options
	log     *slog.Logger
	health  *health.Board
	metrics *prometheus.Registry
	events  *event.Fan

	sockets    sockets
	certs      *certs.Source
	store      store
	recordings *recordings.Dir
	keys       *keyring.Ring
	board      *switchboard.Switchboard
	devices    *sdk.Server
	trunks     *trunk.Server
	rtc        *rtc.Engine
	codecs     *media.Codecs
	desk       *talk.Desk
	people     *people.Door
	door       *httpapi.Server
	carrier    *carrier.Carrier // nil without Demo
	directory  directory
	demo       talk.Demo // zero without Demo
	demoCalls  sync.WaitGroup

	stopping atomic.Bool
	hurry    chan struct{}
	reloads  chan struct{} // asks for people and lines to be read again; holds one
	teardown teardown
}

// New builds a node. When it fails, everything taken so far is given back.
func New(ctx context.Context, o Options) (_ *Node, err error) {
	if o.Console == nil {
		o.Console = web.Files()
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	n := &Node{
		o: o, log: o.Log, health: health.NewBoard(), metrics: prometheus.NewRegistry(), events: event.NewFan(),
		hurry: make(chan struct{}, 1), reloads: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.teardown.run(n.log))
		}
	}()
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), n.health)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"data directory", n.openData},
		{"certificate", n.openCerts},
		{"sockets", n.openSockets},
		{"account", n.openAccount},
		{"calls", n.joinCalls},
		{"front door", n.openDoor},
	} {
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return n, nil
}

// joinCalls builds the voice platform and the call centre and joins them.
func (n *Node) joinCalls(ctx context.Context) error {
	c := n.o.Config
	exchange := &lateExchange{}
	engine, err := rtc.New(rtc.Options{Conn: n.sockets.media, Announce: c.Media.Announce, Log: n.log.With("part", "rtc"), Metrics: n.metrics})
	if err != nil {
		return err
	}
	n.rtc = engine
	n.teardown.add("browser legs", engine.Close)

	n.codecs = media.NewCodecs(media.CodecsOptions{Metrics: n.metrics, Health: n.health, Log: n.log.With("part", "media")})
	n.teardown.add("codecs", n.codecs.Close)

	n.devices, err = sdk.New(sdk.Options{
		Verifier: n.verifier(), Exchange: exchange, NewPeer: sdk.RTC(engine), Codecs: n.codecs, Events: n.events,
		Log: n.log.With("part", "sdk"), Metrics: n.metrics, Origins: n.origins(), Gateway: hostName(), EventHost: "",
		Limits: sdk.Limits{Connections: c.Devices.MaxConnections, FrameBytes: int64(c.Devices.MaxMessage)},
	})
	if err != nil {
		return err
	}
	n.keys.OnChange(n.devices.Recheck)
	n.trunks, err = trunk.New(n.trunkOptions(exchange))
	if err != nil {
		return err
	}
	n.desk, err = talk.New(ctx, talk.Options{
		Store: n.store, Devices: n.devices, Recordings: n.recordings, Events: n.events.Subscribe(4096),
		Log: n.log.With("part", "talk"), Metrics: n.metrics, Health: n.health, SpoolDir: n.path("spool"),
	})
	if err != nil {
		return err
	}
	prompts, err := newPrompts(n.directory.account.Country)
	if err != nil {
		return err
	}
	n.board = switchboard.New(switchboard.Options{
		Director: n.desk, Devices: n.devices, Phones: n.trunks, Prompts: prompts,
		Recordings: n.recordings, Events: n.events, Metrics: n.metrics, Log: n.log.With("part", "switchboard"),
		MaxCalls: c.Calls.MaxConcurrent, MaxDuration: c.Calls.MaxDuration,
	})
	exchange.Switchboard = n.board
	return nil
}

func (n *Node) openDoor(context.Context) error {
	o := httpapi.Options{
		Desk: n.desk, Accounts: n.directory.Account, OutgoingApp: outgoingApp,
		Keys: n.keys, Ring: n.keys, Devices: n.devices, FellBack: n.devices, Recordings: n.recordings, Console: n.o.Console, Signal: n.devices.Signal(),
		EventGateway: n.devices.EventGateway(), Health: n.health, Ready: func() bool { return !n.stopping.Load() },
		Metrics: n.metrics, Log: n.log.With("part", "http"), Version: n.o.Version,
	}
	n.openPeople(&o)
	if n.carrier != nil {
		o.Demo = demoCarrier{n.carrier, n.directory.line.Number, n.log, &n.demoCalls}
	}
	n.door = httpapi.New(o)
	return nil
}

// Addresses is where a node is reached.
type Addresses struct {
	HTTPS, SIP, Media, Metrics string
}

// Addr returns where the node is reached; with port 0 in the configuration, the
// ports that were given.
func (n *Node) Addr() Addresses {
	a := Addresses{
		HTTPS: n.sockets.https.Addr().String(), SIP: n.sockets.sipUDP.LocalAddr().String(),
		Media: n.sockets.media.LocalAddr().String(),
	}
	if n.sockets.metrics != nil {
		a.Metrics = n.sockets.metrics.Addr().String()
	}
	return a
}

// Health returns what is wrong with the node.
func (n *Node) Health() *health.Board { return n.health }

// Events subscribes to what happens at the node, with room for so many unread
// events.
func (n *Node) Events(room int) *event.Subscription { return n.events.Subscribe(room) }

// Counts is what the node holds right now; all zero when nobody is connected
// and nobody calls.
type Counts struct {
	Calls   int
	Devices sdk.Counts
	Trunks  trunk.Counts
}

// Open returns what the node holds right now.
func (n *Node) Open() Counts {
	return Counts{Calls: n.board.Live(), Devices: n.devices.Open(), Trunks: n.trunks.Open()}
}

// Carrier returns the simulated carrier of a demo, nil without one.
func (n *Node) Carrier() *carrier.Carrier { return n.carrier }

// Hurry ends the wait for live calls while the node stops.
func (n *Node) Hurry() {
	select {
	case n.hurry <- struct{}{}:
	default:
	}
}

// Run serves until ctx is done or a part fails, and then stops: new calls are
// refused at once, live ones may go on for the configured time.
func (n *Node) Run(ctx context.Context) error {
	// Parts outlive ctx: they are needed while live calls go on.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	group, failed := errgroup.WithContext(parts)
	servers := []*http.Server{n.server(n.door)}
	group.Go(serve(servers[0], n.sockets.https))
	if n.sockets.metrics != nil {
		servers = append(servers, n.metricsServer())
		group.Go(serve(servers[1], n.sockets.metrics))
	}
	// The desk keeps what calls leave behind, so it stops after them.
	deskContext, stopDesk := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDesk()
	desk := make(chan error, 1)
	go func() { desk <- n.desk.Run(deskContext) }()

	group.Go(func() error { return n.devices.Run(parts) })
	group.Go(func() error { return n.trunks.Run(parts) })
	group.Go(func() error { return n.certs.Run(parts) })
	group.Go(func() error { return n.keys.Run(parts) })
	group.Go(func() error { return n.countUses(parts) })
	group.Go(func() error { return n.refresh(parts) })
	group.Go(func() error {
		n.people.Sweep(parts, func(err error) { n.log.Warn("ended sessions could not be swept", "error", err) })
		return nil
	})
	if n.carrier != nil {
		group.Go(func() error { return n.carrier.Run(parts) })
	}
	n.announce()

	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	err := n.stop(ctx, servers)
	stopParts()
	err = errors.Join(err, group.Wait())
	n.demoCalls.Wait()
	stopDesk()
	err = errors.Join(err, <-desk, n.teardown.run(n.log))
	n.log.Info("stopped")
	return err
}

// stop refuses what is new, lets live calls finish, and closes the front door.
func (n *Node) stop(ctx context.Context, servers []*http.Server) error {
	n.stopping.Store(true)
	n.log.Info("stopping; a second signal does not wait for live calls", "live_calls", n.board.Live(), "limit", n.o.Config.Calls.Drain)
	n.devices.Drain()
	n.trunks.Drain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.o.Config.Calls.Drain)
	defer cancel()
	go func() {
		select {
		case <-n.hurry:
			cancel()
		case <-drain.Done():
		}
	}()
	err := n.board.Close(drain)
	if err != nil {
		n.log.Warn("live calls were cut off", "error", err)
	}
	n.door.Close()
	shut, cancelShut := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelShut()
	for _, s := range servers {
		if err := s.Shutdown(shut); err != nil {
			_ = s.Close() // requests that do not end are cut off
		}
	}
	return nil
}

func serve(s *http.Server, l net.Listener) func() error {
	return func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}
