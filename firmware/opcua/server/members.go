package server

import (
	"encoding/binary"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// members are the nodes of a View (OPC 10000-3 §5.4). What a source puts into a View its
// address space does not say; all of it can be reached from the View node by hierarchical
// references, and that is what a mirror takes for it.
type members struct {
	view    rawvalue.NodeID
	version uint64 // of the address space
	nodes   map[rawvalue.NodeID]bool
}

// viewOf finds the View that a Browse is limited to; a null one is the whole address space,
// which has no versions. Of a View there is the current version alone: a timestamp cannot be
// resolved, and the two exclude each other (OPC 10000-4 §7.44).
func (s *Server) viewOf(d *ua.ViewDescription) (view rawvalue.NodeID, code ua.StatusCode) {
	if d == nil {
		return view, ua.StatusOK
	}
	view, err := rawvalue.FromUA(d.ViewID)
	if err != nil {
		return view, ua.StatusBadViewIDUnknown
	}
	if view == (rawvalue.NodeID{}) {
		return view, ua.StatusOK
	}
	s.cfg.Space.View(func(v addrspace.View) {
		ref, ok := v.Lookup(view)
		switch versioned, timed := d.ViewVersion != 0, !d.Timestamp.IsZero(); {
		case !ok || v.Class(ref) != ua.NodeClassView:
			code = ua.StatusBadViewIDUnknown
		case versioned && timed:
			code = ua.StatusBadViewParameterMismatch
		case timed:
			code = ua.StatusBadViewTimestampInvalid
		case versioned && d.ViewVersion != versionOf(s.property(v, view, "ViewVersion")):
			code = ua.StatusBadViewVersionInvalid
		}
	})
	return view, code
}

// versionOf reads a ViewVersion, 0 where there is none.
func versionOf(dataValue []byte) uint32 {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil || dv.Value.Type() != ua.TypeIDUint32 || dv.Value.IsArray() {
		return 0
	}
	return binary.LittleEndian.Uint32(dv.Value.Raw[1:])
}

// inView returns the nodes of a View, nil for the whole address space. Those of the View
// that was asked for last are kept until the address space changes, and by each request:
// clients that ask for different ones do not make each other look again.
func (q *query) inView(v addrspace.View, view rawvalue.NodeID) map[rawvalue.NodeID]bool {
	if view == (rawvalue.NodeID{}) {
		return nil
	}
	for _, m := range []*members{q.members, q.s.members.Load()} {
		if m != nil && m.view == view && m.version == v.Version() {
			q.members = m
			return m.nodes
		}
	}
	q.members = reachable(v, view)
	q.s.members.Store(q.members)
	return q.members.nodes
}

// reachable follows hierarchical references from a View.
func reachable(v addrspace.View, view rawvalue.NodeID) *members {
	m := &members{view: view, version: v.Version(), nodes: map[rawvalue.NodeID]bool{view: true}}
	down := addrspace.Filter{Type: rawvalue.NodeID{Number: id.HierarchicalReferences}, Subtypes: true}
	var found []addrspace.Found
	for next := []rawvalue.NodeID{view}; len(next) > 0; {
		ref, ok := v.Lookup(next[len(next)-1])
		next = next[:len(next)-1]
		if !ok {
			continue
		}
		found, _ = v.Browse(found[:0], ref, down, 0, 0)
		for i := range found {
			if n := found[i].Target; found[i].Exists && !m.nodes[n] {
				m.nodes[n] = true
				next = append(next, n)
			}
		}
	}
	return m
}
