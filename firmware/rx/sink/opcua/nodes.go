package opcua

import (
	"bytes"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// variable is the node of a handle.
type variable struct {
	node      rawvalue.NodeID
	exists    bool   // its block arrived
	value     []byte // the source's DataValue; nil: none yet
	uncertain bool   // it is served with a worse quality than the source's, unless it is metadata

	// absent is a bad status that is served instead of a value: the link carries neither the
	// value nor a status for it. nil: none.
	absent []byte

	early []earlyValue // before value, while its block has not come
	came  time.Time    // when value did; zero without a history

	historyName []byte // under which it is kept; nil: it is not

	metadataProperty bool // metadata by the node itself
	belowTypes       bool // metadata because it is below the Types folder
}

// isMetadata reports whether the value always keeps the source's quality.
func (v *variable) isMetadata() bool { return v.metadataProperty || v.belowTypes }

// variableAt returns the variable of a handle, a new one if a block or a value names it first.
func (m *mirror) variableAt(handle uint32) *variable {
	v := m.nodes[handle]
	if v == nil {
		v = &variable{}
		m.nodes[handle] = v
	}
	return v
}

// maxHandle bounds the handles, as many as a source has nodes at most.
const maxHandle = 16 << 20

// slotNode is a node of a block.
type slotNode struct {
	slot byte
	node addrspace.Node
}

// unpackBlock returns the nodes of a block. A deleted one has none.
func (m *mirror) unpackBlock(packed []byte) (nodes []slotNode, err error) {
	if len(packed) > 0 {
		err = m.packer.Unpack(packed, func(slot byte, n addrspace.Node) { nodes = append(nodes, slotNode{slot, n}) })
	}
	return nodes, err
}

// applyBlock replaces the nodes of a block, and reports the changes to clients.
func (m *mirror) applyBlock(number uint32, packed []byte) error {
	if number >= maxHandle/payload.BlockNodes {
		return payload.ErrMalformed
	}
	nodes, err := m.unpackBlock(packed)
	if err != nil {
		return err
	}
	var changes []addrspace.Change
	var here, shows [payload.BlockNodes]bool
	first := number * payload.BlockNodes
	for i := range nodes {
		slot, n := nodes[i].slot, nodes[i].node
		here[slot] = true
		name := m.historyName(&n)
		readOnly(&n, name != nil, m.history != nil)
		absent := removeValue(&n)
		changes = append(changes, addrspace.Change{Kind: addrspace.Put, Node: n})
		v := m.variableAt(first + uint32(slot))
		unnamed := v.exists && v.historyName == nil
		v.node, v.metadataProperty, v.historyName = n.ID, isMetadata(&n), name
		shows[slot] = !v.exists || absent != nil || v.absent != nil
		v.absent = absent
		if unnamed {
			m.keepValue(v) // it arrived before its namespace
		}
	}
	for slot, exists := range here {
		v := m.nodes[first+uint32(slot)]
		if exists || v == nil || !v.exists {
			continue
		}
		v.exists = false
		m.server.Remove(v.node)
		changes = append(changes, addrspace.Change{Kind: addrspace.Remove, Node: addrspace.Node{ID: v.node}})
	}
	affected, err := m.server.Space().Apply(changes)
	if err != nil {
		return err
	}
	m.structureChanged = m.structureChanged || len(affected) > 0
	m.typesOutdated = m.typesOutdated || len(affected) > 0
	for slot, show := range shows {
		if show {
			m.show(m.nodes[first+uint32(slot)])
		}
	}
	if m.quality.wasComplete {
		m.server.StructureChanged(affected)
	}
	return nil
}

// show has a variable served whose node is there.
func (m *mirror) show(v *variable) {
	if !v.exists {
		m.keepEarly(v)
		m.keepValue(v) // it arrived before its node
	}
	v.exists = true
	if v.value == nil && v.absent == nil {
		m.server.Remove(v.node)
	}
	m.serve(v)
}

// historyName returns the name under which the values of a node are kept, nil if they are not.
func (m *mirror) historyName(n *addrspace.Node) []byte {
	if m.history == nil || !isKept(n) {
		return nil
	}
	return m.history.name(n.ID)
}

// applyValue sets the newest value of a variable.
func (m *mirror) applyValue(handle uint32, u *sink.Update) error {
	if handle >= maxHandle {
		return payload.ErrMalformed
	}
	if u.Delete {
		m.deleteValue(handle)
		return nil
	}
	raw, err := payload.ParseValue(make([]byte, 0, len(u.Payload)+16), u.Payload, u.Time)
	if err != nil {
		return err
	}
	v := m.variableAt(handle)
	changed := !bytes.Equal(v.value, raw)
	m.metadataChanged = m.metadataChanged || v.isMetadata() && changed
	if changed && m.history != nil {
		m.replaceEarly(v)
		v.came = m.history.now()
	}
	// A value that is read again may be as old as before.
	v.value, v.uncertain = raw, m.quality.overlay != ua.StatusOK || v.uncertain && !changed
	if changed && v.exists {
		m.keepValue(v)
	}
	if v.exists && v.node == (rawvalue.NodeID{Number: id.Server_ServiceLevel}) {
		m.quality.sourceLevel = serviceLevel(raw)
	}
	m.serve(v)
	return nil
}

// deleteValue removes the value of a variable, and the variable if no block has named it.
func (m *mirror) deleteValue(handle uint32) {
	v := m.nodes[handle]
	if v == nil {
		return
	}
	if v.node == (rawvalue.NodeID{}) {
		m.dropEarly(v)
		delete(m.nodes, handle)
		return
	}
	v.value = nil
	if v.exists && v.absent == nil {
		m.server.Remove(v.node)
	}
}

// keepValue adds a variable's value to the history, as the source gave it.
func (m *mirror) keepValue(v *variable) {
	if m.history != nil && v.value != nil {
		_ = m.history.addValue(v.historyName, v.value, m.history.now()) // clients have it, and the store counts it
	}
}

// serve sets a variable's value at the server with its current quality.
func (m *mirror) serve(v *variable) {
	value := v.value
	if v.absent != nil {
		value = v.absent
	}
	if !v.exists || value == nil {
		return
	}
	if !v.uncertain || v.isMetadata() {
		m.server.Set(v.node, value)
		return
	}
	dv, err := rawvalue.SkimDataValue(value, rawvalue.Limits{})
	if err != nil {
		return // unreachable: applyValue has checked it
	}
	m.server.Set(v.node,
		dv.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnSource, Overlay: m.quality.status()}))
}

// serviceLevel reads a ServiceLevel.
func serviceLevel(raw []byte) byte {
	if v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && v.Value.Type() == ua.TypeIDByte &&
		!v.Value.IsArray() {
		return v.Value.Raw[1]
	}
	return 255
}
