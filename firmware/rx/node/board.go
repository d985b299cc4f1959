package node

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

const maxFact = 200 // bytes of what the transmitter says of its board

// boards are the transmitter's machine, once it has said something of itself, and this one.
func (n *Node) boards(st pipeline.Status, t *transmitter) []status.Board {
	own := status.Board{Role: "rx", Version: n.config.Version, Clock: n.clockWords(st), Facts: n.machine.Facts()}
	own.Probe = n.probes.answer(own.Probe, n.config.RX.Link.Medium)
	if n.config.Reports != nil {
		own.SetRelease(n.state.updates.Running())
	}
	if t.Version == "" {
		return []status.Board{own}
	}
	return []status.Board{t.board(), own}
}

// board is the transmitter's machine as it reports it.
func (t *transmitter) board() status.Board {
	clip := func(s string) string { return text.Clip(s, maxFact) }
	b := status.Board{Role: "tx", Version: clip(t.Version), Clock: clip(t.Clock)}
	if t.Temperature != nil {
		b.Temperature = status.Of(float64(*t.Temperature))
	}
	if r := t.Board; r != nil {
		b.Name, b.Supply, b.Card, b.UptimeSeconds = clip(r.Name), clip(r.Supply), clip(r.Card), float64(r.UptimeSeconds)
		b.Release, b.LastUpdate = clip(r.Release), clip(r.LastUpdate)
		if r.LEDPattern != "" {
			b.LED = &machine.LED{Pattern: clip(r.LEDPattern), Means: clip(r.LEDMeans)}
		}
	}
	return b
}

// clockWords says what this board's clock was compared with.
func (n *Node) clockWords(st pipeline.Status) string {
	c := n.clock(st)
	switch {
	case c.Source != "":
		off := time.Duration(c.OffsetSeconds * float64(time.Second)).Round(time.Millisecond)
		return fmt.Sprintf("%s, off by %s", c.Source, off)
	case len(n.config.RX.Time) > 0:
		return "not synchronized: " + n.ntp.Unknown().Error()
	}
	return "not compared with the transmitter's now"
}

// clients are those that are connected to the servers of the sinks, and to the gateway's own.
func (n *Node) clients() (list []status.Client) {
	add := func(channel, protocol string, server any) {
		s, ok := server.(interface{ Clients() []sink.Client })
		if !ok {
			return
		}
		for _, k := range s.Clients() {
			list = append(list, status.Client{Channel: channel, Protocol: protocol, Address: k.Address.String(),
				User: k.User, Application: k.Application, Since: k.Since.UTC()})
		}
	}
	for _, c := range n.channels {
		add(c.name, c.protocol, c.sink)
	}
	add(record.Gateway, "opcua", n.stateServer)
	return list
}
