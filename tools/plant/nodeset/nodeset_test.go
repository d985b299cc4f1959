package nodeset

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func TestNamespaceZeroIsWhole(t *testing.T) {
	set, err := Base()
	if err != nil {
		t.Fatal(err)
	}
	s := addrspace.New()
	if err := s.Replace(func(yield func(addrspace.Node) bool) {
		for _, n := range set.Nodes {
			if !yield(n) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	n := func(i uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: i} }
	s.View(func(v addrspace.View) {
		if !v.IsSubtype(n(id.AlarmConditionType), n(id.BaseEventType)) {
			t.Error("AlarmConditionType is not a BaseEventType")
		}
		path := []addrspace.Element{}
		for _, name := range []string{"Objects", "Server", "ServerStatus", "BuildInfo", "ProductUri"} {
			path = append(path, addrspace.Element{Type: n(id.HierarchicalReferences), Subtypes: true,
				Name: rawvalue.QualifiedName{Name: []byte(name)}})
		}
		if got, status := v.Translate(n(id.RootFolder), path, 10); status != ua.StatusOK || len(got) != 1 ||
			got[0] != n(id.Server_ServerStatus_BuildInfo_ProductURI) {
			t.Errorf("ProductUri is found at %v, %v", got, status)
		}
		dangling := 0
		for r := range v.Nodes() {
			found, _ := v.Browse(nil, r, addrspace.Filter{Direction: ua.BrowseDirectionBoth}, 0, 0)
			for _, f := range found {
				if !f.Exists {
					dangling++
				}
			}
		}
		if dangling > 0 {
			t.Errorf("%d references lead nowhere", dangling)
		}
	})
	if len(set.Values) < 900 || set.Unread > 300 {
		t.Errorf("%d values were read and %d were not", len(set.Values), set.Unread)
	}
	for node, raw := range set.Values {
		if v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err != nil || v.Value.IsNull() {
			t.Errorf("the value of %v is %x: %v", node, raw, err)
		}
	}
}

func TestBadNodesetsAreRefused(t *testing.T) {
	for name, s := range map[string]string{
		"no XML": "x", "bad NodeId": `<UANodeSet><UAObject NodeId="ns=x;i=1"/></UANodeSet>`,
		"bad target": `<UANodeSet><UAObject NodeId="i=1"><References><Reference ReferenceType="i=1">i=q</Reference></References></UAObject></UANodeSet>`,
	} {
		if _, err := Parse([]byte(s)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
