package node

import (
	"log/slog"
	"path/filepath"
	"strings"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

// Build constructs what only the main names.
type Build struct {
	// Medium opens the medium of a link, transmitting only.
	Medium func(config.Link, *slog.Logger) (Medium, error)
	// MQTT makes a source that keeps the topics it has seen in a file.
	MQTT func(c config.MQTTSource, topics string, p source.Holder, log *slog.Logger) (task.Task, error)
	// Syslog makes a source.
	Syslog func(c config.SyslogSource, p source.Port, log *slog.Logger) (task.Task, error)
	// OPCUA makes a source that keeps what it browsed in a folder.
	OPCUA func(c config.OPCUASource, folder string, s *pki.Store, p source.Holder, log *slog.Logger) (OPCUASource,
		error)
}

// port adds a channel to the link.
func (n *Node) port(channel, protocol string, bulk bool) source.Holder {
	n.protocols[channel] = protocol
	class := wire.LowLatency
	if bulk {
		class = wire.Bulk
	}
	return n.link.Port(channel, class)
}

// addSources makes a task of every configured source of MQTT and syslog.
func (n *Node) addSources() error {
	cfg := n.config.TX
	for _, c := range cfg.MQTT {
		topics := filepath.Join(cfg.State, "topics-"+c.Channel)
		s, err := n.config.Build.MQTT(c, topics, n.port(c.Channel, "mqtt", c.Bulk), n.config.Log)
		if err != nil {
			return err
		}
		n.addSource(c.Channel, s)
	}
	for _, configured := range cfg.Syslog {
		c, err := withCertificate(configured, cfg.PKI, n.config.Log)
		if err != nil {
			return err
		}
		s, err := n.config.Build.Syslog(c, n.port(c.Channel, "syslog", c.Bulk), n.config.Log)
		if err != nil {
			return err
		}
		n.expiries.Files["syslog "+c.Channel] = c.TLS.Certificate
		n.addSource(c.Channel, s)
	}
	return nil
}

// withCertificate returns a configuration whose tls:// listeners have a certificate:
// one is made where none is configured.
func withCertificate(c config.SyslogSource, folder string, log *slog.Logger) (config.SyslogSource, error) {
	for _, l := range c.Listen {
		address, secure := strings.CutPrefix(l, "tls://")
		if !secure {
			continue
		}
		var err error
		c.TLS, err = role.ListenerTLS(c.TLS, folder, "syslog-"+c.Channel, address,
			log.With("component", "syslog source", "channel", c.Channel))
		return c, err
	}
	return c, nil
}
