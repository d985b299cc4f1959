package server

import (
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// withView adds a View that holds the plant, a part of it, and a node that only the
// address space holds.
func withView(t *testing.T, s *Server) {
	t.Helper()
	node := func(n rawvalue.NodeID, class ua.NodeClass, refs ...addrspace.Reference) addrspace.Change {
		return addrspace.Change{Kind: addrspace.Put,
			Node: addrspace.Node{ID: n, References: refs, Attributes: []addrspace.Attribute{
				{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class))},
				{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: n.String()})},
			}}}
	}
	to := func(kind uint32, n rawvalue.NodeID) addrspace.Reference {
		return addrspace.Reference{Type: ns0(kind), Target: n}
	}
	back := addrspace.Reference{Type: ns0(id.Organizes), Target: named("other"), Inverse: true}
	_, err := s.cfg.Space.Apply([]addrspace.Change{
		node(ns0(id.HasProperty), ua.NodeClassReferenceType,
			addrspace.Reference{Type: ns0(id.HasSubtype), Target: ns0(id.HierarchicalReferences), Inverse: true}),
		node(named("view"), ua.NodeClassView, to(id.Organizes, named("machine")), to(id.HasProperty, named("version"))),
		node(named("version"), ua.NodeClassVariable),
		node(named("machine"), ua.NodeClassObject, to(id.HasComponent, named("part")),
			to(id.HasTypeDefinition, ns0(id.FolderType)), back),
		node(named("part"), ua.NodeClassVariable),
		node(named("other"), ua.NodeClassObject, to(id.Organizes, named("machine")), to(id.Organizes, named("hidden"))),
		node(named("hidden"), ua.NodeClassObject),
		node(ns0(id.FolderType), ua.NodeClassObjectType), node(ns0(id.HasTypeDefinition), ua.NodeClassReferenceType),
	})
	if err != nil {
		t.Fatal(err)
	}
	// the property's BrowseName
	if _, err := s.cfg.Space.Apply(
		[]addrspace.Change{{Kind: addrspace.SetAttributes,
			Node: addrspace.Node{ID: named("version"), Attributes: []addrspace.Attribute{
				{ID: ua.AttributeIDBrowseName,
					Value: dataValue(t, &ua.QualifiedName{Name: "ViewVersion"})}}}}}); err != nil {
		t.Fatal(err)
	}
	s.Set(named("version"), dataValue(t, uint32(7)))
}

func TestBrowsingAView(t *testing.T) {
	s, url := start(t, nil)
	withView(t, s)
	c, token := newSession(t, url)
	var never time.Time
	now := time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)
	for name, tc := range map[string]struct {
		view    rawvalue.NodeID
		version uint32
		at      time.Time
		node    rawvalue.NodeID
		both    bool
		want    ua.StatusCode
		found   []string
	}{
		"the view itself":           {named("view"), 0, never, named("view"), false, 0, []string{"machine", "version"}},
		"a node of it":              {named("view"), 0, never, named("machine"), false, 0, []string{"part"}},
		"of its only what it holds": {named("view"), 0, never, named("machine"), true, 0, []string{"part"}},
		"without a view": {rawvalue.NodeID{}, 0, never, named("machine"), true, 0,
			[]string{"i=61", "other", "part"}},
		"its version": {named("view"), 7, never, named("machine"), false, 0, []string{"part"}},
		"another version": {named("view"), 6, never, named("machine"), false, ua.StatusBadViewVersionInvalid,
			nil},
		"a timestamp": {named("view"), 0, now, named("machine"), false,
			ua.StatusBadViewTimestampInvalid, nil},
		"its version and a timestamp": {named("view"), 7, now, named("machine"), false,
			ua.StatusBadViewParameterMismatch, nil},
		"a node that it has not": {named("view"), 0, never, named("hidden"), false, ua.StatusBadNodeNotInView, nil},
		"an unknown node":        {named("view"), 0, never, named("none"), false, ua.StatusBadNodeIDUnknown, nil},
		"an unknown view":        {named("none"), 0, never, named("machine"), false, ua.StatusBadViewIDUnknown, nil},
		"an unknown view, a timestamp": {named("none"), 7, now, named("machine"), false, ua.StatusBadViewIDUnknown,
			nil},
		"an object in place of one": {named("machine"), 0, never, named("machine"), false, ua.StatusBadViewIDUnknown,
			nil},
		"the null view with version": {rawvalue.NodeID{}, 7, never, named("machine"), false, 0,
			[]string{"i=61", "part"}},
		"the null view with both": {rawvalue.NodeID{}, 7, now, named("machine"), false, 0, []string{"i=61", "part"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := browseOf(token, tc.node, rawvalue.NodeID{}, ua.BrowseDirectionForward).(*ua.BrowseRequest)
			if tc.both {
				req.NodesToBrowse[0].BrowseDirection = ua.BrowseDirectionBoth
			}
			req.View = &ua.ViewDescription{ViewID: tc.view.UA(), ViewVersion: tc.version, Timestamp: tc.at}
			req.RequestedMaxReferencesPerNode = 1 // the rest with BrowseNext, in the same view
			resp, code := ask(t, c, req)
			var found []string
			if code == ua.StatusOK {
				result := resp.(*ua.BrowseResponse).Results[0]
				for code = result.StatusCode; ; {
					for _, r := range result.References {
						if text := r.NodeID.NodeID.StringID(); text != "" {
							found = append(found, text)
						} else {
							found = append(found, r.NodeID.NodeID.String())
						}
					}
					if len(result.ContinuationPoint) == 0 {
						break
					}
					resp, _ := ask(t, c,
						&ua.BrowseNextRequest{RequestHeader: header(token),
							ContinuationPoints: [][]byte{result.ContinuationPoint}})
					result = resp.(*ua.BrowseNextResponse).Results[0]
				}
			}
			slices.Sort(found)
			if code != tc.want || !slices.Equal(found, tc.found) {
				t.Errorf("got %v and %q, want %v and %q", code, found, tc.want, tc.found)
			}
		})
	}
}
