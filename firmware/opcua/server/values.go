package server

import (
	"hash/maphash"
	"sync"

	"heliograph/firmware/opcua/rawvalue"
)

const shards = 64

// values holds the newest DataValue of each variable, shared by all clients.
type values struct {
	seed  maphash.Seed
	shard [shards]struct {
		sync.RWMutex
		m map[rawvalue.NodeID][]byte
	}
}

func newValues() *values {
	v := &values{seed: maphash.MakeSeed()}
	for i := range v.shard {
		v.shard[i].m = map[rawvalue.NodeID][]byte{}
	}
	return v
}

func (v *values) of(id rawvalue.NodeID) int { return int(maphash.Comparable(v.seed, id) % shards) }

func (v *values) set(id rawvalue.NodeID, dataValue []byte) {
	s := &v.shard[v.of(id)]
	s.Lock()
	s.m[id] = dataValue
	s.Unlock()
}

func (v *values) remove(id rawvalue.NodeID) {
	s := &v.shard[v.of(id)]
	s.Lock()
	delete(s.m, id)
	s.Unlock()
}

func (v *values) get(id rawvalue.NodeID) ([]byte, bool) {
	s := &v.shard[v.of(id)]
	s.RLock()
	raw, ok := s.m[id]
	s.RUnlock()
	return raw, ok
}
