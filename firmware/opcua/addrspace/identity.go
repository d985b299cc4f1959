package addrspace

import (
	"hash/maphash"

	"heliograph/firmware/opcua/rawvalue"
)

// NodeID identifies a node.
type NodeID = rawvalue.NodeID

// Ref is the number of a node within one View.
type Ref uint32

// external is the kind of an entry for a node of another server: its text is the bytes of
// the ExpandedNodeId.
const external rawvalue.Kind = 255

// entry is a NodeId in use: of a node, or of the target or type of a reference.
type entry struct {
	text   string // of the NodeId
	attrs  string // packed
	edges  []edge
	number uint32 // of the NodeId
	uses   uint32 // edges that use this entry
	ns     uint16
	kind   rawvalue.Kind
	class  uint8 // NodeClass: a bit of 1…128
	exists bool  // as a node
}

func (e *entry) id() NodeID {
	return NodeID{Text: e.text, Number: e.number, Namespace: e.ns, Kind: e.kind}
}

// identities numbers NodeIds.
type identities struct {
	entries []entry
	free    []Ref
	index   index
	seed    maphash.Seed
}

func (s *identities) hashID(id NodeID) uint64 {
	h := uint64(id.Number)<<24 ^ uint64(id.Namespace)<<8 ^ uint64(id.Kind)
	if id.Text != "" {
		h ^= maphash.String(s.seed, id.Text)
	}
	return maphash.Comparable(s.seed, h)
}

func (s *identities) hash(n uint32) uint64 { return s.hashID(s.entries[n].id()) }

func (s *identities) find(id NodeID) (Ref, bool) {
	n, ok := s.index.find(s.hashID(id), func(n uint32) bool {
		e := &s.entries[n]
		return e.number == id.Number && e.ns == id.Namespace && e.kind == id.Kind && e.text == id.Text
	})
	return Ref(n), ok
}

// intern returns the number of a NodeId, and assigns one if it has none. A caller that does
// not use it must release it.
func (s *identities) intern(id NodeID) Ref {
	if r, ok := s.find(id); ok {
		return r
	}
	e := entry{text: id.Text, number: id.Number, ns: id.Namespace, kind: id.Kind}
	var r Ref
	if n := len(s.free); n > 0 {
		r, s.free = s.free[n-1], s.free[:n-1]
		s.entries[r] = e
	} else {
		r = Ref(len(s.entries))
		s.entries = append(s.entries, e)
	}
	s.index.insert(uint32(r), s.hash)
	return r
}

// release removes a NodeId that is neither a node nor used by a reference.
func (s *identities) release(r Ref) {
	if e := &s.entries[r]; !e.exists && e.uses == 0 {
		s.index.remove(uint32(r), s.hash)
		s.entries[r] = entry{}
		s.free = append(s.free, r)
	}
}

func (s *identities) unuse(r Ref) {
	s.entries[r].uses--
	s.release(r)
}
