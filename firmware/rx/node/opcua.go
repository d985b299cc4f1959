package node

import (
	"path/filepath"
	"sync"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/rx/history"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// OPCUASink is a mirror of an OPC UA server.
type OPCUASink interface {
	Sink
	// CheckTrust has it decide again on the certificates of its clients.
	CheckTrust()
	// Drain applies what was delivered after Run ended.
	Drain()
	// AcceptsLate reports whether late records can be kept now.
	AcceptsLate() bool
	// Volatile returns how many records a crash would lose, where history is kept.
	Volatile() uint64
}

// OPCUAParts is what an OPC UA sink works with, besides its configuration.
type OPCUAParts struct {
	Folder  string // for its cache
	Version string
	Store   identity.Store
	Channel *pipeline.Channel
	Users   *users.File    // nil: none are configured
	History *history.Store // nil: none is kept
	// Outages returns when records of the channel are missing.
	Outages func() []sink.Outage
}

// addIdentity opens the store of certificates that the OPC UA sinks share, and makes this
// receiver's own. The status server signs with its key what is measured of the link, so that each
// receiver that has one, has an identity as well.
func (n *Node) addIdentity() error {
	cfg := n.config.RX
	if len(cfg.OPCUA) == 0 && cfg.Announce.OPCUA.Listen == "" && cfg.Status.Listen == "" {
		return nil
	}
	rejected := func(text string, count uint64) { n.state.journal.AddCount("certificate_rejected", text, count) }
	store, err := identity.Open(cfg.PKI, "rx", cfg.Pair, n.trustChanged, rejected, n.config.Log)
	if err != nil {
		return err
	}
	n.add(store)
	n.identity, n.expiries.Store = &store, store.Store
	return nil
}

// addOPCUA makes the configured OPC UA sinks.
func (n *Node) addOPCUA() error {
	cfg := n.config.RX
	if n.identity == nil {
		return nil
	}
	store := *n.identity
	if err := n.addStateServer(store); err != nil {
		return err
	}
	for _, c := range cfg.OPCUA {
		link := n.link.Channel(c.Channel)
		parts := OPCUAParts{Folder: cfg.State, Version: n.config.Version, Store: store, Channel: link,
			Outages: func() []sink.Outage { return outages(link) }}
		var err error
		if c.UsersFile != "" {
			if parts.Users, err = n.openUsers(c.UsersFile, "at the mirror of "+c.Channel); err != nil {
				return err
			}
		}
		if c.History.Age > 0 {
			link.TakeLate(mirror.AnyOrder) // into the history
			if parts.History, err = n.openHistory(c); err != nil {
				return err
			}
		}
		s, err := n.config.Build.OPCUA(c, parts, n.config.Log)
		if err != nil {
			return err
		}
		if parts.History != nil {
			link.Volatile(s.Volatile)
			link.AcceptLateIf(s.AcceptsLate)
		}
		n.opcua = append(n.opcua, s)
		n.addChannel(link, channel{name: c.Channel, protocol: "opcua", address: c.Listen, sink: s})
	}
	return nil
}

// outages returns when records of a channel are missing.
func outages(link *pipeline.Channel) (list []sink.Outage) {
	for _, h := range link.Holes() {
		list = append(list, sink.Outage{From: h.From, To: h.To})
	}
	return list
}

// openHistory opens the history of a mirror. What is damaged of it is set aside, and does not keep
// the mirror from being served.
func (n *Node) openHistory(c config.OPCUASink) (*history.Store, error) {
	s, err := history.Open(filepath.Join(n.config.RX.State, "history", c.Channel),
		history.Limits{Age: c.History.Age, Bytes: c.History.Bytes}, n.config.Log.With("channel", c.Channel))
	if err != nil {
		return nil, err
	}
	n.histories = append(n.histories, s)
	n.auditDamage()
	n.add(s)
	return s, nil
}

// auditDamage notes what of the histories was found damaged since the last call: much of it is found
// when a client reads it.
func (n *Node) auditDamage() {
	for _, s := range n.histories {
		for _, what := range s.Damaged() {
			n.state.journal.Add("history_damaged", what)
		}
	}
}

// closeHistories keeps what the mirrors were given last.
func (n *Node) closeHistories() {
	for _, s := range n.opcua {
		s.Drain()
	}
	for _, s := range n.histories {
		s.Close()
	}
	n.auditDamage()
}

// trustChanged has the mirrors decide again on the clients that are connected.
func (n *Node) trustChanged() {
	var all sync.WaitGroup // a client of one that does not receive must not delay the others
	for _, s := range n.opcua {
		all.Go(s.CheckTrust)
	}
	if n.stateServer != nil {
		all.Go(n.stateServer.CheckTrust)
	}
	all.Wait()
	n.state.journal.Add("trust_changed", "a folder of certificates has changed")
}
