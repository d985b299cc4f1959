package opcua

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// model is the address space as it has crossed: one generation of it, with a
// number for each node that no other node of the generation has had. It is for
// one goroutine.
type model struct {
	payload.SpaceHeader
	space   *addrspace.Space
	handles map[rawvalue.NodeID]uint32
	nodes   []rawvalue.NodeID // by handle
	live    []bool            // by handle
	sizes   []uint32          // by handle: what a node takes, in bytes
	size    int               // of all
	maxSize int               // that size may be
	leftOut int               // nodes that were left out of it since a crawl began
	dirty   map[uint32]bool   // blocks that have changed since they crossed
	packer  payload.Packer
	saved   [sha256.Size]byte
	browsed bool // a crawl of this generation has ended: the model is not a part of one
}

// newModel returns an empty model of a new generation.
func newModel(namespaces []string, maxSize int) *model {
	var number [4]byte
	_, _ = rand.Read(number[:]) // never fails
	return &model{
		SpaceHeader: payload.SpaceHeader{
			Generation: binary.BigEndian.Uint32(number[:]), Namespaces: namespaces,
		},
		space:   addrspace.New(),
		maxSize: maxSize,
		handles: map[rawvalue.NodeID]uint32{},
		dirty:   map[uint32]bool{},
	}
}

// fits reports whether the model's NodeIds have the same meaning at a server with this
// namespace table: namespaces may have been appended, nothing else.
func (m *model) fits(namespaces []string) bool {
	n := len(m.Namespaces)
	return n <= len(namespaces) && slices.Equal(m.Namespaces, namespaces[:n])
}

// handle returns a node's number, a new one if it has none.
func (m *model) handle(id rawvalue.NodeID) uint32 {
	h, ok := m.handles[id]
	if !ok {
		h = uint32(len(m.nodes))
		m.handles[id] = h
		m.nodes, m.live, m.sizes = append(m.nodes, id), append(m.live, false), append(m.sizes, 0)
		m.size += handleBytes + len(id.Text)
	}
	return h
}

// What a node takes in the model besides its attributes and references, in bytes.
const (
	handleBytes = 130 // its number, which stays when the node is gone
	entryBytes  = 80
)

// nodeBytes is what a node takes in the model.
func nodeBytes(n *addrspace.Node) (size int) {
	size = entryBytes + 8*len(n.References)
	for _, a := range n.Attributes {
		if large(a) {
			size += len(a.Value)
		} else {
			size += 3
		}
	}
	return size
}

// admits reports whether the model has room for a node as it is now, and counts it.
func (m *model) admits(n *addrspace.Node) bool {
	size, was := nodeBytes(n), 0
	if h, known := m.handles[n.ID]; known {
		was = int(m.sizes[h])
	} else {
		was = -handleBytes - len(n.ID.Text)
	}
	if size > was && m.size+size-was > m.maxSize {
		m.leftOut++
		return false
	}
	h := m.handle(n.ID)
	m.size += size - int(m.sizes[h])
	m.sizes[h] = uint32(size)
	return true
}

// exhausted reports whether nodes are left out although most of what the model holds is
// gone.
func (m *model) exhausted() bool {
	live := 0
	for _, l := range m.live {
		if l {
			live++
		}
	}
	return m.leftOut > 0 && live < len(m.live)/2
}

// below returns the nodes that hierarchical references lead to from some nodes.
func (m *model) below(from []rawvalue.NodeID) map[rawvalue.NodeID]bool {
	found := map[rawvalue.NodeID]bool{}
	m.space.View(func(v addrspace.View) {
		for len(from) > 0 {
			node := from[len(from)-1]
			from = from[:len(from)-1]
			ref, ok := v.Lookup(node)
			if !ok {
				continue
			}
			children,
				_ := v.Browse(nil, ref,
				addrspace.Filter{Type: rawvalue.NodeID{Number: id.HierarchicalReferences},
					Subtypes: true}, 0, 0)
			for _, c := range children {
				if !found[c.Target] {
					found[c.Target] = true
					from = append(from, c.Target)
				}
			}
		}
	})
	return found
}

