package server

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
)

func browseRequest(token *ua.NodeID, most uint32, nodes ...*ua.BrowseDescription) *ua.BrowseRequest {
	return &ua.BrowseRequest{
		RequestHeader: header(token), View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		RequestedMaxReferencesPerNode: most, NodesToBrowse: nodes,
	}
}

func description(node rawvalue.NodeID, mask uint32) *ua.BrowseDescription {
	return &ua.BrowseDescription{
		NodeID: node.UA(), ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), IncludeSubtypes: true,
		ResultMask: mask,
	}
}

func TestBrowse(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	resp, code := ask(t, c,
		browseRequest(token, 0, description(ns0(id.ObjectsFolder), 0x3f), description(ns0(id.ObjectsFolder), 0)))
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	results := resp.(*ua.BrowseResponse).Results
	full, bare := results[0].References, results[1].References
	if len(full) != 2 || full[1].BrowseName.Name != "Plant" || full[1].DisplayName.Text != "Plant" ||
		full[1].NodeClass != ua.NodeClassObject || !full[1].IsForward ||
		full[1].ReferenceTypeID.IntID() != id.Organizes {
		t.Errorf("Objects lists %+v", full)
	}
	if len(bare) != 2 || bare[1].BrowseName.Name != "" || bare[1].NodeClass != 0 ||
		bare[1].NodeID.NodeID.StringID() != "plant" {
		t.Errorf("without a mask Objects lists %+v", bare)
	}
	for name, tc := range map[string]struct {
		change func(*ua.BrowseDescription)
		want   ua.StatusCode
		n      int
	}{
		"inverse": {func(d *ua.BrowseDescription) { d.BrowseDirection = ua.BrowseDirectionInverse },
			ua.StatusOK, 0},
		"without subtypes": {func(d *ua.BrowseDescription) { d.IncludeSubtypes = false }, ua.StatusOK, 0},
		"of a class": {func(d *ua.BrowseDescription) { d.NodeClassMask = uint32(ua.NodeClassVariable) },
			ua.StatusOK, 0},
		"of every type": {func(d *ua.BrowseDescription) { d.ReferenceTypeID = ua.NewTwoByteNodeID(0) },
			ua.StatusOK, 2},
		"an unknown node": {func(d *ua.BrowseDescription) { d.NodeID = named("nowhere").UA() },
			ua.StatusBadNodeIDUnknown, 0},
		"an odd direction": {func(d *ua.BrowseDescription) { d.BrowseDirection = 9 },
			ua.StatusBadBrowseDirectionInvalid, 0},
		"a type that is none": {func(d *ua.BrowseDescription) { d.ReferenceTypeID = named("plant").UA() },
			ua.StatusBadReferenceTypeIDInvalid, 0},
		"a type that anonymous users see": {func(d *ua.BrowseDescription) { d.ReferenceTypeID = named("x").UA() },
			ua.StatusBadReferenceTypeIDInvalid, 0},
	} {
		d := description(ns0(id.ObjectsFolder), 0x3f)
		tc.change(d)
		resp, code := ask(t, c, browseRequest(token, 0, d))
		if code != ua.StatusOK {
			t.Fatalf("%s: %v", name, code)
		}
		if r := resp.(*ua.BrowseResponse).Results[0]; r.StatusCode != tc.want || len(r.References) != tc.n {
			t.Errorf("%s: %v and %d references, want %v and %d", name, r.StatusCode, len(r.References), tc.want, tc.n)
		}
	}
}

func TestBrowseNextContinuesWhereBrowseEnded(t *testing.T) {
	s, url := start(t, func(c *Config) { c.Limits.ContinuationPoints = 2 })
	c, token := newSession(t, url)
	d := description(named("plant"), 0x3f)
	resp, _ := ask(t, c, browseRequest(token, 15, d, d, d))
	results := resp.(*ua.BrowseResponse).Results
	if results[2].StatusCode != ua.StatusBadNoContinuationPoints {
		t.Errorf("the third continuation point: %v", results[2].StatusCode)
	}
	seen := map[string]bool{}
	point := results[0].ContinuationPoint
	for _, r := range results[0].References {
		seen[r.BrowseName.Name] = true
	}
	// Another node changes meanwhile.
	if _, err := s.cfg.Space.Apply(
		[]addrspace.Change{{Kind: addrspace.Put, Node: addrspace.Node{ID: named("new")}}}); err != nil {
		t.Fatal(err)
	}
	old := point
	for len(point) > 0 {
		resp, code := ask(t, c,
			&ua.BrowseNextRequest{RequestHeader: header(token), ContinuationPoints: [][]byte{point}})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		r := resp.(*ua.BrowseNextResponse).Results[0]
		if r.StatusCode != ua.StatusOK {
			t.Fatal(r.StatusCode)
		}
		for _, ref := range r.References {
			seen[ref.BrowseName.Name] = true
		}
		point = r.ContinuationPoint
	}
	if len(seen) != 40 {
		t.Errorf("%d nodes were found, want 40", len(seen))
	}
	next := func(release bool, points ...[]byte) []ua.StatusCode {
		resp, code := ask(t, c,
			&ua.BrowseNextRequest{RequestHeader: header(token), ReleaseContinuationPoints: release,
				ContinuationPoints: points})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		var codes []ua.StatusCode
		for _, r := range resp.(*ua.BrowseNextResponse).Results {
			codes = append(codes, r.StatusCode)
		}
		return codes
	}
	if got := next(false, old, nil); got[0] != ua.StatusBadContinuationPointInvalid ||
		got[1] != ua.StatusBadContinuationPointInvalid {
		t.Errorf("points that were used: %v", got)
	}
	if got := next(true, results[1].ContinuationPoint); got[0] != ua.StatusOK {
		t.Errorf("releasing: %v", got)
	}
	if got := next(false, results[1].ContinuationPoint); got[0] != ua.StatusBadContinuationPointInvalid {
		t.Errorf("a released point: %v", got)
	}
}

