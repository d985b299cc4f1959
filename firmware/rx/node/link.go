package node

import (
	"fmt"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
)

// openLink opens the medium and puts a pipeline on it.
func (n *Node) openLink() (*pipeline.Link, error) {
	cfg := n.config.RX
	c := pipeline.Config{
		Key: n.state.use.Key, Anchor: n.state.memory, StaleAfter: cfg.StaleAfter, Log: n.config.Log,
		Budget: &mirror.Budget{Channel: int(cfg.Memory.ChannelState), Total: int(cfg.Memory.State)},
	}
	switch cfg.Link.Medium {
	case config.UDP, config.Ethernet:
	case config.UART:
		c.Synchronizer = codeword.New(wire.CheckCRC)
	default:
		return nil, fmt.Errorf("heliorx: medium %q is not known", cfg.Link.Medium)
	}
	var err error
	if n.medium, err = n.config.Build.Medium(cfg.Link, n.config.Log); err != nil {
		return nil, err
	}
	return pipeline.New(c, n.medium), nil
}
