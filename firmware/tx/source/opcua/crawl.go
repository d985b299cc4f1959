package opcua

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/selection"
)

// browseReader is the part of a session that a crawl uses.
type browseReader interface {
	Browse(ctx context.Context, ids []rawvalue.NodeID, f func(i int, status ua.StatusCode,
		refs []addrspace.Reference)) error
	Read(ctx context.Context, items []client.ReadItem, maxAge time.Duration,
		f func(i int, v rawvalue.DataValue)) error
}

// batch is how many nodes are asked for together; the session cuts it to what the
// server takes.
const batch = 1000

// maxBatch bounds the attributes of nodes that are read together, in bytes.
const maxBatch = 4 << 20

// newCrawl bounds what the server can make it hold by what the address space may use.
// By default that leaves a board's transmitter below 150 MB, with the model, which holds
// what was found before, and the values.
func newCrawl(server browseReader, patterns *selection.Patterns, maxSize int) *crawl {
	c := &crawl{server: server, patterns: patterns, maxSize: maxSize, room: maxSize / 2}
	c.graph.Limit = maxSize / 4 * 3
	return c
}

// crawl finds all nodes that can be reached from the Root folder over any reference in
// any direction, and then hands over those that cross, with all their attributes but the
// Value. At its bounds it goes on with what it has found until then: that crosses,
// nothing that was known before is removed, and the bound is reported. With exclude
// patterns nothing crosses of a crawl that was cut: a path that was not followed may be
// one that excludes.
type crawl struct {
	server   browseReader
	patterns *selection.Patterns
	graph    selection.Graph
	classes  []ua.NodeClass
	keep     []bool            // nodes that cross
	failed   []selection.Index // nodes that could not be browsed
	cut      string            // the bound at which it ended, if it did
	maxSize  int
	room     int // for attributes except small ones
}

// run returns after every node was handed to take. keep and classes are valid then.
func (c *crawl) run(ctx context.Context, take func(nodes []addrspace.Node) error) error {
	if err := c.find(ctx); err != nil {
		return err
	}
	if err := c.classify(ctx); err != nil {
		return err
	}
	c.keep = c.patterns.Select(&c.graph)
	c.graph.DropNames()
	for i, class := range c.classes { // what does not exist is not mirrored, even if a node refers to it
		c.keep[i] = c.keep[i] && class != 0 && (c.cut == "" || !c.patterns.Excludes())
	}
	return c.describe(ctx, take)
}

// find follows references until there are no new nodes.
func (c *crawl) find(ctx context.Context) error {
	c.graph.Add(rawvalue.NodeID{Number: id.RootFolder})
	for done := 0; done < c.graph.Len() && c.graph.LeftOut() == 0; {
		ids := make([]rawvalue.NodeID, 0, batch)
		for i := done; i < c.graph.Len() && len(ids) < batch; i++ {
			ids = append(ids, c.graph.ID(selection.Index(i)))
		}
		err := c.server.Browse(ctx, ids, func(i int, status ua.StatusCode, refs []addrspace.Reference) {
			at := selection.Index(done + i)
			switch {
			case len(refs) > 0 && isBad(status):
				c.end("the references of %v have no end, %d cross", c.graph.ID(at).UA(), len(refs))
			case status != ua.StatusOK && status != ua.StatusBadNodeIDUnknown:
				c.failed = append(c.failed, at)
			}
			c.graph.SetReferences(selection.Index(done+i), refs)
		})
		if err != nil {
			return err
		}
		done += len(ids)
	}
	slices.Sort(c.failed)
	if c.graph.LeftOut() > 0 {
		c.end("nodes and references take more than address_space allows; %d nodes were found", c.graph.Len())
	}
	return nil
}