func TestTranslate(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	path := func(start rawvalue.NodeID, names ...string) *ua.BrowsePath {
		p := &ua.BrowsePath{StartingNode: start.UA(), RelativePath: &ua.RelativePath{}}
		for _, n := range names {
			e := &ua.RelativePathElement{ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences),
				IncludeSubtypes: true, TargetName: &ua.QualifiedName{Name: n}}
			if n == "Plant" || n == "taga0" {
				e.TargetName.NamespaceIndex = 1
			}
			p.RelativePath.Elements = append(p.RelativePath.Elements, e)
		}
		return p
	}
	for name, tc := range map[string]struct {
		path *ua.BrowsePath
		want ua.StatusCode
	}{
		"a tag":            {path(ns0(id.RootFolder), "Objects", "Plant", "taga0"), ua.StatusOK},
		"nothing there":    {path(ns0(id.RootFolder), "Objects", "Nowhere"), ua.StatusBadNoMatch},
		"an unknown start": {path(named("x"), "Objects"), ua.StatusBadNodeIDUnknown},
		"no path":          {path(ns0(id.RootFolder)), ua.StatusBadNothingToDo},
		"an empty name":    {path(ns0(id.RootFolder), "", "Plant"), ua.StatusBadBrowseNameInvalid},
	} {
		resp, code := ask(t, c,
			&ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token),
				BrowsePaths: []*ua.BrowsePath{tc.path}})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		r := resp.(*ua.TranslateBrowsePathsToNodeIDsResponse).Results[0]
		if r.StatusCode != tc.want || tc.want == ua.StatusOK && r.Targets[0].TargetID.NodeID.StringID() != "taga0" {
			t.Errorf("%s: %v %v, want %v", name, r.StatusCode, r.Targets, tc.want)
		}
	}
}

// A path that loops through a node of many references is refused.
func TestOneBrowsePathDoesNotDelayOthers(t *testing.T) {
	s, url := start(t, nil)
	hub := addrspace.Node{ID: named("hub"), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassObject))},
		{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: "hub"})},
	}}
	for i := range 10_000 {
		hub.References = append(hub.References,
			addrspace.Reference{Type: ns0(id.Organizes), Target: rawvalue.NodeID{Namespace: 1, Number: uint32(i)}})
	}
	hub.References = append(hub.References, addrspace.Reference{Type: ns0(id.Organizes), Target: named("hub")})
	if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: hub}}); err != nil {
		t.Fatal(err)
	}
	c, token := newSession(t, url)
	for steps, want := range map[int]ua.StatusCode{5: ua.StatusOK, 5000: ua.StatusBadQueryTooComplex} {
		p := &ua.BrowsePath{StartingNode: named("hub").UA(), RelativePath: &ua.RelativePath{}}
		for range steps {
			p.RelativePath.Elements = append(p.RelativePath.Elements, &ua.RelativePathElement{
				ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), IncludeSubtypes: true,
				TargetName: &ua.QualifiedName{Name: "hub"},
			})
		}
		resp, code := ask(t, c,
			&ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token), BrowsePaths: []*ua.BrowsePath{p}})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		if got := resp.(*ua.TranslateBrowsePathsToNodeIDsResponse).Results[0].StatusCode; got != want {
			t.Errorf("%d steps: got %v, want %v", steps, got, want)
		}
	}
}

