package server

import (
	"bytes"
	"math"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

func value(name string) *ua.ReadValueID {
	return &ua.ReadValueID{NodeID: named(name).UA(), AttributeID: ua.AttributeIDValue}
}

func TestRead(t *testing.T) {
	s, url := start(t, nil)
	s.Set(named("taga0"), dataValue(t, []uint32{1, 2, 3}))
	c, token := newSession(t, url)
	item := func(change func(*ua.ReadValueID)) *ua.ReadValueID {
		it := value("taga0")
		change(it)
		return it
	}
	for name, tc := range map[string]struct {
		item *ua.ReadValueID
		want ua.StatusCode
		len  int // of the array, −1: none
	}{
		"a value":              {value("taga0"), ua.StatusOK, 3},
		"a range":              {item(func(r *ua.ReadValueID) { r.IndexRange = "1:2" }), ua.StatusOK, 2},
		"beyond the end":       {item(func(r *ua.ReadValueID) { r.IndexRange = "7" }), ua.StatusBadIndexRangeNoData, -1},
		"a bad range":          {item(func(r *ua.ReadValueID) { r.IndexRange = "2:1" }), ua.StatusBadIndexRangeInvalid, -1},
		"a range of a name":    {item(func(r *ua.ReadValueID) { r.IndexRange, r.AttributeID = "1", ua.AttributeIDDisplayName }), ua.StatusBadIndexRangeInvalid, -1},
		"binary":               {item(func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Default Binary"} }), ua.StatusOK, 3},
		"XML":                  {item(func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Default XML"} }), ua.StatusBadDataEncodingUnsupported, -1},
		"another encoding":     {item(func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: "Morse"} }), ua.StatusBadDataEncodingInvalid, -1},
		"no value yet":         {value("tagb0"), ua.StatusBadWaitingForInitialData, -1},
		"no such node":         {value("nowhere"), ua.StatusBadNodeIDUnknown, -1},
		"no such attribute":    {item(func(r *ua.ReadValueID) { r.AttributeID = ua.AttributeIDSymmetric }), ua.StatusBadAttributeIDInvalid, -1},
		"attribute 0":          {item(func(r *ua.ReadValueID) { r.AttributeID = 0 }), ua.StatusBadAttributeIDInvalid, -1},
		"attribute 28":         {item(func(r *ua.ReadValueID) { r.AttributeID = 28 }), ua.StatusBadAttributeIDInvalid, -1},
		"another's attribute":  {item(func(r *ua.ReadValueID) { r.AttributeID = ua.AttributeIDDisplayName }), ua.StatusOK, -1},
		"the server's status":  {stateItem(), ua.StatusOK, -1},
		"a value of an object": {&ua.ReadValueID{NodeID: named("plant").UA(), AttributeID: ua.AttributeIDValue}, ua.StatusBadAttributeIDInvalid, -1},
	} {
		t.Run(name, func(t *testing.T) {
			resp, code := ask(t, c, readRequest(token, tc.item))
			if code != ua.StatusOK {
				t.Fatal(code)
			}
			dv := resp.(*ua.ReadResponse).Results[0]
			if dv.Status != tc.want {
				t.Errorf("status %v, want %v", dv.Status, tc.want)
			}
			if tc.len >= 0 && (dv.Value == nil || len(dv.Value.Value().([]uint32)) != tc.len) {
				t.Errorf("value %v, want %d elements", dv.Value, tc.len)
			}
		})
	}
}

func TestReadsThatAreRefusedAsAWhole(t *testing.T) {
	_, url := start(t, func(c *Config) { c.Limits.Operations = 10 })
	c, token := newSession(t, url)
	many := readRequest(token)
	for range 11 {
		many.NodesToRead = append(many.NodesToRead, &ua.ReadValueID{NodeID: named("taga0").UA(), AttributeID: 13, DataEncoding: &ua.QualifiedName{}})
	}
	stamps, age, nan := readRequest(token, value("taga0")), readRequest(token, value("taga0")), readRequest(token, value("taga0"))
	stamps.TimestampsToReturn, age.MaxAge, nan.MaxAge = 9, -1, math.NaN()
	for name, tc := range map[string]struct {
		req  *ua.ReadRequest
		want ua.StatusCode
	}{
		"nothing": {readRequest(token), ua.StatusBadNothingToDo}, "too much": {many, ua.StatusBadTooManyOperations},
		"odd timestamps": {stamps, ua.StatusBadTimestampsToReturnInvalid}, "negative age": {age, ua.StatusBadMaxAgeInvalid}, "no age": {nan, ua.StatusBadMaxAgeInvalid},
	} {
		if _, code := ask(t, c, tc.req); code != tc.want {
			t.Errorf("%s: %v, want %v", name, code, tc.want)
		}
	}
}

func TestValuesAreServedByteForByte(t *testing.T) {
	s, url := start(t, nil)
	raw := []byte{1, 22, 1, 2, 9, 9, 1, 3, 0, 0, 0, 7, 8, 9} // a structure that nobody knows
	s.Set(named("taga0"), raw)
	cl, err := client.Connect(t.Context(), client.Config{Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	err = cl.Read(t.Context(), []client.ReadItem{{Node: named("taga0"), Attribute: ua.AttributeIDValue}}, 0, func(_ int, dv rawvalue.DataValue) {
		if !bytes.Equal(dv.Value.Raw, raw[1:]) {
			t.Errorf("got %x, want %x", dv.Value.Raw, raw[1:])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatNeedsEncryptionIsNotGivenWithout(t *testing.T) {
	restrict := func(c *Config) {
		c.Anonymous = true
		_, err := c.Space.Apply([]addrspace.Change{{Kind: addrspace.SetAttributes, Node: addrspace.Node{
			ID: named("taga0"), Attributes: []addrspace.Attribute{{ID: ua.AttributeIDAccessRestrictions, Value: dataValue(t, uint16(encryptionRequired|appliesToBrowse))}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	s, url, _, theirs := pair(t, restrict)
	s.Set(named("taga0"), dataValue(t, uint32(1)))
	for _, security := range secured[:2] {
		c, err := connect(t, url, security, theirs, client.User{})
		if err != nil {
			t.Fatal(err)
		}
		want, listed := ua.StatusOK, 40
		if security.Mode == ua.MessageSecurityModeSign {
			want, listed = ua.StatusBadSecurityModeInsufficient, 39
		}
		_ = c.Read(t.Context(), []client.ReadItem{{Node: named("taga0"), Attribute: ua.AttributeIDValue}}, 0, func(_ int, dv rawvalue.DataValue) {
			if dv.Status != want {
				t.Errorf("%v: read %v, want %v", security.Mode, dv.Status, want)
			}
		})
		_ = c.Browse(t.Context(), []rawvalue.NodeID{named("plant")}, func(_ int, _ ua.StatusCode, refs []addrspace.Reference) {
			if len(refs) != listed {
				t.Errorf("%v: %d references, want %d", security.Mode, len(refs), listed)
			}
		})
	}
}

// A namespace's default holds for its nodes that say nothing of their own.
func TestWhatANamespaceKeepsEncryptedIsNotGivenWithout(t *testing.T) {
	property := func(of, name string) addrspace.Node {
		return addrspace.Node{ID: named(of + name), Attributes: []addrspace.Attribute{
			{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassVariable))},
			{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: name})},
		}}
	}
	put := func(n addrspace.Node) addrspace.Change { return addrspace.Change{Kind: addrspace.Put, Node: n} }
	s, url, _, theirs := pair(t, func(c *Config) {
		_, err := c.Space.Apply([]addrspace.Change{
			put(addrspace.Node{ID: ns0(id.Server_Namespaces), References: []addrspace.Reference{{Type: ns0(id.HasComponent), Target: named("meta")}}}),
			put(addrspace.Node{ID: named("meta"), References: []addrspace.Reference{
				{Type: ns0(id.HasProperty), Target: named("metaNamespaceUri")}, {Type: ns0(id.HasProperty), Target: named("metaDefaultAccessRestrictions")},
			}}),
			put(property("meta", "NamespaceUri")), put(property("meta", "DefaultAccessRestrictions")),
			put(addrspace.Node{ID: ns0(id.HasProperty)}),
			{Kind: addrspace.SetAttributes, Node: addrspace.Node{ID: named("tagb0"), Attributes: []addrspace.Attribute{{ID: ua.AttributeIDAccessRestrictions, Value: dataValue(t, uint16(0))}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	s.SetNamespaces([]string{"http://opcfoundation.org/UA/", "urn:secret"})
	s.Set(named("metaNamespaceUri"), dataValue(t, "urn:secret"))
	s.Set(named("metaDefaultAccessRestrictions"), dataValue(t, uint16(encryptionRequired)))
	for _, tag := range []string{"taga0", "tagb0"} {
		s.Set(named(tag), dataValue(t, uint32(1)))
	}
	for _, security := range secured[:2] {
		c, err := connect(t, url, security, theirs, client.User{})
		if err != nil {
			t.Fatal(err)
		}
		for tag, open := range map[string]bool{"taga0": false, "tagb0": true} { // tagb0 has its own word: nothing
			want := ua.StatusOK
			if security.Mode == ua.MessageSecurityModeSign && !open {
				want = ua.StatusBadSecurityModeInsufficient
			}
			_ = c.Read(t.Context(), []client.ReadItem{{Node: named(tag), Attribute: ua.AttributeIDValue}}, 0, func(_ int, dv rawvalue.DataValue) {
				if dv.Status != want {
					t.Errorf("%v: %s is %v, want %v", security.Mode, tag, dv.Status, want)
				}
			})
		}
	}
}

func browseRequest(token *ua.NodeID, most uint32, nodes ...*ua.BrowseDescription) *ua.BrowseRequest {
	return &ua.BrowseRequest{
		RequestHeader: header(token), View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}, RequestedMaxReferencesPerNode: most, NodesToBrowse: nodes,
	}
}

func description(node rawvalue.NodeID, mask uint32) *ua.BrowseDescription {
	return &ua.BrowseDescription{
		NodeID: node.UA(), ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), IncludeSubtypes: true, ResultMask: mask,
	}
}

func TestBrowse(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	resp, code := ask(t, c, browseRequest(token, 0, description(ns0(id.ObjectsFolder), 0x3f), description(ns0(id.ObjectsFolder), 0)))
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	results := resp.(*ua.BrowseResponse).Results
	full, bare := results[0].References, results[1].References
	if len(full) != 2 || full[1].BrowseName.Name != "Plant" || full[1].DisplayName.Text != "Plant" || full[1].NodeClass != ua.NodeClassObject || !full[1].IsForward ||
		full[1].ReferenceTypeID.IntID() != id.Organizes {
		t.Errorf("Objects lists %+v", full)
	}
	if len(bare) != 2 || bare[1].BrowseName.Name != "" || bare[1].NodeClass != 0 || bare[1].NodeID.NodeID.StringID() != "plant" {
		t.Errorf("without a mask Objects lists %+v", bare)
	}
	for name, tc := range map[string]struct {
		change func(*ua.BrowseDescription)
		want   ua.StatusCode
		n      int
	}{
		"inverse":             {func(d *ua.BrowseDescription) { d.BrowseDirection = ua.BrowseDirectionInverse }, ua.StatusOK, 0},
		"without subtypes":    {func(d *ua.BrowseDescription) { d.IncludeSubtypes = false }, ua.StatusOK, 0},
		"of a class":          {func(d *ua.BrowseDescription) { d.NodeClassMask = uint32(ua.NodeClassVariable) }, ua.StatusOK, 0},
		"of every type":       {func(d *ua.BrowseDescription) { d.ReferenceTypeID = ua.NewTwoByteNodeID(0) }, ua.StatusOK, 2},
		"an unknown node":     {func(d *ua.BrowseDescription) { d.NodeID = named("nowhere").UA() }, ua.StatusBadNodeIDUnknown, 0},
		"an odd direction":    {func(d *ua.BrowseDescription) { d.BrowseDirection = 9 }, ua.StatusBadBrowseDirectionInvalid, 0},
		"a type that is none": {func(d *ua.BrowseDescription) { d.ReferenceTypeID = named("plant").UA() }, ua.StatusBadReferenceTypeIDInvalid, 0},
		"a type nobody knows": {func(d *ua.BrowseDescription) { d.ReferenceTypeID = named("x").UA() }, ua.StatusBadReferenceTypeIDInvalid, 0},
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

func TestBrowseGoesOnWhereItWas(t *testing.T) {
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
	if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: addrspace.Node{ID: named("new")}}}); err != nil {
		t.Fatal(err)
	}
	old := point
	for len(point) > 0 {
		resp, code := ask(t, c, &ua.BrowseNextRequest{RequestHeader: header(token), ContinuationPoints: [][]byte{point}})
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
		resp, code := ask(t, c, &ua.BrowseNextRequest{RequestHeader: header(token), ReleaseContinuationPoints: release, ContinuationPoints: points})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		var codes []ua.StatusCode
		for _, r := range resp.(*ua.BrowseNextResponse).Results {
			codes = append(codes, r.StatusCode)
		}
		return codes
	}
	if got := next(false, old, nil); got[0] != ua.StatusBadContinuationPointInvalid || got[1] != ua.StatusBadContinuationPointInvalid {
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
			e := &ua.RelativePathElement{ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences), IncludeSubtypes: true, TargetName: &ua.QualifiedName{Name: n}}
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
		"a tag": {path(ns0(id.RootFolder), "Objects", "Plant", "taga0"), ua.StatusOK}, "nothing there": {path(ns0(id.RootFolder), "Objects", "Nowhere"), ua.StatusBadNoMatch},
		"an unknown start": {path(named("x"), "Objects"), ua.StatusBadNodeIDUnknown}, "no path": {path(ns0(id.RootFolder)), ua.StatusBadNothingToDo},
		"an empty name": {path(ns0(id.RootFolder), "", "Plant"), ua.StatusBadBrowseNameInvalid},
	} {
		resp, code := ask(t, c, &ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token), BrowsePaths: []*ua.BrowsePath{tc.path}})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		r := resp.(*ua.TranslateBrowsePathsToNodeIDsResponse).Results[0]
		if r.StatusCode != tc.want || tc.want == ua.StatusOK && r.Targets[0].TargetID.NodeID.StringID() != "taga0" {
			t.Errorf("%s: %v %v, want %v", name, r.StatusCode, r.Targets, tc.want)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	_, url := start(t, nil)
	c, token := newSession(t, url)
	h := header(token)
	h.ReturnDiagnostics = (wantsText | wantsAdditional) << perOperation
	write := &ua.WriteRequest{RequestHeader: h, NodesToWrite: []*ua.WriteValue{{
		NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDValue, Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(1.5)},
	}}}
	resp, code := ask(t, c, write)
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	w := resp.(*ua.WriteResponse)
	if w.Results[0] != ua.StatusBadNotWritable || len(w.DiagnosticInfos) != 1 || w.DiagnosticInfos[0].AdditionalInfo != "only to look at" ||
		len(w.ResponseHeader.StringTable) != 1 || w.ResponseHeader.StringTable[0] != "only to look at" {
		t.Errorf("Write: %v, diagnostics %+v, strings %q", w.Results, w.DiagnosticInfos, w.ResponseHeader.StringTable)
	}
	call := &ua.CallRequest{RequestHeader: header(token), MethodsToCall: []*ua.CallMethodRequest{{ObjectID: named("plant").UA(), MethodID: named("start").UA()}}}
	if resp, _ := ask(t, c, call); resp.(*ua.CallResponse).Results[0].StatusCode != ua.StatusBadNotExecutable {
		t.Errorf("Call: %v", resp.(*ua.CallResponse).Results[0].StatusCode)
	}
	history := &ua.HistoryReadRequest{
		RequestHeader: header(token), HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{}),
		NodesToRead: []*ua.HistoryReadValueID{{NodeID: named("taga0").UA(), DataEncoding: &ua.QualifiedName{}}},
	}
	if resp, _ := ask(t, c, history); resp.(*ua.HistoryReadResponse).Results[0].StatusCode != ua.StatusBadHistoryOperationUnsupported {
		t.Errorf("HistoryRead: %v", resp.(*ua.HistoryReadResponse).Results[0].StatusCode)
	}
	for _, req := range []any{
		&ua.AddNodesRequest{RequestHeader: header(token)}, &ua.DeleteNodesRequest{RequestHeader: header(token)},
		&ua.AddReferencesRequest{RequestHeader: header(token)}, &ua.DeleteReferencesRequest{RequestHeader: header(token)},
	} {
		if _, code := ask(t, c, req); code != ua.StatusBadServiceUnsupported {
			t.Errorf("%T: %v, want Bad_ServiceUnsupported", req, code)
		}
	}
	if _, code := ask(t, c, &ua.HistoryUpdateRequest{RequestHeader: header(token), HistoryUpdateDetails: []*ua.ExtensionObject{ua.NewExtensionObject(&ua.DeleteRawModifiedDetails{NodeID: named("taga0").UA()})}}); code != ua.StatusOK {
		t.Errorf("HistoryUpdate: %v, want a result per operation", code)
	}
}

func TestTheServersOwnNodes(t *testing.T) {
	s, url := start(t, nil)
	s.SetState(ua.ServerStateCommunicationFault, 7)
	s.Set(ns0(id.Server_ServerArray), dataValue(t, []string{"urn:source", "urn:another"}))
	c, token := newSession(t, url)
	resp, _ := ask(t, c, readRequest(token, stateItem(), &ua.ReadValueID{NodeID: ns0(id.Server_ServerArray).UA(), AttributeID: 13},
		&ua.ReadValueID{NodeID: ns0(id.Server).UA(), AttributeID: ua.AttributeIDEventNotifier}, &ua.ReadValueID{NodeID: ns0(id.Server_ServiceLevel).UA(), AttributeID: 13}))
	got := resp.(*ua.ReadResponse).Results
	status, ok := got[0].Value.Value().(*ua.ExtensionObject).Value.(*ua.ServerStatusDataType)
	if !ok || status.State != ua.ServerStateCommunicationFault {
		t.Errorf("ServerStatus is %+v", got[0].Value)
	}
	if uris := got[1].Value.Value().([]string); len(uris) != 2 || uris[0] != "urn:test:server" || uris[1] != "urn:another" {
		t.Errorf("ServerArray is %q", uris)
	}
	if got[2].Value.Value() != byte(1) {
		t.Errorf("EventNotifier is %v", got[2].Value.Value())
	}
	if got[3].Status != ua.StatusBadNodeIDUnknown {
		t.Errorf("ServiceLevel, a node that the space has not, is %v", got[3].Status)
	}
}
