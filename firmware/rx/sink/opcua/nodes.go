package opcua

import (
	"bytes"

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

	historyName []byte // under which it is kept; nil: it is not

	metadataProperty bool // metadata by the node itself
	belowTypes       bool // metadata because it is below the Types folder
}

// isMetadata reports whether the value always keeps the source's quality.
func (v *variable) isMetadata() bool { return v.metadataProperty || v.belowTypes }

// variableAt returns the variable of a handle.
func (m *mirror) variableAt(handle uint32) *variable {
	if int(handle) >= len(m.nodes) {
		m.nodes = append(m.nodes, make([]variable, int(handle)+1-len(m.nodes))...)
	}
	return &m.nodes[handle]
}

// maxHandle bounds what is allocated for a handle.
const maxHandle = 16 << 20

// applyBlock replaces the nodes of a block, and reports the changes to clients.
func (m *mirror) applyBlock(number uint32, packed []byte) error {
	if number >= maxHandle/payload.BlockNodes {
		return payload.ErrMalformed
	}
	var changes []addrspace.Change
	var here, shows [payload.BlockNodes]bool
	first := number * payload.BlockNodes
	if len(packed) > 0 { // a deleted block has none
		err := m.packer.Unpack(packed, func(slot byte, n addrspace.Node) {
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
		})
		if err != nil {
			return err
		}
	}
	for slot, exists := range here {
		h := first + uint32(slot)
		if exists || int(h) >= len(m.nodes) || !m.nodes[h].exists {
			continue
		}
		v := &m.nodes[h]
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
	for slot, exists := range here {
		if v := m.variableAt(first + uint32(slot)); exists && shows[slot] {
			if !v.exists {
				m.keepValue(v) // it arrived before its node
			}
			v.exists = true
			if v.value == nil && v.absent == nil {
				m.server.Remove(v.node)
			}
			m.serve(v)
		}
	}
	if m.quality.wasComplete {
		m.server.StructureChanged(affected)
	}
	return nil
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
	v := m.variableAt(handle)
	if u.Delete {
		v.value = nil
		if v.exists && v.absent == nil {
			m.server.Remove(v.node)
		}
		return nil
	}
	raw, err := payload.ParseValue(make([]byte, 0, len(u.Payload)+16), u.Payload, u.Time)
	if err != nil {
		return err
	}
	changed := !bytes.Equal(v.value, raw)
	m.metadataChanged = m.metadataChanged || v.isMetadata() && changed
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
