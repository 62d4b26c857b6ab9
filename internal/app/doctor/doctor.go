// Package doctor looks at a machine and a configuration and says what would
// keep a node from serving there, before a caller notices.
//
// Examine changes nothing: sockets it opens to see whether they are free are
// closed at once, and nothing is written. It runs beside a live node without disturbing it.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dialtone/internal/app/certs"
	"dialtone/internal/config"
)

// Grade says how bad a finding is.
type Grade string

// The grades. Only a Problem keeps a node from serving.
const (
	Fine    Grade = "ok"
	Warning Grade = "warning"
	Problem Grade = "problem"
)

// Finding is the result of one check.
type Finding struct {
	Check string // "port", "certificate", …
	Grade Grade
	Text  string // what was found, and what to do about it
}

// Limits that the checks judge by.
const (
	minDisk  = 1 << 30 // voicemail and records of weeks
	minFiles = 4096    // a device takes one, a call up to three
)

// examination is one run of all checks.
type examination struct {
	config  config.Config
	running bool // a node answers at https.listen
	found   []Finding
}

// Examine runs every check and returns all findings, in a fixed order.
func Examine(ctx context.Context, c config.Config) []Finding {
	e := &examination{config: c}
	e.node(ctx)
	e.dataDir()
	e.disk()
	e.ports(ctx)
	e.certificate()
	e.clock()
	e.limits()
	e.addresses()
	e.names(ctx)
	return e.found
}

func (e *examination) say(check string, g Grade, format string, args ...any) {
	e.found = append(e.found, Finding{check, g, fmt.Sprintf(format, args...)})
}

// node asks whether one runs already: then taken ports are as they should be.
func (e *examination) node(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, port, err := net.SplitHostPort(e.config.HTTPS.Listen)
	if err != nil || port == "0" {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+reach(e.config.HTTPS.Listen)+"/readyz", nil)
	if err != nil {
		return
	}
	// Who answers is not trusted with anything; only whether it is ready counts.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	answer, err := client.Do(r)
	if err != nil {
		e.say("node", Fine, "none runs at %s", e.config.HTTPS.Listen)
		return
	}
	defer answer.Body.Close()
	switch e.running = true; answer.StatusCode {
	case http.StatusOK:
		e.say("node", Fine, "one runs at %s and is ready", e.config.HTTPS.Listen)
	case http.StatusServiceUnavailable:
		e.say("node", Problem, "one runs at %s but is not ready; https://%s/readyz says why", e.config.HTTPS.Listen, reach(e.config.HTTPS.Listen))
	default:
		e.running = false
		e.say("node", Problem, "another program answers at %s (HTTP status %d); choose another address with --https", e.config.HTTPS.Listen, answer.StatusCode)
	}
}

// reach turns a listening address into one to connect to.
func reach(listen string) string {
	host, port, _ := net.SplitHostPort(listen)
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (e *examination) dataDir() {
	dir, err := filepath.Abs(e.config.DataDir)
	if err != nil {
		e.say("data", Problem, "%s: %v", e.config.DataDir, err)
		return
	}
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		above := existing(dir)
		if unix.Access(above, unix.W_OK|unix.X_OK) != nil {
			e.say("data", Problem, "%s does not exist and cannot be made: %s is not writable for this user", dir, above)
			return
		}
		e.say("data", Fine, "%s will be made", dir)
		return
	}
	switch {
	case err != nil:
		e.say("data", Problem, "%v", err)
	case !info.IsDir():
		e.say("data", Problem, "%s is not a directory", dir)
	case unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		e.say("data", Problem, "%s is not readable and writable for this user; run as the node's user, or give it the directory with chown", dir)
	case info.Mode().Perm()&0o007 != 0:
		e.say("data", Warning, "%s can be read by every user of this machine; chmod 700 it", dir)
	default:
		e.say("data", Fine, "%s is ours alone", dir)
	}
}

// existing returns the nearest directory above that exists.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (e *examination) disk() {
	dir, err := filepath.Abs(e.config.DataDir)
	if err != nil {
		return
	}
	var s unix.Statfs_t
	if err := unix.Statfs(existing(dir), &s); err != nil {
		e.say("disk", Warning, "free space of %s is unknown: %v", dir, err)
		return
	}
	free := uint64(s.Bavail) * uint64(s.Bsize)
	grade, advice := Fine, ""
	switch {
	case free < minDisk/10:
		grade, advice = Problem, "; make room, or records and voicemail are lost"
	case free < minDisk:
		grade, advice = Warning, "; voicemail and records of some weeks need more"
	}
	e.say("disk", grade, "%.1f GiB free%s", float64(free)/(1<<30), advice)
}

