package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// sockets are all that a node listens on.
type sockets struct {
	https   net.Listener // TLS
	metrics net.Listener // nil: off
	sipUDP  net.PacketConn
	sipTCP  net.Listener
	sipTLS  net.Listener // nil: off
	media   net.PacketConn
	carrier net.PacketConn // the simulated carrier's; nil without --demo
}

func (n *Node) openSockets(ctx context.Context) (err error) {
	c := n.o.Config
	var lc net.ListenConfig
	listen := func(what, addr string) net.Listener {
		if err != nil {
			return nil
		}
		var l net.Listener
		if l, err = lc.Listen(ctx, "tcp", addr); err != nil {
			err = fmt.Errorf("%s: %w", what, err)
			return nil
		}
		n.teardown.add(what, l.Close)
		return l
	}
	packets := func(what, addr string) net.PacketConn {
		if err != nil {
			return nil
		}
		var p net.PacketConn
		if p, err = lc.ListenPacket(ctx, "udp", addr); err != nil {
			err = fmt.Errorf("%s: %w", what, err)
			return nil
		}
		n.teardown.add(what, p.Close)
		return p
	}
	https := listen("https.listen", c.HTTPS.Listen)
	if c.Metrics.Listen != "" {
		n.sockets.metrics = listen("metrics.listen", c.Metrics.Listen)
	}
	n.sockets.sipUDP = packets("sip.listen (UDP)", c.SIP.Listen)
	if err == nil {
		// The same port for both, also when the system chose it.
		n.sockets.sipTCP = listen("sip.listen (TCP)", n.sockets.sipUDP.LocalAddr().String())
	}
	if c.SIP.TLSListen != "" {
		n.sockets.sipTLS = listen("sip.tls_listen", c.SIP.TLSListen)
	}
	n.sockets.media = packets("media.listen", c.Media.Listen)
	if c.Demo {
		n.sockets.carrier = packets("simulated carrier", demoCarrierAddr)
	}
	if err != nil {
		return err
	}
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dialtone_https_connections_refused_total", Help: "Connections closed because their address had too many.",
	})
	n.metrics.MustRegister(refused)
	n.sockets.https = tls.NewListener(newCrowd(https, connectionsPerAddress, refused.Inc), n.certs.TLSConfig())
	return nil
}

// server is an HTTP server with the limits of the front door.
func (n *Node) server(h http.Handler) *http.Server {
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(n.log.With("part", "http").Handler(), slog.LevelDebug)}
	n.door.Limit(s)
	return s
}

func (n *Node) metricsServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics, promhttp.HandlerOpts{}))
	s := n.server(mux)
	s.WriteTimeout = 30 * time.Second
	return s
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "dialtone"
	}
	return name
}
