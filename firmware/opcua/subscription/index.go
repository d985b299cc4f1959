package subscription

import (
	"sync"

	"heliograph/firmware/opcua/rawvalue"
)

// index finds the items of a node. What a reader of a list sees of it never changes.
type index struct {
	sync.RWMutex
	m map[rawvalue.NodeID][]*item
}

func (x *index) of(id rawvalue.NodeID) []*item {
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

// sweep takes the items of a node that are gone out.
func (x *index) sweep(id rawvalue.NodeID) {
	x.Lock()
	defer x.Unlock()
	var rest []*item
	for _, it := range x.m[id] {
		if !it.gone { // only changes under the engine's lock, which is held
			rest = append(rest, it)
		}
	}
	if len(rest) == 0 {
		delete(x.m, id)
	} else {
		x.m[id] = rest
	}
}
