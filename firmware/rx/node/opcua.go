package node

import (
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
)

// OPCUASink is a mirror of an OPC UA server.
type OPCUASink interface {
	Sink
	// CheckTrust has it decide again on the certificates of its clients.
	CheckTrust()
}

// OPCUAParts is what an OPC UA sink works with, besides its configuration.
type OPCUAParts struct {
	Folder  string // for its cache
	Version string
	Store   identity.Store
	Channel *pipeline.Channel
	Users   *users.File // nil: none are configured
}

// addOPCUA makes the configured OPC UA sinks, and the store of certificates that they
// share.
func (n *Node) addOPCUA() error {
	cfg := n.config.RX
	if len(cfg.OPCUA) == 0 {
		return nil
	}
	rejected := func(text string, count uint64) { n.state.journal.AddCount("certificate_rejected", text, count) }
	store, err := identity.Open(cfg.PKI, "rx", cfg.Pair, n.trustChanged, rejected, n.config.Log)
	if err != nil {
		return err
	}
	n.add(store)
	n.identity, n.expiries.Store = &store, store.Store
	for _, c := range cfg.OPCUA {
		link := n.link.Channel(c.Channel)
		if c.History.Age > 0 {
			link.TakeLate(mirror.AnyOrder) // into the history
		}
		parts := OPCUAParts{Folder: cfg.State, Version: n.config.Version, Store: store, Channel: link}
		if c.UsersFile != "" {
			if parts.Users, err = n.openUsers(c.UsersFile, "at the mirror of "+c.Channel); err != nil {
				return err
			}
		}
		s, err := n.config.Build.OPCUA(c, parts, n.config.Log)
		if err != nil {
			return err
		}
		n.opcua = append(n.opcua, s)
		n.addChannel(link, channel{name: c.Channel, protocol: "opcua", address: c.Listen, sink: s})
	}
	return nil
}

// trustChanged has the mirrors decide again on the clients that are connected.
func (n *Node) trustChanged() {
	for _, s := range n.opcua {
		s.CheckTrust()
	}
	n.state.journal.Add("trust_changed", "a folder of certificates has changed")
}
