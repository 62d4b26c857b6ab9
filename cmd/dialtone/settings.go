package main

import (
	"os"

	"dialtone/internal/config"
)

// place says where the configuration and the data are.
type place struct {
	Config  string  `name:"config" env:"DIALTONE_CONFIG" placeholder:"FILE" type:"path" help:"Configuration file (YAML)."`
	DataDir *string `name:"data-dir" placeholder:"DIR" help:"Directory of everything kept (default: data)."`
}

func (p place) sources() config.Sources {
	s := config.Sources{File: p.Config, Environ: os.Environ(), Flags: map[string]string{}}
	setFlag(s, "data_dir", p.DataDir)
	return s
}

func (p place) load() (config.Config, error) { return config.Load(p.sources()) }

// settings is place and every setting that has a flag.
type settings struct {
	place
	Demo      bool    `name:"demo" help:"Run with a demo account, two agents, one line and the simulated carrier."`
	HTTPS     *string `name:"https" placeholder:"ADDR" help:"Console, APIs and devices' signalling (default: :8443)."`
	SIP       *string `name:"sip" placeholder:"ADDR" help:"Carriers' SIP over UDP and TCP (default: :5060)."`
	Media     *string `name:"media" placeholder:"ADDR" help:"UDP port of all browsers' audio (default: :40000)."`
	Metrics   *string `name:"metrics" placeholder:"ADDR" help:"Prometheus metrics; empty: off (default: 127.0.0.1:9464)."`
	LogLevel  *string `name:"log-level" placeholder:"LEVEL" help:"debug, info, warn or error (default: info)."`
	LogFormat *string `name:"log-format" placeholder:"FORMAT" help:"json or text (default: json)."`
}

func (f settings) sources() config.Sources {
	s := f.place.sources()
	if f.Demo {
		s.Flags["demo"] = "true"
	}
	setFlag(s, "https.listen", f.HTTPS)
	setFlag(s, "sip.listen", f.SIP)
	setFlag(s, "media.listen", f.Media)
	setFlag(s, "metrics.listen", f.Metrics)
	setFlag(s, "log.level", f.LogLevel)
	setFlag(s, "log.format", f.LogFormat)
	return s
}

func setFlag(s config.Sources, key string, value *string) {
	if value != nil {
		s.Flags[key] = *value
	}
}
