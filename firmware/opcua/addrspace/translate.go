package addrspace

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Element is a RelativePathElement.
type Element struct {
	Type     NodeID // null: references of every type
	Inverse  bool
	Subtypes bool
	Name     rawvalue.QualifiedName // BrowseName of the target; the last one may be empty: any name
}

// maxEdges bounds the references examined for one path: about a tenth of a second.
const maxEdges = 500_000

// Translate follows a browse path (OPC 10000-4 §5.9.4) and returns its targets, each once.
// References to other servers, whose names are not known here, are not followed. More
// targets than most, at any step, are too many; a path that examines more references than
// maxEdges is too complex.
func (v View) Translate(start NodeID, path []Element, most int) ([]NodeID, ua.StatusCode) {
	targets, _, code := v.TranslateCounted(start, path, most)
	return targets, code
}

// TranslateCounted is Translate, and returns how many references it examined.
func (v View) TranslateCounted(start NodeID, path []Element, most int) (targets []NodeID, examined int,
	code ua.StatusCode) {
	node, ok := v.t.node(start)
	switch {
	case !ok:
		return nil, 0, ua.StatusBadNodeIDUnknown
	case len(path) == 0:
		return nil, 0, ua.StatusBadNothingToDo
	}
	for _, e := range path[:len(path)-1] {
		if len(e.Name.Name) == 0 {
			return nil, 0, ua.StatusBadBrowseNameInvalid
		}
	}
	at := []Ref{node}
	for _, e := range path {
		edges := 0
		for _, r := range at {
			edges += len(v.t.entries[r].edges)
		}
		if examined+edges > maxEdges {
			return nil, examined, ua.StatusBadQueryTooComplex
		}
		examined += edges
		at = v.step(at, e, most)
		switch n := len(at); {
		case n > most:
			return nil, examined, ua.StatusBadTooManyMatches
		case n == 0:
			return nil, examined, ua.StatusBadNoMatch
		}
	}
	targets = make([]NodeID, len(at))
	for i, r := range at {
		targets[i] = v.ID(r)
	}
	return targets, examined, ua.StatusGood
}

// step returns the targets of one element, at most one more than most.
func (v View) step(from []Ref, e Element, most int) []Ref {
	f := Filter{Type: e.Type, Subtypes: e.Subtypes}
	if e.Inverse {
		f.Direction = ua.BrowseDirectionInverse
	}
	m := v.t.matcher(f)
	seen := map[Ref]bool{}
	var to []Ref
	var name []byte
	for _, r := range from {
		for _, edge := range v.t.entries[r].edges {
			far := edge.target
			if !m.matches(edge) || !v.t.entries[far].exists || seen[far] {
				continue
			}
			if len(e.Name.Name) > 0 {
				var ok bool
				if name, ok = v.AppendAttribute(name[:0], far, ua.AttributeIDBrowseName); !ok ||
					!sameName(name, e.Name) {
					continue
				}
			}
			seen[far] = true
			if to = append(to, far); len(to) > most {
				return to
			}
		}
	}
	return to
}
