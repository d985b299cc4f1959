package opcua

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
)

// TestTheOrderOfReferencesIsTheSources (OPC 10000-3 §7.9), over insertions, exchanges,
// and a restart with the cache.
func TestTheOrderOfReferencesIsTheSources(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	for i := range 5 {
		node := named(fmt.Sprint(i))
		f.add(node, ua.NodeClassVariable, node.Text)
		f.refer(named("press"), id.HasOrderedComponent, node)
	}
	press := f.nodes[named("press")]
	press.References = slices.Insert(press.References, 2, external("elsewhere", 0x40, "\x01\x00\x00\x00"))
	press.References = slices.Insert(press.References, 4, external("unlisted", 0x80, "\x0b\x00\x00\x00urn:unknown"))
	path := filepath.Join(t.TempDir(), "cache")
	check := func(what string) {
		t.Helper()
		browse(t, m, f, p)
		if got := p.nodes(t, m.Generation)[named("press")].References; !reflect.DeepEqual(got,
			press.References) {
			t.Errorf("%s: got %v, want %v", what, targets(got), targets(press.References))
		}
		if err := m.save(path, 1); err != nil {
			t.Fatal(err)
		}
		again, err := loadModel(path, 1, 48<<20)
		if err != nil {
			t.Fatal(err)
		}
		cached := &port{}
		bare(cached).flush(again, true)
		if got := cached.nodes(t, m.Generation)[named("press")].References; !reflect.DeepEqual(got,
			press.References) {
			t.Errorf("%s, from the cache: got %v, want %v", what, targets(got), targets(press.References))
		}
	}
	check("first")
	n := len(press.References)
	press.References[n-1], press.References[n-3] = press.References[n-3], press.References[n-1]
	check("exchanged")
	f.add(named("new"), ua.NodeClassVariable, "new")
	f.refer(named("press"), id.HasOrderedComponent, named("new"))
	press.References = slices.Insert(press.References[:n], 2, press.References[n])
	check("inserted")
	slices.Reverse(press.References)
	check("reversed")
}

// external refers to a node of another server, or of a namespace that the server does
// not list.
func external(name string, flag byte, tail string) addrspace.Reference {
	raw := named(name).AppendTo(nil)
	raw[0] |= flag
	return addrspace.Reference{Type: ns0(id.HasOrderedComponent), External: string(raw) + tail}
}

func targets(refs []addrspace.Reference) (names []string) {
	for _, r := range refs {
		if r.External != "" {
			names = append(names, fmt.Sprintf("%q", r.External))
		} else {
			names = append(names, r.Target.Text)
		}
	}
	return names
}