// TestBrowsePathsTogetherAreBounded: what the paths of a request may examine is counted, not timed, so that
// a busy machine refuses no others.
func TestBrowsePathsTogetherAreBounded(t *testing.T) {
	const children, most = 100, 1000
	s, url := start(t, func(c *Config) { c.Limits.Translated = most })
	folder := addrspace.Node{ID: named("folder"), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassObject))}}}
	for i := range children {
		folder.References = append(folder.References,
			addrspace.Reference{Type: ns0(id.Organizes), Target: rawvalue.NodeID{Namespace: 1, Number: uint32(i)}})
	}
	if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: folder}}); err != nil {
		t.Fatal(err)
	}
	c, token := newSession(t, url)
	path := &ua.BrowsePath{StartingNode: named("folder").UA(),
		RelativePath: &ua.RelativePath{Elements: []*ua.RelativePathElement{{
			ReferenceTypeID: ns0(id.Organizes).UA(), TargetName: &ua.QualifiedName{Name: "not there"}}}}}
	for paths, want := range map[int]ua.StatusCode{
		most / children: ua.StatusOK, most/children + 1: ua.StatusOK, // the last begins within the bound
		most/children + 2: ua.StatusBadTooManyOperations,
	} {
		_, code := ask(t, c, &ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token),
			BrowsePaths: slices.Repeat([]*ua.BrowsePath{path}, paths)})
		if code != want {
			t.Errorf("%d paths over %d references each: got %v, want %v", paths, children, code, want)
		}
	}
}

// TestTranslateSendsManyTargetsInParts: a response that is larger than the memory for messages is sent
// while it is encoded, as that to Browse.
func TestTranslateSendsManyTargetsInParts(t *testing.T) {
	const paths, most = 20, 4 << 20
	s, url := start(t, func(c *Config) { c.Transport.MaxMemory = most })
	folder := addrspace.Node{ID: named("folder"), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassObject))}}}
	changes := []addrspace.Change{{Kind: addrspace.Put}}
	for i := range maxTargets {
		child := named(strings.Repeat("x", 300) + strconv.Itoa(i))
		folder.References = append(folder.References, addrspace.Reference{Type: ns0(id.Organizes), Target: child})
		changes = append(changes, addrspace.Change{Kind: addrspace.Put, Node: addrspace.Node{ID: child}})
	}
	changes[0].Node = folder
	if _, err := s.cfg.Space.Apply(changes); err != nil {
		t.Fatal(err)
	}
	c, token := sized(t, url, 1<<30, 0)
	req := &ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token)}
	for range paths {
		req.BrowsePaths = append(req.BrowsePaths, &ua.BrowsePath{StartingNode: named("folder").UA(),
			RelativePath: &ua.RelativePath{Elements: []*ua.RelativePathElement{{
				ReferenceTypeID: ns0(id.Organizes).UA(), TargetName: &ua.QualifiedName{}}}}})
	}
	body, err := channel.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Do(await.Context(t), body)
	if code := resultOf(raw, err); code != ua.StatusOK || len(raw) < most {
		t.Fatalf("got %v and %d bytes, want more than %d", code, len(raw), most)
	}
	resp, err := channel.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	results := resp.(*ua.TranslateBrowsePathsToNodeIDsResponse).Results
	if len(results) != paths {
		t.Fatalf("got %d results, want %d", len(results), paths)
	}
	for _, r := range results {
		if r.StatusCode != ua.StatusOK || len(r.Targets) != maxTargets ||
			r.Targets[maxTargets-1].RemainingPathIndex != math.MaxUint32 {
			t.Errorf("got %v and %d targets, want %d", r.StatusCode, len(r.Targets), maxTargets)
		}
	}
}

// OPC 10000-4 §7.30: only Objects and Variables have a type definition.
func TestOnlyObjectsAndVariablesHaveATypeDefinition(t *testing.T) {
	for class, want := range map[ua.NodeClass]bool{
		ua.NodeClassObject: true, ua.NodeClassVariable: true, ua.NodeClassMethod: false, ua.NodeClassView: false,
		ua.NodeClassObjectType:   false,
		ua.NodeClassVariableType: false, ua.NodeClassReferenceType: false, ua.NodeClassDataType: false,
	} {
		s, url := start(t, nil)
		node := addrspace.Node{ID: named("x"),
			References: []addrspace.Reference{{Type: ns0(id.HasTypeDefinition), Target: ns0(id.PropertyType)}},
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class))}}}
		plant := addrspace.Change{Kind: addrspace.AddReferences,
			Node: addrspace.Node{ID: named("plant"),
				References: []addrspace.Reference{{Type: ns0(id.HasComponent), Target: named("x")}}}}
		if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: node}, plant}); err != nil {
			t.Fatal(err)
		}
		c, token := newSession(t, url)
		req := browseOf(token, named("plant"), ns0(id.HasComponent), ua.BrowseDirectionForward).(*ua.BrowseRequest)
		req.NodesToBrowse[0].ResultMask = maskTypeDefinition
		resp, _ := ask(t, c, req)
		refs := resp.(*ua.BrowseResponse).Results[0].References
		last := refs[len(refs)-1]
		if got := last.TypeDefinition.NodeID.IntID() == id.PropertyType; last.NodeID.NodeID.StringID() != "x" ||
			got != want {
			t.Errorf("%v: got %v of %v, want a type definition: %v", class, last.TypeDefinition, last.NodeID, want)
		}
	}
}
