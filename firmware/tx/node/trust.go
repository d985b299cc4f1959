package node

import (
	"context"

	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/task"
)

// OPCUASource is a source that reads an OPC UA server.
type OPCUASource interface {
	task.Task
	// Browse has it browse again at once.
	Browse()
	// Reconnect has it connect again, and so decide again on the server's certificate.
	Reconnect()
}

// addOPCUA makes the configured OPC UA sources, and the store of certificates that
// they share.
func (n *Node) addOPCUA() error {
	cfg := n.config.TX
	if len(cfg.OPCUA) > 0 {
		rejected := func(text string, count uint64) { n.state.journal.AddCount("certificate_rejected", text, count) }
		store, err := identity.Open(cfg.PKI, "tx", cfg.Pair, n.trustChanged, rejected, n.config.Log)
		if err != nil {
			return err
		}
		n.expiries.Store = store.Store
		for _, c := range cfg.OPCUA {
			s, err := n.config.Build.OPCUA(c, cfg.State, store.Store, n.port(c.Channel, "opcua", c.Bulk), n.config.Log)
			if err != nil {
				return err
			}
			n.opcua = append(n.opcua, s)
			n.addSource(c.Channel, s)
		}
		n.add(store)
	}
	n.add(browser{n})
	return nil
}

// trustChanged has the sources decide again on the servers they are connected to.
func (n *Node) trustChanged() {
	n.state.journal.Add("trust_changed", "a folder of certificates has changed")
	for _, s := range n.opcua {
		s.Reconnect()
	}
}

// browser is the task that has all OPC UA sources browse again at each hangup.
type browser struct{ node *Node }

// String names the task.
func (browser) String() string { return "browse on SIGHUP" }

// Ready is always nil: there is nothing to wait for.
func (browser) Ready() error { return nil }

// Run waits for hangups until ctx ends.
func (b browser) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.node.config.Hangup:
			b.node.config.Log.Info("browsing again on SIGHUP", "component", "opcua source", "sources",
				len(b.node.opcua))
			for _, s := range b.node.opcua {
				s.Browse()
			}
		}
	}
}
