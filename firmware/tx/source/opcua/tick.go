package opcua

import (
	"context"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// tick reads what is not subscribed to, and what a subscription still owes.
func (v *visit) tick(ctx context.Context) error {
	if n := len(v.values.polled); n > 0 {
		v.next %= n
		end := min(v.next+maxPerRound, n)
		if err := v.values.read(ctx, v.values.polled[v.next:end], changed); err != nil {
			return err
		}
		v.next = end
	}
	if err := v.values.reread(ctx); err != nil {
		return err
	}
	if v.crawl == nil || !v.fresh { // the first picture comes first
		if err := v.values.confirm(ctx); err != nil {
			return err
		}
	}
	if v.crawl == nil && !v.settling {
		anew, err := v.values.checkItems(ctx)
		if err == nil && anew {
			err = v.watchAll(ctx)
		}
		if err != nil {
			return err
		}
	}
	missing, since := v.arrived.missing(maxPerRound)
	if len(missing) > 0 && since > missingFor {
		items := make([]item, 0, len(missing))
		for _, h := range missing {
			items = append(items, item{h, v.model.nodes[h]})
		}
		if err := v.values.read(ctx, items, every); err != nil {
			return err
		}
	}
	v.tellRefusals()
	if v.settling {
		if len(missing) == 0 {
			v.settling = false
			v.report(source.Up, "")
		}
		return nil
	}
	v.setWhole(len(missing) == 0 && !v.fresh)
	return nil
}

func (v *visit) setWhole(whole bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.whole != whole {
		v.whole = whole
		v.port.SetComplete(whole)
	}
}

// watchAll follows the variables of the model that are not followed yet.
func (v *visit) watchAll(ctx context.Context) error {
	var items []item
	v.model.space.View(func(view addrspace.View) {
		own := answeredBySelf(view)
		for h, live := range v.model.live {
			if _, followed := v.values.follow[uint32(h)]; !live || followed || own[v.model.nodes[h]] {
				continue
			}
			if ref, ok := view.Lookup(v.model.nodes[h]); ok && view.Class(ref) == ua.NodeClassVariable {
				items = append(items, item{uint32(h), v.model.nodes[h]})
			}
		}
	})
	v.arrived.expect(items)
	return v.values.watch(ctx, items)
}

// answeredBySelf returns the variables that a mirror answers for itself: the
// server's status and diagnostics. They change all the time, and the diagnostics
// name the plant's users, so they are not even read.
func answeredBySelf(view addrspace.View) map[rawvalue.NodeID]bool {
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
		parts, _ := view.Browse(nil, ref, addrspace.Filter{Type: rawvalue.NodeID{Number: id.Aggregates}, Subtypes: true}, 0, 0)
		for _, p := range parts {
			queue = append(queue, p.Target)
		}
	}
	return own
}
