package subscription

import (
	"sync"

	"heliograph/firmware/opcua/rawvalue"
)

// index maps nodes to their items. A list that items returned is never modified.
type index struct {
	sync.RWMutex
	m map[rawvalue.NodeID][]*item
}

func (x *index) items(id rawvalue.NodeID) []*item {
	x.RLock()
	defer x.RUnlock()
	return x.m[id]
}

func (x *index) add(it *item) {
	x.Lock()
	defer x.Unlock()
	if x.m == nil {
		x.m = map[rawvalue.NodeID][]*item{}
	}
	x.m[it.node] = append(x.m[it.node], it)
}

// removeDeleted removes the items of a node that are deleted.
func (x *index) removeDeleted(id rawvalue.NodeID) {
	x.Lock()
	defer x.Unlock()
	var rest []*item
	for _, it := range x.m[id] {
		if !it.deleted { // changes only under the engine's lock, which is held
			rest = append(rest, it)
		}
	}
	if len(rest) == 0 {
		delete(x.m, id)
	} else {
		x.m[id] = rest
	}
}
