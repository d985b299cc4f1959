package selection

import (
	"slices"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/config/pattern"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func ns0(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

func named(s string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 2, Kind: rawvalue.String, Text: s}
}

// plant is a server with an area in which a press is shared by two folders.
func plant() *Graph {
	const array = id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray
	lists := map[rawvalue.NodeID]map[rawvalue.NodeID][]rawvalue.NodeID{
		ns0(id.RootFolder):    {ns0(id.Organizes): {ns0(id.ObjectsFolder), ns0(id.TypesFolder)}},
		ns0(id.ObjectsFolder): {ns0(id.Organizes): {ns0(id.Server), named("area"), named("other")}},
		ns0(id.TypesFolder):   {ns0(id.Organizes): {ns0(id.References)}},
		ns0(id.References):    {ns0(id.HasSubtype): {ns0(id.HierarchicalReferences)}},
		ns0(id.HierarchicalReferences): {ns0(id.HasSubtype): {ns0(id.HasChild), ns0(id.Organizes),
			ns0(id.HasEventSource)}},
		ns0(id.HasChild):       {ns0(id.HasSubtype): {ns0(id.Aggregates), ns0(id.HasSubtype)}},
		ns0(id.Aggregates):     {ns0(id.HasSubtype): {ns0(id.HasComponent), ns0(id.HasProperty)}},
		ns0(id.HasEventSource): {ns0(id.HasSubtype): {ns0(id.HasNotifier)}},
		ns0(id.Server): {ns0(id.HasNotifier): {named("area")},
			ns0(id.HasComponent): {ns0(id.Server_ServerDiagnostics)}},
		ns0(id.Server_ServerDiagnostics): {ns0(id.HasComponent): {
			ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary)}},
		ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary): {ns0(id.HasComponent): {
			ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray),
			named("session of joe")}},
		ns0(array): {ns0(id.HasComponent): {
			named("what joe does")}},
		named("session of joe"): {ns0(id.HasComponent): {named("joe's rights")}},
		named("area"):           {ns0(id.Organizes): {named("press"), named("secret")}},
		named("other"):          {ns0(id.Organizes): {named("press"), named("a/b")}},
		named("press"):          {ns0(id.HasComponent): {named("speed")}},
		named("speed"):          {ns0(id.HasProperty): {named("unit")}},
		named("secret"): {ns0(id.HasComponent): {named("recipe")},
			ns0(id.HasNotifier): {named("press")}},
	}
	g := &Graph{}
	for node, byType := range lists {
		var refs []addrspace.Reference
		for kind, targets := range byType {
			for _, to := range targets {
				refs = append(refs, addrspace.Reference{Type: kind, Target: to})
			}
		}
		g.SetReferences(g.Add(node), refs)
	}
	g.Add(named("loose"))
	for i := range g.Len() {
		name := rawvalue.QualifiedName{Namespace: g.ID(Index(i)).Namespace, Name: []byte(g.ID(Index(i)).Text)}
		if n, ok := map[uint32]string{id.ObjectsFolder: "Objects", id.TypesFolder: "Types",
			id.Server: "Server"}[g.ID(Index(i)).Number]; ok {
			name.Name = []byte(n)
		}
		g.SetName(Index(i), name)
	}
	return g
}

// crossing lists the plant's own nodes that cross.
func crossing(t *testing.T, g *Graph, include, exclude []string) string {
	t.Helper()
	p, err := Parse(include, exclude)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, keep := range p.Select(g) {
		if node := g.ID(Index(i)); keep && node.Namespace == 2 {
			got = append(got, node.Text)
		}
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

func TestSelection(t *testing.T) {
	const all = "a/b area loose other press recipe secret speed unit"
	for name, c := range map[string]struct {
		include, exclude []string
		want             string
	}{
		"everything but sessions": {nil, nil, all},
		"one node": {nil, []string{"/Objects/area/press/speed/unit"},
			"a/b area loose other press recipe secret speed"},
		"a node hides what only it leads to": {nil, []string{"/Objects/area/secret"},
			"a/b area loose other press speed unit"},
		"a shared node stays": {nil, []string{"/Objects/other"},
			"area loose press recipe secret speed unit"},
		"excluded on any path": {nil, []string{"/Objects/other/**"}, "area loose recipe secret"},
		"anywhere": {nil, []string{"/**/spe*d"},
			"a/b area loose other press recipe secret"},
		"a NodeId and what is below": {nil, []string{"ns=2;s=press"},
			"a/b area loose other recipe secret"},
		"a name with its namespace": {nil, []string{"/Objects/2:area/?ecret"},
			"a/b area loose other press speed unit"},
		"a name with a slash": {nil, []string{"/Objects/other/a?b"},
			"area loose other press recipe secret speed unit"},
		"what is asked for, and its way": {[]string{"/Objects/area/press/**"}, nil,
			"area other press speed unit"},
		"one variable": {[]string{"/Objects/area/press/speed"}, nil,
			"area other press speed"},
		"a NodeId": {[]string{"ns=2;s=secret"}, nil, "area recipe secret"},
		"exclude wins": {[]string{"/Objects/area/**"}, []string{"/**/press/**"},
			"area recipe secret"},
		"nothing matches": {[]string{"/Objects/nowhere"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := crossing(t, plant(), c.include, c.exclude); got != c.want {
				t.Errorf("crossing: %q\nwant:     %q", got, c.want)
			}
		})
	}
}

func TestServerAndTypesNeedNoPattern(t *testing.T) {
	g := plant()
	p, _ := Parse([]string{"/Objects/nowhere"}, nil)
	keep := p.Select(g)
	for _, n := range []uint32{id.RootFolder, id.ObjectsFolder, id.Server, id.Server_ServerDiagnostics,
		id.HasProperty} {
		if !keep[g.Add(ns0(n))] {
			t.Errorf("i=%d does not cross", n)
		}
	}
}

func TestReferencesToWhatDoesNotCrossAreLeftOut(t *testing.T) {
	g := plant()
	p, _ := Parse(nil, []string{"/Objects/area/secret"})
	keep := p.Select(g)
	area := g.Add(named("area"))
	var got []string
	for r := range g.References(area, keep) {
		got = append(got, r.Target.Text)
	}
	if len(got) != 1 || got[0] != "press" {
		t.Errorf("area lists %q, want press alone", got)
	}
}

func TestBadPatternsAreRefused(t *testing.T) {
	for _, s := range []string{"", "Objects", "/a/[", "ns=x;i=1"} {
		if _, err := Parse([]string{s}, nil); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if _, err := Parse(nil, []string{strings.Repeat("/a", pattern.MaxNames+1)}); err == nil {
		t.Error("a pattern without end was taken")
	}
}