func (e *examination) ports(ctx context.Context) {
	for _, s := range []struct {
		key, network, address string
	}{
		{"https.listen", "tcp", e.config.HTTPS.Listen},
		{"sip.listen", "udp", e.config.SIP.Listen},
		{"sip.listen", "tcp", e.config.SIP.Listen},
		{"sip.tls_listen", "tcp", e.config.SIP.TLSListen},
		{"media.listen", "udp", e.config.Media.Listen},
		{"metrics.listen", "tcp", e.config.Metrics.Listen},
	} {
		if s.address == "" {
			continue
		}
		err := free(ctx, s.network, s.address)
		switch {
		case err == nil && e.running:
			e.say("port", Warning, "%s (%s) is free although a node runs; it has another configuration", s.address, s.key)
		case err == nil:
			e.say("port", Fine, "%s/%s is free (%s)", s.address, s.network, s.key)
		case errors.Is(err, syscall.EADDRINUSE) && e.running:
			e.say("port", Fine, "%s/%s is in use by the running node (%s)", s.address, s.network, s.key)
		case errors.Is(err, syscall.EADDRINUSE):
			e.say("port", Problem, "%s/%s is taken by another program; stop it or change %s", s.address, s.network, s.key)
		case errors.Is(err, syscall.EACCES):
			e.say("port", Problem, "%s/%s is not allowed for this user; grant CAP_NET_BIND_SERVICE (deploy/systemd does) or change %s", s.address, s.network, s.key)
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			e.say("port", Problem, "%s is not an address of this machine; change %s", s.address, s.key)
		default:
			e.say("port", Problem, "%s/%s: %v (%s)", s.address, s.network, err, s.key)
		}
	}
}

func free(ctx context.Context, network, address string) error {
	var lc net.ListenConfig
	if network == "udp" {
		p, err := lc.ListenPacket(ctx, network, address)
		if err != nil {
			return err
		}
		return p.Close()
	}
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	return l.Close()
}

func (e *examination) certificate() {
	h := e.config.HTTPS
	switch {
	case h.Cert != "":
		pair, err := tls.LoadX509KeyPair(h.Cert, h.Key)
		if err != nil {
			e.say("certificate", Problem, "%s with %s cannot be used: %v", h.Cert, h.Key, err)
			return
		}
		e.judge(h.Cert, pair.Leaf)
	case len(h.Domains) > 0:
		if _, port, _ := net.SplitHostPort(h.Listen); port != "443" {
			e.say("certificate", Warning, "https.domains is set and https.listen is %s: the internet's port 443 must be forwarded to it", h.Listen)
			return
		}
		e.say("certificate", Fine, "obtained automatically for %s", strings.Join(h.Domains, ", "))
	default:
		dir := certs.AuthorityDir(e.config.DataDir)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			e.say("certificate", Fine, "the local authority will be made in %s; run dialtone trust so that browsers accept it", dir)
			return
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem"))
		if err != nil {
			e.say("certificate", Problem, "the local authority in %s cannot be used: %v", dir, err)
			return
		}
		e.judge("the local authority", pair.Leaf)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			e.say("certificate", Warning, "this machine does not trust the local authority; run dialtone trust")
		}
	}
}

func (e *examination) judge(name string, c *x509.Certificate) {
	switch left := time.Until(c.NotAfter); {
	case left <= 0:
		e.say("certificate", Problem, "%s expired on %s", name, c.NotAfter.Format(time.DateOnly))
	case time.Until(c.NotBefore) > 0:
		e.say("certificate", Problem, "%s is valid from %s only; is the clock right?", name, c.NotBefore.Format(time.DateOnly))
	case left < 30*24*time.Hour:
		e.say("certificate", Warning, "%s expires on %s", name, c.NotAfter.Format(time.DateOnly))
	default:
		e.say("certificate", Fine, "%s is valid until %s", name, c.NotAfter.Format(time.DateOnly))
	}
}

func (e *examination) limits() {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		e.say("limits", Warning, "the limit of open files is unknown: %v", err)
		return
	}
	// Go raises the soft limit to the hard one by itself.
	if need := uint64(max(minFiles, e.config.Devices.MaxConnections+4*e.config.Calls.MaxConcurrent)); l.Max < need {
		e.say("limits", Warning, "%d files may be open at once; devices.max_connections and calls.max_concurrent need up to %d (LimitNOFILE= in systemd)", l.Max, need)
		return
	}
	e.say("limits", Fine, "%d files may be open at once", l.Max)
}

func (e *examination) addresses() {
	if len(e.config.Media.Announce) > 0 {
		e.say("audio", Fine, "browsers and carriers are told to send audio to %v", e.config.Media.Announce)
		return
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		e.say("audio", Warning, "this machine's addresses are unknown: %v", err)
		return
	}
	public := 0
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			if ip := p.Addr(); ip.IsGlobalUnicast() && !ip.IsPrivate() {
				public++
			}
		}
	}
	if public == 0 && !e.config.Demo {
		e.say("audio", Warning, "this machine has no public address of its own: agents and carriers elsewhere hear nothing until media.announce names the one that leads here")
		return
	}
	e.say("audio", Fine, "sent to the addresses of this machine")
}

// names asks DNS for what must be found there.
func (e *examination) names(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var hosts []string
	hosts = append(hosts, e.config.HTTPS.Domains...)
	for _, t := range e.config.Trunks {
		hosts = append(hosts, t.Host)
	}
	for _, h := range hosts {
		if net.ParseIP(h) != nil {
			continue
		}
		addrs, err := net.DefaultResolver.LookupHost(ctx, h)
		if err != nil {
			e.say("names", Problem, "%s is not found in DNS: %v", h, err)
			continue
		}
		e.say("names", Fine, "%s leads to %s", h, strings.Join(addrs, ", "))
	}
}
