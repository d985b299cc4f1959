package server

import (
	"encoding/binary"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// viewMembers are the nodes of a View (OPC 10000-3 §5.4). The address space does not say which
// nodes a source includes in a View; all of them can be reached from the View node by
// hierarchical references, and those are the members here.
type viewMembers struct {
	view    rawvalue.NodeID
	version uint64 // of the address space
	nodes   map[rawvalue.NodeID]bool
}

// resolveView finds the View that a Browse is limited to; a null one is the whole address space,
// which has no versions. Of a View there is the current version alone: a timestamp cannot be
// resolved, and the two exclude each other (OPC 10000-4 §7.44).
func (s *Server) resolveView(d *ua.ViewDescription) (view rawvalue.NodeID, code ua.StatusCode) {
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
		case versioned && d.ViewVersion != versionOf(s.propertyValue(v, view, "ViewVersion")):
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

// nodesInView returns the nodes of a View, nil for the whole address space. Those of the View
// that was browsed last are cached until the address space changes, and in each request, so
// that clients with different Views do not evict each other within a request.
func (q *query) nodesInView(v addrspace.View, view rawvalue.NodeID) map[rawvalue.NodeID]bool {
	if view == (rawvalue.NodeID{}) {
		return nil
	}
	for _, m := range []*viewMembers{q.viewMembers, q.server.viewMembers.Load()} {
		if m != nil && m.view == view && m.version == v.Version() {
			q.viewMembers = m
			return m.nodes
		}
	}
	q.viewMembers = reachable(v, view)
	q.server.viewMembers.Store(q.viewMembers)
	return q.viewMembers.nodes
}

// reachable follows hierarchical references from a View.
func reachable(v addrspace.View, view rawvalue.NodeID) *viewMembers {
	m := &viewMembers{view: view, version: v.Version(), nodes: map[rawvalue.NodeID]bool{view: true}}
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