// restore gives nodes that could not be browsed the references that the model has.
func (c *crawl) restore(m *model, nodes []addrspace.Node) {
	if len(c.failed) == 0 {
		return
	}
	m.space.View(func(v addrspace.View) {
		for i := range nodes {
			at, _ := c.graph.Find(nodes[i].ID)
			if _, failed := slices.BinarySearch(c.failed, at); !failed {
				continue
			}
			if old, ok := m.node(v, nodes[i].ID); ok {
				nodes[i].References = old.References
			}
		}
	})
}

// end records the bound that ended a part of the crawl; the first one is reported.
func (c *crawl) end(format string, a ...any) {
	if c.cut == "" {
		c.cut = fmt.Sprintf(format, a...)
	}
}

// large reports whether an attribute is counted; small ones are shared by many nodes.
func large(a addrspace.Attribute) bool {
	return len(a.Value) > 32 || a.ID == ua.AttributeIDNodeID || a.ID == ua.AttributeIDBrowseName ||
		a.ID == ua.AttributeIDDisplayName
}

// remains returns a function that reports whether a node is to be kept: one that the
// crawl has found, and what is known below a node that could not be browsed.
func (c *crawl) remains(m *model) func(rawvalue.NodeID) bool {
	var hidden []rawvalue.NodeID
	for _, i := range c.failed {
		hidden = append(hidden, c.graph.ID(i))
	}
	below := m.below(hidden)
	return func(node rawvalue.NodeID) bool { return c.crosses(node) || below[node] }
}

// incompleteness says what the crawl has left out, "" for nothing.
func (c *crawl) incompleteness(m *model) string {
	var all []string
	if c.cut != "" {
		all = append(all, c.cut)
	}
	var hidden []rawvalue.NodeID
	for _, i := range c.failed {
		if c.keep[i] {
			hidden = append(hidden, c.graph.ID(i))
		}
	}
	if len(hidden) > 0 {
		all = append(all, fmt.Sprintf("%d nodes could not be browsed, among them %v", len(hidden),
			hidden[0].UA()))
	}
	if m.leftOut > 0 {
		all = append(all, fmt.Sprintf("%d nodes are left out, they take more than address_space allows",
			m.leftOut))
	}
	return strings.Join(all, "; ")
}

// crosses reports whether a finished crawl found a node and lets it cross.
func (c *crawl) crosses(node rawvalue.NodeID) bool {
	i, ok := c.graph.Find(node)
	return ok && c.keep[i]
}

