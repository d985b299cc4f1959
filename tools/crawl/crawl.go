// Package crawl reads all of an OPC UA server, and lists where a mirror differs
// from its source.
//
// It reads every attribute and every reference of every node that can be reached from
// the Root folder over any reference. It refuses to judge: a difference is a
// difference, but for the list in mirror.go, which names each thing that only the
// serving process can answer.
package crawl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/text"
)

// maxShown bounds a value in a difference, in bytes.
const maxShown = 200

// Snapshot is what a server served.
type Snapshot struct {
	Nodes map[rawvalue.NodeID]*Node
}

// Node is what a server showed of a node.
type Node struct {
	Attributes map[ua.AttributeID]string // status, source timestamp and value, see compared
	References []addrspace.Reference     // sorted
	Status     ua.StatusCode             // of browsing it
}

const batch = 1000

// Follow browses and reads all of a server, and reports, after each thousand nodes, how many were
// read and how many are known; the second number grows until the whole address space was browsed.
func Follow(ctx context.Context, s *client.Session, progress func(read, known int)) (*Snapshot, error) {
	p := &Snapshot{Nodes: map[rawvalue.NodeID]*Node{}}
	queue := []rawvalue.NodeID{{Number: id.RootFolder}}
	p.Nodes[queue[0]] = &Node{}
	for len(queue) > 0 {
		now := queue[:min(batch, len(queue))]
		queue = queue[len(now):]
		err := s.Browse(ctx, now, func(i int, status ua.StatusCode, refs []addrspace.Reference) {
			n := p.Nodes[now[i]]
			n.Status, n.References = status, refs
			for _, r := range refs {
				for _, far := range []rawvalue.NodeID{r.Target, r.Type} {
					if far != (rawvalue.NodeID{}) && p.Nodes[far] == nil {
						p.Nodes[far] = &Node{}
						queue = append(queue, far)
					}
				}
			}
			slices.SortFunc(n.References, func(a, b addrspace.Reference) int {
				return strings.Compare(describe(a), describe(b))
			})
		})
		if err != nil {
			return nil, err
		}
		if err := p.attributes(ctx, s, now); err != nil {
			return nil, err
		}
		progress(len(p.Nodes)-len(queue), len(p.Nodes))
	}
	return p, nil
}

func describe(r addrspace.Reference) string {
	arrow := "→"
	if r.Inverse {
		arrow = "←"
	}
	if r.External != "" {
		return fmt.Sprintf("%v %s %x", r.Type, arrow, r.External)
	}
	return fmt.Sprintf("%v %s %v", r.Type, arrow, r.Target)
}

func (p *Snapshot) attributes(ctx context.Context, s *client.Session, nodes []rawvalue.NodeID) error {
	var items []client.ReadItem
	for _, n := range nodes {
		p.Nodes[n].Attributes = map[ua.AttributeID]string{}
		for a := ua.AttributeIDNodeID; a <= ua.AttributeIDAccessLevelEx; a++ {
			items = append(items, client.ReadItem{Node: n, Attribute: a})
		}
	}
	return s.Read(ctx, items, 0, func(i int, dv rawvalue.DataValue) {
		if dv.Status != ua.StatusBadAttributeIDInvalid {
			p.Nodes[items[i].Node].Attributes[items[i].Attribute] = compared(dv)
		}
	})
}

// compared is all of a DataValue that is compared: server timestamps are the server's own.
// A NodeId is compared decoded, because stacks differ in which of its encodings
// (OPC 10000-6 §5.2.2.9) they choose.
func compared(dv rawvalue.DataValue) string {
	value := fmt.Sprintf("%x", dv.Value.Raw)
	if raw := dv.Value.Raw; len(raw) > 1 && raw[0] == byte(ua.TypeIDNodeID) {
		if n, err := rawvalue.ParseNodeID(raw[1:]); err == nil {
			value = n.String()
		}
	}
	return fmt.Sprintf("%v @%d.%d %s", dv.Status, dv.SourceTime, dv.SourcePico, value)
}

// Difference is something that two servers show differently.
type Difference struct {
	Node rawvalue.NodeID
	What string
}

func (d Difference) String() string { return fmt.Sprintf("%v: %s", d.Node, d.What) }

// Compare lists what a mirror shows differently from its source, but for what is the
// mirror's own. What moved between two crawls of the source (before, after) is not
// compared.
func Compare(before, after, mirror *Snapshot) (list []Difference) {
	hidden := before.sessions()
	for node := range after.sessions() {
		hidden[node] = true
	}
	for node, n := range before.Nodes {
		again, other := after.Nodes[node], mirror.Nodes[node]
		switch {
		case hidden[node] || missing(n) || again == nil || missing(again):
		case other == nil || missing(other):
			list = append(list, Difference{node, "is missing at the mirror"})
		default:
			list = append(list, compareNode(node, n, again, other, hidden)...)
		}
	}
	for node, n := range mirror.Nodes {
		if before.Nodes[node] == nil && after.Nodes[node] == nil && !missing(n) {
			list = append(list, Difference{node, "is at the mirror alone"})
		}
	}
	slices.SortFunc(list, func(a, b Difference) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// sessions returns the nodes of the source's clients' sessions, which never cross:
// they name its users.
func (p *Snapshot) sessions() map[rawvalue.NodeID]bool {
	hidden := map[rawvalue.NodeID]bool{}
	queue := []rawvalue.NodeID{
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary},
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray},
		{Number: id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray},
		{Number: id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray},
	}
	for len(queue) > 0 {
		n := p.Nodes[queue[0]]
		queue = queue[1:]
		if n == nil {
			continue
		}
		for _, r := range n.References {
			part := r.Type.Namespace == 0 && (r.Type.Number == id.HasComponent || r.Type.Number == id.HasProperty)
			if !r.Inverse && part && r.Target.Namespace != 0 && !hidden[r.Target] {
				hidden[r.Target] = true
				queue = append(queue, r.Target)
			}
		}
	}
	return hidden
}

// missing reports that a node is only referred to, and does not exist.
func missing(n *Node) bool {
	return strings.HasPrefix(n.Attributes[ua.AttributeIDNodeClass], ua.StatusBadNodeIDUnknown.Error())
}

func compareNode(node rawvalue.NodeID, before, after, mirror *Node,
	hidden map[rawvalue.NodeID]bool) (list []Difference) {
	for a := ua.AttributeIDNodeID; a <= ua.AttributeIDAccessLevelEx; a++ {
		x, y, z := before.Attributes[a], after.Attributes[a], mirror.Attributes[a]
		if x != y || allowed(node, a, x, z) {
			continue
		}
		list = append(list, Difference{node, fmt.Sprintf("%v: source %s, mirror %s", a,
			text.Shorten(x, maxShown), text.Shorten(z, maxShown))})
	}
	for _, r := range before.References {
		if slices.Contains(after.References, r) && !slices.Contains(mirror.References, r) && !hidden[r.Target] {
			list = append(list, Difference{node, "reference " + describe(r) + " is missing at the mirror"})
		}
	}
	for _, r := range mirror.References {
		if !slices.Contains(before.References, r) && !slices.Contains(after.References, r) {
			list = append(list, Difference{node, "reference " + describe(r) + " is at the mirror alone"})
		}
	}
	return list
}
