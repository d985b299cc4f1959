package opcua

import (
	"context"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// tick reads polled variables, what notifications were missed for, and what a
// subscription has not delivered in time. History comes after all that.
func (c *connection) tick(ctx context.Context) error {
	if n := len(c.values.polled); n > 0 {
		c.nextPolled %= n
		end := min(c.nextPolled+maxPerRead, n)
		if err := c.values.read(ctx, c.values.polled[c.nextPolled:end], changed); err != nil {
			return err
		}
		c.nextPolled = end
	}
	if err := c.values.reread(ctx); err != nil {
		return err
	}
	if c.crawl == nil || !c.fresh { // the initial snapshot goes first
		if err := c.values.confirm(ctx); err != nil {
			return err
		}
	}
	if c.crawl == nil && !c.catchingUp {
		again, err := c.values.checkItems(ctx)
		if err == nil && again {
			err = c.watchAll(ctx)
		}
		if err != nil {
			return err
		}
	}
	missing, since := c.arrived.missing(maxPerRead)
	if len(missing) > 0 && since > overdueAfter {
		items := make([]item, 0, len(missing))
		for _, h := range missing {
			items = append(items, item{h, c.model.nodes[h]})
		}
		if err := c.values.read(ctx, items, every); err != nil {
			return err
		}
	}
	c.reportRefusedValues()
	if !c.fresh && !c.events.recorded() { // the history that was to bring them is away
		c.port.Missed(c.history.lost.Swap(0), lostEvents)
	}
	if c.catchingUp {
		if len(missing) == 0 {
			c.catchingUp = false
			c.report(source.Up, "")
		}
		return nil
	}
	c.setComplete(len(missing) == 0 && !c.fresh)
	return c.tickHistory(ctx)
}

func (c *connection) setComplete(complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complete != complete {
		c.complete = complete
		c.port.SetComplete(complete)
	}
}

// watchAll follows the variables of the model that are not followed yet.
func (c *connection) watchAll(ctx context.Context) error {
	var items []item
	c.model.space.View(func(view addrspace.View) {
		own := servedByMirror(view)
		for h, live := range c.model.live {
			if _, followed := c.values.follow[uint32(h)]; !live || followed || own[c.model.nodes[h]] {
				continue
			}
			if ref, ok := view.Lookup(c.model.nodes[h]); ok && view.Class(ref) == ua.NodeClassVariable {
				items = append(items, item{uint32(h), c.model.nodes[h]})
			}
		}
	})
	c.arrived.expect(items)
	return c.values.watch(ctx, items)
}

// servedByMirror returns the nodes whose values a mirror has of its own: the server's
// status and diagnostics. They change continually, and the diagnostics name the plant's
// users, so they are not even read.
func servedByMirror(view addrspace.View) map[rawvalue.NodeID]bool {
	own := map[rawvalue.NodeID]bool{}
	queue := []rawvalue.NodeID{{Number: id.Server_ServerStatus}, {Number: id.Server_ServerDiagnostics}}
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		ref, ok := view.Lookup(node)
		if !ok || own[node] {
			continue
		}
		own[node] = true
		parts, _ := view.Browse(nil, ref, addrspace.Filter{Type: rawvalue.NodeID{Number: id.Aggregates},
			Subtypes: true}, 0, 0)
		for _, p := range parts {
			queue = append(queue, p.Target)
		}
	}
	return own
}
