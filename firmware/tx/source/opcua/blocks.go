package opcua

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/tx/source"
)

// largeAttribute is what an attribute may have, in bytes, where all of a block's
// together are more than the link carries.
const largeAttribute = 32 << 10

// logsPerTick is how many refusals are logged at a time; the others are logged later.
const logsPerTick = 20

// flush hands over the blocks that have changed: all of them, or while a browse goes on
// only full ones. A block that is refused crosses without its large attributes; one that
// is refused without them too stays dirty, is offered again after the next browse, and is
// reported.
func (s *Source) flush(m *model, all bool) {
	absent := s.arrived.absent()
	for _, number := range slices.Sorted(maps.Keys(m.dirty)) {
		if !all && int(number+1)*payload.BlockNodes > len(m.nodes) {
			continue
		}
		key := payload.Key{Kind: payload.Block, Generation: m.Generation, Number: number}.Append(nil)
		b := m.block(number, math.MaxInt, absent)
		err := s.port.Put(source.Update{Key: key, Payload: b, Delete: b == nil})
		if errors.Is(err, source.ErrTooLarge) {
			s.stats.RefusedBlocks.Add(1)
			s.log.Warn("block too large for the link; sent without its large attributes", "node",
				m.nodes[number*payload.BlockNodes], "bytes", len(b))
			err = s.port.Put(source.Update{Key: key, Payload: m.block(number, largeAttribute, absent)})
		}
		if err == nil {
			delete(m.dirty, number)
		} else if refused(err) {
			s.stats.RefusedBlocks.Add(1)
			s.log.Error("the link refused a block", "error", err, "node", m.nodes[number*payload.BlockNodes],
				"bytes", len(b))
		}
	}
	if all {
		s.reportRefusedBlocks(m)
	}
}

// reportRefusedBlocks reports the blocks that a flush of all has left.
func (s *Source) reportRefusedBlocks(m *model) {
	trouble := ""
	if n := len(m.dirty); n > 0 {
		first := slices.Min(slices.Collect(maps.Keys(m.dirty)))
		trouble = fmt.Sprintf("%d blocks of %d nodes, the first with %v; exclude some of them", n,
			payload.BlockNodes, m.nodes[first*payload.BlockNodes].UA())
	}
	s.setTrouble(refusedBlocks, trouble)
}

// absent returns the variables for which not even a status could be sent.
func (a *arrivals) absent() map[uint32]ua.StatusCode {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[uint32]ua.StatusCode{}
	for h, r := range a.refusals {
		if r.now && r.absent != 0 {
			all[h] = r.absent
		}
	}
	return all
}

// reportRefusedValues logs each variable with a value that the link has refused, once,
// and reports how many there are now. A variable for which not even a status could be
// sent makes its block cross again.
func (c *connection) reportRefusedValues() {
	c.arrived.mu.Lock()
	logs, now, moved := 0, 0, false
	example := ""
	for h, r := range c.arrived.refusals {
		if int(h) >= len(c.model.nodes) {
			continue
		}
		if r.now {
			now++
			if text := fmt.Sprintf("%v with %d bytes", c.model.nodes[h].UA(), r.bytes); example == "" ||
				text < example {
				example = text
			}
		}
		if r.absent != r.placed {
			r.placed, moved = r.absent, true
			c.model.dirty[h/payload.BlockNodes] = true
		}
		if !r.logged && logs < logsPerTick {
			logs++
			r.logged = true
			c.log.Warn("value too large for the link; the mirror shows a Bad status", "node",
				c.model.nodes[h].UA(), "bytes", r.bytes)
		}
	}
	c.arrived.mu.Unlock()
	if moved {
		c.flush(c.model, !c.fresh)
	}
	trouble := ""
	if now > 0 {
		trouble = fmt.Sprintf("%d, among them %s", now, example)
	}
	c.setTrouble(refusedValues, trouble)
}
