package client

import (
	"testing"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func TestReferenceToAnotherServerKeepsItsBytes(t *testing.T) {
	external := append([]byte{0x80, 5}, appendBytes(nil, []byte("urn:elsewhere"))...)
	raw := append([]byte{0, 35, 1}, external...)
	raw = append(raw, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0)
	c := rawvalue.NewCursor(raw, rawvalue.Limits{})
	got, err := reference(&c)
	want := addrspace.Reference{Type: rawvalue.NodeID{Number: 35}, External: string(external)}
	if err != nil || got != want || c.Pos() != len(raw) {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
}

func TestReferenceByNamespaceURIIsTheLocalNode(t *testing.T) {
	node := rawvalue.NodeID{Kind: rawvalue.String, Text: "press"}
	expanded := func(uri string, server int) addrspace.Reference {
		raw := append([]byte{}, node.AppendTo(nil)...)
		if uri != "" {
			raw[0] |= 0x80
			raw = appendBytes(raw, []byte(uri))
		}
		if server >= 0 {
			raw[0] |= 0x40
			raw = appendUint32(raw, uint32(server))
		}
		return addrspace.Reference{External: string(raw)}
	}
	s := &Session{namespaces: []string{"http://opcfoundation.org/UA/", "urn:plc"}}
	local := rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "press"}
	for name, test := range map[string]struct {
		ref  addrspace.Reference
		want rawvalue.NodeID
	}{
		"by its URI":                {expanded("urn:plc", -1), local},
		"by its URI, of server 0":   {expanded("urn:plc", 0), local},
		"by its index, of server 0": {expanded("", 0), node},
		"of another server":         {expanded("urn:plc", 1), rawvalue.NodeID{}},
		"of an unknown namespace":   {expanded("urn:other", -1), rawvalue.NodeID{}},
		"cut": {addrspace.Reference{External: expanded("urn:plc", -1).External[:9]},
			rawvalue.NodeID{}},
	} {
		t.Run(name, func(t *testing.T) {
			refs := []addrspace.Reference{test.ref}
			s.resolveLocal(refs)
			if refs[0].Target != test.want || (refs[0].External == "") != (test.want != rawvalue.NodeID{}) {
				t.Errorf("got %+v, want %v", refs[0], test.want)
			}
		})
	}
}
