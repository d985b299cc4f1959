package opcua

import (
	"encoding/binary"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// node makes a node of a class, with a BrowseName and a type definition, and references
// that lead on.
func node(n rawvalue.NodeID, class ua.NodeClass, namespace uint16, name string, definition uint32,
	to ...addrspace.Reference) addrspace.Node {
	b := binary.LittleEndian.AppendUint16([]byte{1, byte(ua.TypeIDQualifiedName)}, namespace)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(name))), name...)
	if definition != 0 {
		to = append(to, addrspace.Reference{Type: ns0(id.HasTypeDefinition), Target: ns0(definition)})
	}
	return addrspace.Node{ID: n, References: to, Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: binary.LittleEndian.AppendUint32([]byte{1, 6}, uint32(class))},
		{ID: ua.AttributeIDBrowseName, Value: b},
	}}
}

func down(kind uint32, to ...rawvalue.NodeID) (refs []addrspace.Reference) {
	for _, n := range to {
		refs = append(refs, addrspace.Reference{Type: ns0(kind), Target: n})
	}
	return refs
}

// nodes delivers a block of generation 7.
func (l *link) nodes(number uint32, nodes ...addrspace.Node) {
	var slots []byte
	for i := range nodes {
		slots = append(slots, byte(i))
	}
	var p payload.Packer
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: number}.Append(nil),
		Payload: p.Pack(slots, nodes)})
}

// described is a plant with metadata, named "d…", and process values.
func described(t *testing.T) *link {
	l := newLink(t)
	l.announce(7)
	l.nodes(0,
		node(named("dproperty"), ua.NodeClassVariable, 0, "EnumStrings", id.PropertyType),
		node(named("dunits"), ua.NodeClassVariable, 0, "EngineeringUnits", id.PropertyType),
		node(named("ddictionary"), ua.NodeClassVariable, 1, "Any", id.DataTypeDictionaryType),
		node(named("ddescription"), ua.NodeClassVariable, 1, "Any", id.DataTypeDescriptionType),
		node(named("dtype"), ua.NodeClassVariable, 1, "Limit", id.BaseDataVariableType),
		node(named("text"), ua.NodeClassVariable, 0, "ValueAsText", id.PropertyType),
		node(named("vendor"), ua.NodeClassVariable, 1, "EnumStrings", id.PropertyType),
		node(named("data"), ua.NodeClassVariable, 0, "EnumStrings", id.BaseDataVariableType),
		node(named("plant"), ua.NodeClassVariable, 1, "Pressure", id.BaseDataVariableType),
	)
	l.nodes(1,
		node(ns0(id.TypesFolder), ua.NodeClassObject, 0, "Types", id.FolderType,
			down(id.Organizes, named("kind"), ns0(id.ObjectsFolder))...),
		node(named("kind"), ua.NodeClassObjectType, 1, "Kind", 0, down(id.HasComponent, named("dtype"))...),
		node(ns0(id.ObjectsFolder), ua.NodeClassObject, 0, "Objects", id.FolderType,
			down(id.HasComponent, named("plant"))...),
		node(ns0(id.HierarchicalReferences), ua.NodeClassReferenceType, 0, "HierarchicalReferences", 0,
			down(id.HasSubtype, ns0(id.Organizes), ns0(id.HasComponent), ns0(id.HasSubtype))...),
		node(ns0(id.Organizes), ua.NodeClassReferenceType, 0, "Organizes", 0),
		node(ns0(id.HasComponent), ua.NodeClassReferenceType, 0, "HasComponent", 0),
		node(ns0(id.HasSubtype), ua.NodeClassReferenceType, 0, "HasSubtype", 0),
	)
	for h := range uint32(9) {
		l.value(7, h, 1)
	}
	l.health.Complete = true
	if why := l.judge(time.Second); why != "" {
		t.Fatal(why)
	}
	return l
}

var (
	theyDescribe = []string{"dproperty", "dunits", "ddictionary", "ddescription", "dtype"}
	theyReport   = []string{"text", "vendor", "data", "plant"}
)

func TestMetadataKeepsItsStatus(t *testing.T) {
	for name, health := range map[string]sink.Health{
		"link silent": {Stale: true, Complete: true, State: sink.Up}, "source down": {Complete: true, State: sink.Down},
		"a loss": {State: sink.Up},
	} {
		t.Run(name, func(t *testing.T) {
			l := described(t)
			for h := range uint32(9) {
				l.unconfirmed[string(valueKey(7, h))] = true
			}
			l.health = health
			l.judge(2 * time.Second)
			for _, v := range theyDescribe {
				l.want(v, 1, good)
			}
			for _, v := range theyReport {
				if _, code := l.served(v); code != lastGood && code != cutOff {
					t.Errorf("%s reports, and is %v; want Uncertain", v, code)
				}
			}
			l.value(7, 4, 5) // one that was under way
			l.want("dtype", 5, good)
		})
	}
}

// A receiver that starts while the link is dark serves metadata only.
func TestMetadataSurvivesARestartWithoutALink(t *testing.T) {
	folder := t.TempDir()
	start := func(l *link) *Sink {
		return New(config.OPCUASink{Channel: "hall"}, folder,
			Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	}
	old := described(t)
	before := start(old)
	before.mirror = old.mirror
	before.flushCache()
	l := newLink(t)
	s := start(l)
	s.loadCache()
	l.mirror, l.health = s.mirror, sink.Health{Stale: true}
	l.judge(time.Second)
	for _, v := range theyDescribe {
		l.want(v, 1, good)
	}
	for _, v := range theyReport {
		if got, code := l.served(v); !math.IsNaN(got) || code != ua.StatusBadWaitingForInitialData {
			t.Errorf("%s is %v, %v after the restart; want no value", v, got, code)
		}
	}
}
