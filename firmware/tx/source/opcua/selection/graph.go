// Package selection decides which nodes of an OPC UA server cross the link.
//
// It holds what a browse found as a graph of numbers, and runs the operator's include and
// exclude patterns over all browse paths at once. It is pure, and refuses to use anything
// but NodeIds, BrowseNames and references.
//
// # What crosses
//
//   - Nothing that an exclude pattern matches, on any of its paths.
//   - Nothing that only excluded nodes lead to.
//   - With include patterns, only what they match and the nodes on the way to it.
//     Types, and the Server object with what is below it, need no include pattern.
//   - Never the sessions of the plant's clients: they name its users.
//
// Package firmware/config/pattern describes the patterns.
package selection

import (
	"iter"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Index is the number of a node in a Graph.
type Index = uint32

// edge is a reference in numbers. The target of an external one is its place among
// the node's external targets, and not a node.
type edge struct {
	kind, target      Index
	inverse, external bool
}

// leads reports whether the edge leads down to a node by one of these types.
func (e edge) leads(kinds []bool) bool { return !e.inverse && !e.external && kinds[e.kind] }

// What nodes and references are counted with, in bytes: what they take in memory,
// with the maps that find them.
const (
	nodeBytes      = 160
	referenceBytes = 12
	externalBytes  = 80
)

// Graph is what a browse has found so far. It is for one goroutine. The zero
// value is empty.
type Graph struct {
	Limit int // bytes; what goes beyond is left out, and counted. 0: no limit
	size  int
	left  int

	ids      []rawvalue.NodeID
	index    map[rawvalue.NodeID]Index
	edges    [][]edge
	external map[Index][]string // ExpandedNodeIds of nodes of other servers, by the node that refers to them
	names    []rawvalue.QualifiedName
}

// Add returns the number of a node, a new one if it was not known.
func (g *Graph) Add(id rawvalue.NodeID) Index {
	if g.index == nil {
		g.index, g.external = map[rawvalue.NodeID]Index{}, map[Index][]string{}
	}
	i, ok := g.index[id]
	if !ok {
		i = Index(len(g.ids))
		g.size += nodeBytes + len(id.Text)
		g.ids, g.edges = append(g.ids, id), append(g.edges, nil)
		g.index[id] = i
	}
	return i
}

// Find returns the number of a node, if it is known.
func (g *Graph) Find(id rawvalue.NodeID) (Index, bool) {
	i, ok := g.index[id]
	return i, ok
}

// Len returns how many nodes are known; they have the numbers below it.
func (g *Graph) Len() int { return len(g.ids) }

// LeftOut returns how many references were left out for the limit.
func (g *Graph) LeftOut() int { return g.left }

// fits reports whether there is room for a reference and what it makes known.
func (g *Graph) fits(r addrspace.Reference) bool {
	size := referenceBytes
	if r.External != "" {
		size = externalBytes + len(r.External)
	} else if _, known := g.index[r.Target]; !known {
		size += nodeBytes + len(r.Target.Text)
	}
	if _, known := g.index[r.Type]; !known {
		size += nodeBytes + len(r.Type.Text)
	}
	return g.Limit == 0 || g.size+size <= g.Limit
}

// ID returns a node's NodeId.
func (g *Graph) ID(i Index) rawvalue.NodeID { return g.ids[i] }

// SetReferences sets what a node lists. Nodes that it names are added, their reference
// types included.
func (g *Graph) SetReferences(i Index, refs []addrspace.Reference) {
	var edges []edge
	if g.Limit == 0 || g.size+referenceBytes*len(refs) <= g.Limit {
		edges = make([]edge, 0, len(refs))
	}
	delete(g.external, i)
	for _, r := range refs {
		if !g.fits(r) {
			g.left++
			continue
		}
		e := edge{kind: g.Add(r.Type), inverse: r.Inverse, external: r.External != ""}
		if e.external {
			e.target = Index(len(g.external[i]))
			g.external[i] = append(g.external[i], r.External)
			g.size += externalBytes + len(r.External)
		} else {
			e.target = g.Add(r.Target)
			g.size += referenceBytes
		}
		edges = append(edges, e)
	}
	g.edges[i] = edges
}

// SetName sets a node's BrowseName, and keeps the bytes. It returns false where they are
// beyond the limit, by more than an ordinary address space has of them.
func (g *Graph) SetName(i Index, name rawvalue.QualifiedName) bool {
	if g.Limit > 0 && g.size+len(name.Name) > g.Limit+g.Limit/4 {
		return false
	}
	if n := int(i) + 1 - len(g.names); n > 0 {
		g.names = append(g.names, make([]rawvalue.QualifiedName, n)...)
	}
	g.size += len(name.Name)
	g.names[i] = name
	return true
}

func (g *Graph) name(i Index) (name rawvalue.QualifiedName) {
	if int(i) < len(g.names) {
		name = g.names[i]
	}
	return name
}

// DropNames forgets all BrowseNames, which Select alone needs.
func (g *Graph) DropNames() { g.names = nil }

// References yields what a node lists, in the server's order, without references to
// nodes that keep refuses.
func (g *Graph) References(i Index, keep []bool) iter.Seq[addrspace.Reference] {
	return func(yield func(addrspace.Reference) bool) {
		for _, e := range g.edges[i] {
			r := addrspace.Reference{Type: g.ids[e.kind], Inverse: e.inverse}
			switch {
			case e.external:
				r.External = g.external[i][e.target]
			case keep[e.target]:
				r.Target = g.ids[e.target]
			default:
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// sessions marks the nodes of the plant's clients' sessions and subscriptions, which
// servers put below their diagnostics beside what the standard has there.
func (g *Graph) sessions() []bool {
	hidden := make([]bool, len(g.ids))
	kinds := g.down()
	var roots []Index
	for _, list := range g.known([]rawvalue.NodeID{
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary},
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray},
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray},
		{Number: id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray},
	}) {
		for _, e := range g.edges[list] {
			if e.leads(kinds) && g.ids[e.target].Namespace != 0 {
				roots = append(roots, e.target)
			}
		}
	}
	g.flood(roots, g.subtypes(id.Aggregates), hidden, nil)
	return hidden
}

// down marks the reference types that browse paths follow: the hierarchical ones
// without those of events, over which the Server object leads to the whole plant.
func (g *Graph) down() []bool {
	down := g.subtypes(id.HierarchicalReferences)
	for i, events := range g.subtypes(id.HasEventSource) {
		down[i] = down[i] && !events
	}
	return down
}

// known returns the numbers of those nodes that were found.
func (g *Graph) known(ids []rawvalue.NodeID) (found []Index) {
	for _, id := range ids {
		if i, ok := g.index[id]; ok {
			found = append(found, i)
		}
	}
	return found
}

// flood marks from and all that references of these kinds lead to, around what is
// stopped.
func (g *Graph) flood(from []Index, kinds, marked, stopped []bool) {
	var queue []Index
	visit := func(i Index) {
		if !marked[i] && (stopped == nil || !stopped[i]) {
			marked[i] = true
			queue = append(queue, i)
		}
	}
	for _, i := range from {
		visit(i)
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, e := range g.edges[i] {
			if e.leads(kinds) {
				visit(e.target)
			}
		}
	}
}

// subtypes marks a reference type and those below it.
func (g *Graph) subtypes(root uint32) []bool {
	marked, subtype := make([]bool, len(g.ids)), make([]bool, len(g.ids))
	for _, i := range g.known([]rawvalue.NodeID{{Number: id.HasSubtype}}) {
		subtype[i] = true
	}
	g.flood(g.known([]rawvalue.NodeID{{Number: root}}), subtype, marked, nil)
	return marked
}
