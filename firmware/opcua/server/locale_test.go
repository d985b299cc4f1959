package server

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// TestTextsKeepTheLocaleOfTheSource: which LocaleIds a client asks for changes no text, and
// the server claims none: it has each text in the language in which the transmitter read it.
func TestTextsKeepTheLocaleOfTheSource(t *testing.T) {
	s, url := start(t, nil)
	text := &ua.LocalizedText{EncodingMask: ua.LocalizedTextLocale | ua.LocalizedTextText, Locale: "sv", Text: "Kran"}
	set := func(node rawvalue.NodeID, a ua.AttributeID, v any) {
		t.Helper()
		change := addrspace.Change{Kind: addrspace.SetAttributes,
			Node: addrspace.Node{ID: node, Attributes: []addrspace.Attribute{{ID: a, Value: dataValue(t, v)}}}}
		if _, err := s.cfg.Space.Apply([]addrspace.Change{change}); err != nil {
			t.Fatal(err)
		}
	}
	locales := ns0(id.Server_ServerCapabilities_LocaleIDArray)
	node := addrspace.Node{ID: locales,
		Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass,
			Value: dataValue(t, int32(ua.NodeClassVariable))}}}
	if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: node}}); err != nil {
		t.Fatal(err)
	}
	set(named("plant"), ua.AttributeIDDisplayName, text)
	set(named("taga0"), ua.AttributeIDDescription, text)
	s.Set(named("taga0"), dataValue(t, text))
	s.Set(locales, dataValue(t, []string{"sv", "de"})) // what the source could have sent

	c := open(t, url)
	made, code := create(t, c)
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	for _, asked := range [][]string{nil, {"de"}, {"sv", "en"}, {}} {
		if _, code := ask(t, c, &ua.ActivateSessionRequest{
			RequestHeader: header(made.AuthenticationToken), ClientSignature: &ua.SignatureData{},
			UserTokenSignature: &ua.SignatureData{}, LocaleIDs: asked,
			UserIdentityToken: ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: policyAnonymous}),
		}); code != ua.StatusOK {
			t.Fatalf("ActivateSession with %q: %v", asked, code)
		}
		resp, _ := ask(t, c, readRequest(made.AuthenticationToken,
			&ua.ReadValueID{NodeID: named("plant").UA(), AttributeID: ua.AttributeIDDisplayName},
			&ua.ReadValueID{NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDDescription},
			&ua.ReadValueID{NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDValue},
			&ua.ReadValueID{NodeID: locales.UA(), AttributeID: ua.AttributeIDValue}))
		results := resp.(*ua.ReadResponse).Results
		for i, r := range results[:3] {
			if got, ok := r.Value.Value().(*ua.LocalizedText); !ok || *got != *text {
				t.Errorf("asked for %q, text %d is %+v, want %+v", asked, i, r.Value.Value(), text)
			}
		}
		if got, ok := results[3].Value.Value().([]string); !ok || len(got) != 0 {
			t.Errorf("LocaleIdArray is %v, want an empty array", results[3].Value.Value())
		}
	}
	req := browseOf(made.AuthenticationToken, ns0(id.ObjectsFolder), ns0(id.HierarchicalReferences),
		ua.BrowseDirectionForward).(*ua.BrowseRequest)
	req.NodesToBrowse[0].ResultMask = maskDisplayName
	resp, _ := ask(t, c, req)
	for _, r := range resp.(*ua.BrowseResponse).Results[0].References {
		if r.NodeID.NodeID.StringID() == "plant" && *r.DisplayName != *text {
			t.Errorf("Browse says %+v, want %+v", r.DisplayName, text)
		}
	}
}
