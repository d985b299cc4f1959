package opcua

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/selection"
)

// looker is what a crawl needs of a session.
type looker interface {
	Browse(ctx context.Context, ids []rawvalue.NodeID, f func(i int, status ua.StatusCode, refs []addrspace.Reference)) error
	Read(ctx context.Context, items []client.ReadItem, maxAge time.Duration, f func(i int, v rawvalue.DataValue)) error
}

// batch is how many nodes are asked for together; the session cuts it to what the
// server takes.
const batch = 1000

// crawl finds all nodes that can be reached from the Root folder over any
// reference in any direction, and then hands those that cross to take with all
// their attributes but the Value.
type crawl struct {
	server   looker
	patterns *selection.Patterns
	graph    selection.Graph
	classes  []ua.NodeClass
	keep     []bool // nodes that cross
	failed   int    // nodes that could not be browsed
}

// run returns after every node was taken. keep and classes stay for the caller.
func (c *crawl) run(ctx context.Context, take func(nodes []addrspace.Node) error) error {
	if err := c.find(ctx); err != nil {
		return err
	}
	if err := c.classify(ctx); err != nil {
		return err
	}
	c.keep = c.patterns.Select(&c.graph)
	for i, class := range c.classes { // what does not exist is not mirrored, whoever refers to it
		c.keep[i] = c.keep[i] && class != 0
	}
	return c.describe(ctx, take)
}

// find follows references until there is no new node.
func (c *crawl) find(ctx context.Context) error {
	c.graph.Add(rawvalue.NodeID{Number: id.RootFolder})
	for done := 0; done < c.graph.Len(); {
		ids := make([]rawvalue.NodeID, 0, batch)
		for i := done; i < c.graph.Len() && len(ids) < batch; i++ {
			ids = append(ids, c.graph.ID(selection.Index(i)))
		}
		err := c.server.Browse(ctx, ids, func(i int, status ua.StatusCode, refs []addrspace.Reference) {
			if status != ua.StatusOK && status != ua.StatusBadNodeIDUnknown {
				c.failed++
			}
			c.graph.SetReferences(selection.Index(done+i), refs)
		})
		if err != nil {
			return err
		}
		done += len(ids)
		if c.graph.Len() > maxNodes {
			return fmt.Errorf("opcua: the server has more than %d nodes; exclude some of them", maxNodes)
		}
	}
	return nil
}

// classify reads what the selection and the choice of attributes need.
func (c *crawl) classify(ctx context.Context) error {
	c.classes = make([]ua.NodeClass, c.graph.Len())
	for done := 0; done < c.graph.Len(); done += batch {
		end := min(done+batch, c.graph.Len())
		items := make([]client.ReadItem, 0, 2*batch)
		for i := done; i < end; i++ {
			node := c.graph.ID(selection.Index(i))
			items = append(items, client.ReadItem{Node: node, Attribute: ua.AttributeIDNodeClass}, client.ReadItem{Node: node, Attribute: ua.AttributeIDBrowseName})
		}
		err := c.server.Read(ctx, items, 0, func(i int, v rawvalue.DataValue) {
			at := selection.Index(done + i/2)
			cur := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
			switch {
			case i%2 == 0 && v.Value.Type() == ua.TypeIDInt32 && !v.Value.IsArray():
				c.classes[at] = ua.NodeClass(cur.Uint32())
			case i%2 == 1 && v.Value.Type() == ua.TypeIDQualifiedName && !v.Value.IsArray():
				name := cur.QualifiedName()
				name.Name = slices.Clone(name.Name)
				c.graph.SetName(at, name)
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
		nodes = append(nodes, addrspace.Node{ID: c.graph.ID(at), References: slices.Collect(c.graph.References(at, c.keep))})
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
		nodes[i].Attributes = []addrspace.Attribute{{ID: ua.AttributeIDNodeID, Value: node.AppendTo([]byte{1, byte(ua.TypeIDNodeID)})}}
		for _, a := range attributesOf(c.classes[c.graph.Add(node)]) {
			items, owner = append(items, client.ReadItem{Node: node, Attribute: a}), append(owner, i)
		}
	}
	err := c.server.Read(ctx, items, 0, func(i int, v rawvalue.DataValue) {
		if v.Status == ua.StatusBadAttributeIDInvalid {
			return
		}
		n := &nodes[owner[i]]
		value := v.Append(nil, rawvalue.Answer{Timestamps: ua.TimestampsToReturnNeither})
		n.Attributes = append(n.Attributes, addrspace.Attribute{ID: items[i].Attribute, Value: value})
	})
	if err != nil {
		return err
	}
	for i := range nodes {
		slices.SortFunc(nodes[i].Attributes, func(a, b addrspace.Attribute) int { return int(a.ID) - int(b.ID) })
	}
	return take(nodes)
}

// attributesOf returns what a node of a class may have (OPC 10000-3 §5), without
// NodeId, and without the Value of variables, which changes.
func attributesOf(class ua.NodeClass) []ua.AttributeID {
	all := []ua.AttributeID{
		ua.AttributeIDNodeClass, ua.AttributeIDBrowseName, ua.AttributeIDDisplayName, ua.AttributeIDDescription, ua.AttributeIDWriteMask,
		ua.AttributeIDUserWriteMask, ua.AttributeIDRolePermissions, ua.AttributeIDUserRolePermissions, ua.AttributeIDAccessRestrictions,
	}
	switch class {
	case ua.NodeClassObject:
		return append(all, ua.AttributeIDEventNotifier)
	case ua.NodeClassVariable:
		return append(all, ua.AttributeIDDataType, ua.AttributeIDValueRank, ua.AttributeIDArrayDimensions, ua.AttributeIDAccessLevel,
			ua.AttributeIDUserAccessLevel, ua.AttributeIDMinimumSamplingInterval, ua.AttributeIDHistorizing, ua.AttributeIDAccessLevelEx)
	case ua.NodeClassMethod:
		return append(all, ua.AttributeIDExecutable, ua.AttributeIDUserExecutable)
	case ua.NodeClassObjectType:
		return append(all, ua.AttributeIDIsAbstract)
	case ua.NodeClassVariableType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDValue, ua.AttributeIDDataType, ua.AttributeIDValueRank, ua.AttributeIDArrayDimensions)
	case ua.NodeClassReferenceType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDSymmetric, ua.AttributeIDInverseName)
	case ua.NodeClassDataType:
		return append(all, ua.AttributeIDIsAbstract, ua.AttributeIDDataTypeDefinition)
	case ua.NodeClassView:
		return append(all, ua.AttributeIDContainsNoLoops, ua.AttributeIDEventNotifier)
	}
	return all
}
