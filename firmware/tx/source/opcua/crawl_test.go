package opcua

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/selection"
)

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// endless is a server of which every node leads to a hundred new ones.
type endless struct {
	created int
}

func (e *endless) Browse(_ context.Context, ids []rawvalue.NodeID,
	take func(int, ua.StatusCode, []addrspace.Reference)) error {
	for i := range ids {
		refs := make([]addrspace.Reference, 100)
		for k := range refs {
			e.created++
			refs[k] = addrspace.Reference{Type: ns0(id.Organizes),
				Target: named(fmt.Sprintf("a node with a rather long name, number %d", e.created))}
		}
		take(i, 0, refs)
	}
	return nil
}

func (e *endless) Read(_ context.Context, items []client.ReadItem, _ time.Duration,
	take func(int, rawvalue.DataValue)) error {
	class, err := rawvalue.SkimDataValue(encoded(int32(ua.NodeClassObject)), rawvalue.Limits{})
	for i, it := range items {
		if it.Attribute != ua.AttributeIDNodeClass {
			raw := encoded(&ua.QualifiedName{Name: it.Node.Text})
			v, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
			take(i, v)
		} else {
			take(i, class)
		}
	}
	return err
}

func TestAnEndlessAddressSpaceFits(t *testing.T) {
	before := heap()
	m := newModel(nil, 48<<20)
	e := &endless{}
	var handles int
	for range 2 { // with other nodes each time
		c := newCrawl(e, &selection.Patterns{}, 48<<20)
		most := 0
		if err := c.run(t.Context(), func(nodes []addrspace.Node) error {
			if len(m.nodes)%50_000 < 1000 {
				most = max(most, heap()-before)
			}
			return m.put(nodes)
		}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(c.cut, "take more than") || most > 110<<20 || m.size > 48<<20 {
			t.Errorf("cut at %q, %d MiB of heap, a model of %d MiB; want it reported, and at most 110 MiB",
				c.cut, most>>20, m.size>>20)
		}
		t.Logf("%d nodes, %d MiB of heap, a model of %d MiB", len(m.nodes), most>>20, m.size>>20)
		if handles = max(handles, len(m.nodes)); handles < 60_000 {
			t.Errorf("got %d nodes, want what was found until the bound", handles)
		}
		runtime.KeepAlive(c)
	}
}

func TestAnEndlessAddressSpaceIsCutAndReported(t *testing.T) {
	follows(t, plant(), func(p *plc, link *port) { p.endless, p.most = true, 1<<20 },
		func(t *testing.T, p *plc, link *port, s *Source) {
			if err := s.Ready(); err == nil || !strings.Contains(err.Error(),
				"nodes and references take more than address_space") || s.stats.CutBrowses.Load() != 1 {
				t.Errorf("got %v, %d counted; want the bound in /readyz, counted once", err,
					s.stats.CutBrowses.Load())
			}
			if n := len(link.nodes(t, s.model.Generation)); n < 1000 {
				t.Errorf("got %d nodes that cross, want what was found", n)
			}
		})
}

func TestNothingCrossesOfABrowseThatWasCutWhereNodesAreExcluded(t *testing.T) {
	patterns, err := selection.Parse(nil, []string{"/Objects/Secret/**"})
	if err != nil {
		t.Fatal(err)
	}
	c := newCrawl(&endless{}, patterns, 1<<20)
	if err := c.run(t.Context(), func(nodes []addrspace.Node) error {
		if len(nodes) > 0 {
			t.Errorf("got %d nodes", len(nodes))
		}
		return nil
	}); err != nil || c.cut == "" {
		t.Errorf("got %v, cut at %q", err, c.cut)
	}
}

func TestANodeThatContinuesWithoutEndIsCutAndReported(t *testing.T) {
	follows(t, plant(), func(p *plc, link *port) { p.continues = named("press") },
		func(t *testing.T, p *plc, link *port, s *Source) {
			if err := s.Ready(); err == nil || !strings.Contains(err.Error(),
				"the references of ns=1;s=press have no end") {
				t.Errorf("/readyz: got %v, want the node named", err)
			}
			if n := p.Count(id.BrowseNextRequest_Encoding_DefaultBinary); n > 2000 {
				t.Errorf("got %d BrowseNext", n)
			}
			nodes := link.nodes(t, s.model.Generation)
			if nodes[named("n1")].ID != named("n1") || nodes[ns0(id.Server)].ID != ns0(id.Server) {
				t.Errorf("got %d nodes, want those until the bound and the rest of the plant",
					len(nodes))
			}
		})
}

func TestLargeAttributesAreCutAndReported(t *testing.T) {
	f := plant()
	for i := range 100 {
		node := named(fmt.Sprint(i))
		f.add(node, ua.NodeClassObject, node.Text)
		f.nodes[node].Attributes[2].Value = encoded(ua.NewLocalizedText(strings.Repeat("x", 100<<10)))
		f.refer(named("press"), id.HasComponent, node)
	}
	m, p := newModel(nil, 48<<20), &port{}
	c := browse(t, m, f, p)
	if m.size > maxBatch+1<<20 || !strings.Contains(c.cut, "attributes take more than") ||
		len(p.nodes(t, m.Generation)) != len(f.nodes)-1 {
		t.Errorf("got a model of %d MiB, cut at %q, %d nodes; want the bound, and every node", m.size>>20,
			c.cut, len(p.nodes(t, m.Generation)))
	}
}

func TestAServerThatReplacesItsNodesGetsAnotherGeneration(t *testing.T) {
	m := newModel(nil, 48<<20)
	browse(t, m, plant(), &port{})
	for i := 0; m.size < 48<<20-1000; i++ {
		m.handle(rawvalue.NodeID{Namespace: 1, Number: uint32(i)}) // of a node that is gone
	}
	f := plant()
	for i := range 100 {
		f.add(named(fmt.Sprint(i)), ua.NodeClassObject, "New")
		f.refer(named("press"), id.HasComponent, named(fmt.Sprint(i)))
	}
	c := browse(t, m, f, &port{})
	if m.leftOut == 0 || !m.exhausted() || !strings.Contains(c.incompleteness(m), "left out") || m.size > 48<<20 {
		t.Errorf("got %d left out, worn out %v, %q; want it so", m.leftOut, m.exhausted(), c.incompleteness(m))
	}
}
