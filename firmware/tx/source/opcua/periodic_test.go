package opcua

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func TestValuesOfTheServerItselfAreNotFollowed(t *testing.T) {
	f, m := plant(), newModel(nil, 48<<20)
	status, now := ns0(id.Server_ServerStatus), ns0(id.Server_ServerStatus_CurrentTime)
	f.add(status, ua.NodeClassVariable, "ServerStatus")
	f.add(now, ua.NodeClassVariable, "CurrentTime")
	f.refer(ns0(id.Server), id.HasComponent, status)
	f.refer(status, id.HasComponent, now)
	browse(t, m, f, &port{})
	m.space.View(func(v addrspace.View) {
		own := servedByMirror(v)
		for node, want := range map[rawvalue.NodeID]bool{status: true, now: true,
			ns0(id.Server_ServerDiagnostics): true, named("speed"): false, ns0(id.Server): false} {
			if own[node] != want {
				t.Errorf("%v is answered by the mirror itself: %v, want %v", node, own[node], want)
			}
		}
	})
}