// put makes the nodes exactly these, and records which blocks that changes.
func (m *model) put(nodes []addrspace.Node) error {
	nodes = slices.DeleteFunc(nodes, func(n addrspace.Node) bool { return !m.admits(&n) })
	changes := make([]addrspace.Change, len(nodes))
	for i, n := range nodes {
		changes[i] = addrspace.Change{Kind: addrspace.Put, Node: n}
	}
	affected, err := m.space.Apply(changes)
	if err != nil {
		return err
	}
	for _, a := range affected {
		m.dirty[m.handle(a.Node)/payload.BlockNodes] = true
	}
	for _, n := range nodes {
		m.live[m.handle(n.ID)] = true
	}
	return nil
}

// remove removes the nodes for which keep returns false, and returns their handles.
func (m *model) remove(keep func(rawvalue.NodeID) bool) (gone []uint32) {
	var changes []addrspace.Change
	for h, live := range m.live {
		if live && !keep(m.nodes[h]) {
			m.live[h] = false
			m.size -= int(m.sizes[h])
			m.sizes[h] = 0
			gone = append(gone, uint32(h))
			m.dirty[uint32(h)/payload.BlockNodes] = true
			changes = append(changes, addrspace.Change{Kind: addrspace.Remove,
				Node: addrspace.Node{ID: m.nodes[h]}})
		}
	}
	_, _ = m.space.Apply(changes) // a removal cannot fail
	return gone
}

// node returns a node as it was put.
func (m *model) node(v addrspace.View, id rawvalue.NodeID) (n addrspace.Node, ok bool) {
	ref, ok := v.Lookup(id)
	if !ok {
		return n, false
	}
	n.ID = id
	for _, a := range v.AttributeIDs(nil, ref) {
		value, _ := v.AppendAttribute(nil, ref, a)
		n.Attributes = append(n.Attributes, addrspace.Attribute{ID: a, Value: value})
	}
	found, _ := v.Browse(nil, ref, addrspace.Filter{Direction: ua.BrowseDirectionBoth}, 0, 0)
	for _, f := range found {
		n.References = append(n.References, f.Reference)
	}
	return n, true
}

// maxPlain is half of what a block may have unpacked, in bytes of its attributes.
const maxPlain = 32 << 20

// block packs the nodes of a block; nil if it has none. Attributes of more than most
// bytes are replaced by a status; absent are variables whose value cannot cross at all,
// and why.
func (m *model) block(number uint32, most int, absent map[uint32]ua.StatusCode) []byte {
	var slots []byte
	var nodes []addrspace.Node
	plain := 0
	m.space.View(func(v addrspace.View) {
		for slot := range uint32(payload.BlockNodes) {
			h := number*payload.BlockNodes + slot
			if int(h) >= len(m.nodes) || !m.live[h] {
				continue
			}
			n, ok := m.node(v, m.nodes[h])
			if !ok {
				continue
			}
			for i, a := range n.Attributes {
				if plain += len(a.Value); len(a.Value) > most || plain > maxPlain {
					plain -= len(a.Value)
					n.Attributes[i].Value = rawvalue.AppendStatus(nil,
						ua.StatusBadEncodingLimitsExceeded, rawvalue.Answer{})
				}
			}
			if code := absent[h]; code != 0 {
				n.Attributes = append(n.Attributes,
					addrspace.Attribute{ID: ua.AttributeIDValue,
						Value: rawvalue.AppendStatus(nil, code, rawvalue.Answer{})})
				slices.SortFunc(n.Attributes,
					func(a, b addrspace.Attribute) int { return int(a.ID) - int(b.ID) })
			}
			slots, nodes = append(slots, byte(slot)), append(nodes, n)
		}
	})
	if len(nodes) == 0 {
		return nil
	}
	return m.packer.Pack(slots, nodes)
}

// announce makes this generation the one in force.
func (m *model) announce(port source.Port) error {
	return port.Put(source.Update{Key: payload.Key{Kind: payload.Space}.Append(nil),
		Payload: m.SpaceHeader.Append(nil)})
}

// forget deletes what the channel still has of other generations.
func (m *model) forget(port source.Port) {
	var old [][]byte
	port.Range(func(key, _ []byte) bool {
		if k, err := payload.ParseKey(key); err != nil || k.Kind != payload.Space &&
			k.Generation != m.Generation {
			old = append(old, slices.Clone(key))
		}
		return true
	})
	for _, key := range old {
		// a deletion is refused only after the link was closed
		_ = port.Put(source.Update{Key: key, Delete: true})
	}
}