// classify reads what the selection and the choice of attributes need.
func (c *crawl) classify(ctx context.Context) error {
	c.classes = make([]ua.NodeClass, c.graph.Len())
	for done := 0; done < c.graph.Len(); done += batch {
		end := min(done+batch, c.graph.Len())
		items := make([]client.ReadItem, 0, 2*batch)
		for i := done; i < end; i++ {
			node := c.graph.ID(selection.Index(i))
			items = append(items, client.ReadItem{Node: node, Attribute: ua.AttributeIDNodeClass},
				client.ReadItem{Node: node, Attribute: ua.AttributeIDBrowseName})
		}
		err := c.server.Read(ctx, items, 0, func(i int, v rawvalue.DataValue) {
			at := selection.Index(done + i/2)
			cur := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
			switch {
			case i%2 == 0 && v.Value.Type() == ua.TypeIDInt32 && !v.Value.IsArray():
				c.classes[at] = ua.NodeClass(cur.Uint32())
			case i%2 == 1 && !c.patterns.None() && v.Value.Type() == ua.TypeIDQualifiedName &&
				!v.Value.IsArray():
				name := cur.QualifiedName()
				name.Name = slices.Clone(name.Name)
				if !c.graph.SetName(at, name) {
					c.end("the names of nodes take more than address_space allows")
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// describe reads the attributes of the nodes that cross.
func (c *crawl) describe(ctx context.Context, take func([]addrspace.Node) error) error {
	nodes := make([]addrspace.Node, 0, batch)
	for i := range c.keep {
		if !c.keep[i] {
			continue
		}
		at := selection.Index(i)
		nodes = append(nodes, addrspace.Node{ID: c.graph.ID(at),
			References: slices.Collect(c.graph.References(at, c.keep))})
		if len(nodes) == batch {
			if err := c.attributes(ctx, nodes, take); err != nil {
				return err
			}
			nodes = nodes[:0]
		}
	}
	return c.attributes(ctx, nodes, take)
}

func (c *crawl) attributes(ctx context.Context, nodes []addrspace.Node, take func([]addrspace.Node) error) error {
	var items []client.ReadItem
	var owner []int
	for i := range nodes {
		node := nodes[i].ID
		nodes[i].Attributes = []addrspace.Attribute{{ID: ua.AttributeIDNodeID,
			Value: node.AppendTo([]byte{1, byte(ua.TypeIDNodeID)})}}
		for _, a := range attributesOf(c.classes[c.graph.Add(node)]) {
			items, owner = append(items, client.ReadItem{Node: node, Attribute: a}), append(owner, i)
		}
	}
	room := min(c.room, maxBatch)
	err := c.server.Read(ctx, items, 0, func(i int, v rawvalue.DataValue) {
		if v.Status == ua.StatusBadAttributeIDInvalid {
			return
		}
		n := &nodes[owner[i]]
		value := v.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnNeither})
		a := addrspace.Attribute{ID: items[i].Attribute, Value: value}
		if large(a) {
			if len(value) > room {
				c.end("attributes take more than address_space allows, among them %v of %v with %d "+
					"bytes", a.ID, n.ID.UA(), len(value))
				a.Value = rawvalue.AppendStatus(nil, ua.StatusBadEncodingLimitsExceeded,
					rawvalue.Answer{})
			} else {
				room -= len(value)
				c.room -= len(value)
			}
		}
		n.Attributes = append(n.Attributes, a)
	})
	if err != nil {
		return err
	}
	for i := range nodes {
		slices.SortFunc(nodes[i].Attributes, func(a,
			b addrspace.Attribute) int {
			return int(a.ID) - int(b.ID)
		})
	}
	return take(nodes)
}

// attributesOf returns what a node of a class may have (OPC 10000-3 §5), without
// NodeId, and without the Value of variables, which changes.
func attributesOf(class ua.NodeClass) []ua.AttributeID {
	all := []ua.AttributeID{
		ua.AttributeIDNodeClass, ua.AttributeIDBrowseName, ua.AttributeIDDisplayName, ua.AttributeIDDescription,
		ua.AttributeIDWriteMask,
		ua.AttributeIDUserWriteMask, ua.AttributeIDRolePermissions, ua.AttributeIDUserRolePermissions,
		ua.AttributeIDAccessRestrictions,
	}
	switch class {
	case ua.NodeClassObject:
		return append(all, ua.AttributeIDEventNotifier)
	case ua.NodeClassVariable:
		return append(all, ua.AttributeIDDataType, ua.AttributeIDValueRank, ua.AttributeIDArrayDimensions,
			ua.AttributeIDAccessLevel,
			ua.AttributeIDUserAccessLevel, ua.AttributeIDMinimumSamplingInterval, ua.AttributeIDHistorizing,
			ua.AttributeIDAccessLevelEx)
	case ua.NodeClassMethod:
		return append(all, ua.AttributeIDExecutable, ua.AttributeIDUserExecutable)
	case ua.NodeClassObjectType:
		return append(all, ua.AttributeIDIsAbstract)
	case ua.NodeClassVariableType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDValue, ua.AttributeIDDataType,
			ua.AttributeIDValueRank, ua.AttributeIDArrayDimensions)
	case ua.NodeClassReferenceType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDSymmetric, ua.AttributeIDInverseName)
	case ua.NodeClassDataType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDDataTypeDefinition)
	case ua.NodeClassView:
		return append(all, ua.AttributeIDContainsNoLoops, ua.AttributeIDEventNotifier)
	}
	return all
}
