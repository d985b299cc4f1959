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

// logsPerTick is how many refusals are logged at a time; the others follow.
const logsPerTick = 20

// flush hands the changed blocks over. Blocks that are not full yet, because a
// browse goes on, may wait. A block that is refused crosses without its large
// attributes; one that is refused all the same stays dirty, is offered again after
// the next browse, and is told to the operator.
func (s *Source) flush(m *model, whole bool) {
	absent := s.arrived.absent()
	for _, number := range slices.Sorted(maps.Keys(m.dirty)) {
		if !whole && int(number+1)*payload.BlockNodes > len(m.nodes) {
			continue
		}
		key := payload.Key{Kind: payload.Block, Generation: m.Generation, Number: number}.Append(nil)
		b := m.block(number, math.MaxInt, absent)
		err := s.port.Put(source.Update{Key: key, Payload: b, Delete: b == nil})
		if errors.Is(err, source.ErrTooLarge) {
			s.stats.RefusedBlocks.Add(1)
			s.log.Warn("nodes cross without their large attributes", "node", m.nodes[number*payload.BlockNodes], "bytes", len(b))
			err = s.port.Put(source.Update{Key: key, Payload: m.block(number, largeAttribute, absent)})
		}
		if err == nil {
			delete(m.dirty, number)
		} else if refused(err) {
			s.stats.RefusedBlocks.Add(1)
			s.log.Error("nodes do not cross", "node", m.nodes[number*payload.BlockNodes], "bytes", len(b), "error", err)
		}
	}
	s.tellBlocks(m, whole)
}

// tellBlocks tells the operator of the blocks that a whole flush has left.
func (s *Source) tellBlocks(m *model, whole bool) {
	if !whole {
		return
	}
	trouble := ""
	if n := len(m.dirty); n > 0 {
		first := slices.Min(slices.Collect(maps.Keys(m.dirty)))
		trouble = fmt.Sprintf("%d blocks of %d nodes, the first with %v; exclude some of them", n, payload.BlockNodes, m.nodes[first*payload.BlockNodes].UA())
	}
	s.tell(refusedBlocks, trouble)
}

// absent returns the variables in whose place no status could be sent.
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

// tellRefusals logs each variable with a value that the link has refused, once, and
// tells how many there are now. A variable in whose place nothing could be sent
// makes its block cross again.
func (v *visit) tellRefusals() {
	v.arrived.mu.Lock()
	logs, now, moved := 0, 0, false
	example := ""
	for h, r := range v.arrived.refusals {
		if int(h) >= len(v.model.nodes) {
			continue
		}
		if r.now {
			now++
			if text := fmt.Sprintf("%v with %d bytes", v.model.nodes[h].UA(), r.bytes); example == "" || text < example {
				example = text
			}
		}
		if r.absent != r.placed {
			r.placed, moved = r.absent, true
			v.model.dirty[h/payload.BlockNodes] = true
		}
		if !r.logged && logs < logsPerTick {
			logs++
			r.logged = true
			v.log.Warn("the link does not carry a value; the mirror shows a Bad status", "node", v.model.nodes[h].UA(), "bytes", r.bytes)
		}
	}
	v.arrived.mu.Unlock()
	if moved {
		v.flush(v.model, !v.fresh)
	}
	trouble := ""
	if now > 0 {
		trouble = fmt.Sprintf("%d, among them %s", now, example)
	}
	v.tell(refusedValues, trouble)
}
