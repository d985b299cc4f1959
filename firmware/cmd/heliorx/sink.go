package main

import (
	"log/slog"
	"os"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/rx/announce/nodes"
	"heliograph/firmware/rx/node"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/mqtt"
	"heliograph/firmware/rx/sink/opcua"
	"heliograph/firmware/rx/sink/syslog"
	"heliograph/firmware/rx/spool"
)

func newMQTT(c config.MQTTSink, p node.MQTTParts, log *slog.Logger) (node.Sink, error) {
	return mqtt.New(c, mqtt.Deps{
		Queue: p.Queue, Channel: p.Channel, Verify: p.Verify, Brokers: p.Brokers, PlantTime: p.PlantTime,
		Gateway: mqtt.Gateway{Prefix: p.Own, Reserved: p.Reserved, State: p.Gateway},
	}, log)
}

func newSyslog(c config.SyslogSink, q *spool.Queue, a sink.Account, log *slog.Logger) (node.Sink, error) {
	return syslog.New(c, syslog.Deps{Queue: q, Account: a}, log)
}

// mirror is an OPC UA sink with its server.
type mirror struct {
	*opcua.Sink
	server *server.Server
}

// CheckTrust implements node.OPCUASink.
func (m mirror) CheckTrust() { m.server.CheckTrust() }

func newOPCUA(c config.OPCUASink, p node.OPCUAParts, log *slog.Logger) (node.OPCUASink, error) {
	cfg := serverOf(c, p, log)
	cfg.ApplicationName, cfg.Space = "Heliograph mirror of "+c.Channel, addrspace.New()
	cfg.Refusal = "this is a read-only mirror behind a one-way link: nothing can reach the server that it mirrors"
	var kept *opcua.History
	if p.History != nil {
		kept = opcua.NewHistory(p.History, p.Outages)
		cfg.Historian = kept
	}
	s, err := server.New(cfg)
	if err != nil {
		return nil, err
	}
	return mirror{opcua.New(c, p.Folder, opcua.Deps{Server: s, Channel: p.Channel, History: kept}, log), s}, nil
}

func newState(c config.OPCUASink, p node.OPCUAParts, parts func() map[string]any, log *slog.Logger) (node.StateServer,
	error) {
	cfg := serverOf(c, p, log)
	cfg.ApplicationName, cfg.Refusal = "Heliograph receiver", "the gateway's state can only be read"
	return nodes.New(cfg, parts, log)
}

// serverOf is what every OPC UA server of this role has.
func serverOf(c config.OPCUASink, p node.OPCUAParts, log *slog.Logger) server.Config {
	cfg := server.Config{
		Channel: c.Channel, Listen: c.Listen, Store: p.Store.Store, ApplicationURI: p.Store.URI(),
		ProductURI: identity.ProductURI, Anonymous: c.Anonymous, UserCertificates: true, Expired: c.Expired,
		Build: server.Build{ProductName: "Heliograph", Manufacturer: "Heliograph", Version: p.Version, Date: built()},
		Log:   log,
	}
	for _, one := range c.Security {
		cfg.Security = append(cfg.Security, channel.ParseSecurity(one))
	}
	if p.Users != nil {
		cfg.Password, cfg.Known = p.Users.Verify, p.Users.Known
	}
	return cfg
}

// built returns when this program was installed, the zero time where that is not
// known. Builds carry no date, so that two of them are the same.
func built() time.Time {
	path, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().UTC()
}
