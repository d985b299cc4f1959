package opcua

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

func TestQualityDuringOutages(t *testing.T) {
	for name, c := range map[string]struct {
		health sink.Health
		want   ua.StatusCode
		state  ua.ServerState
	}{
		"link silent": {sink.Health{Stale: true, Complete: true, State: sink.Up}, lastGood,
			ua.ServerStateCommunicationFault},
		"source down": {sink.Health{Complete: true, State: sink.Down, Reason: "gone"}, cutOff,
			ua.ServerStateCommunicationFault},
		"source connecting": {sink.Health{Complete: true, State: sink.Connecting}, cutOff,
			ua.ServerStateCommunicationFault},
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			well := l.health
			l.health = c.health
			if why := l.judge(time.Second); why == "" {
				t.Error("the mirror is ready")
			}
			l.want("a", 1, c.want)
			l.value(7, 1, 5) // one that was under way
			l.want("b", 5, c.want)
			if l.server.state != c.state || l.server.level >= 200 || l.server.missing != ua.StatusBadNoCommunication {
				t.Errorf("the server says %v, level %d, missing values are %v", l.server.state, l.server.level,
					l.server.missing)
			}
			l.health = well
			if why := l.judge(time.Second); why != "" {
				t.Errorf("not ready afterwards: %s", why)
			}
			l.want("a", 1, good)
			l.want("b", 5, good)
			if l.server.state != ua.ServerStateRunning || l.server.level != 255 {
				t.Errorf("afterwards the server says %v, level %d", l.server.state, l.server.level)
			}
		})
	}
}

func TestABadStatusIsKept(t *testing.T) {
	l := complete(t)
	raw := []byte{2, 0, 0, 0x05, 0x80} // Bad_CommunicationError of the source's own
	v, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	content, _ := payload.AppendValue(nil, v)
	l.deliver(sink.Update{Key: valueKey(7, 0), Payload: content})
	l.health.Stale = true
	l.judge(time.Second)
	got, _ := rawvalue.SkimDataValue(l.server.values[named("a")], rawvalue.Limits{})
	if got.Status != ua.StatusBadCommunicationError {
		t.Errorf("served as %v, want the source's own code", got.Status)
	}
}

func TestUnconfirmedValuesAreUncertainAfterALoss(t *testing.T) {
	l := complete(t)
	l.health.Complete = false
	l.unconfirmed[string(valueKey(7, 0))] = true
	l.judge(time.Second)
	l.want("a", 1, lastGood)
	l.want("b", 2, good)
	delete(l.unconfirmed, string(valueKey(7, 0)))
	l.judge(2 * confirmEvery)
	l.want("a", 1, good)
	l.health.Complete = true
	l.judge(2 * confirmEvery)
	l.want("a", 1, good)
	sets := l.server.sets
	l.judge(2 * confirmEvery)
	if l.server.sets != sets {
		t.Error("values are set again and again though nothing changes")
	}
}

// A value for which there was no room is not on its way: the snapshot is complete, but for it.
func TestAValueWhoseNextOneHadNoRoomIsUncertain(t *testing.T) {
	l := complete(t)
	l.health.Valueless = true
	l.unconfirmed[string(valueKey(7, 0))] = true
	l.judge(confirmEvery)
	l.want("a", 1, lastGood)
	l.want("b", 2, good)
	if l.server.level != degradedLevel {
		t.Errorf("ServiceLevel is %d, want %d", l.server.level, degradedLevel)
	}
	l.health.Valueless = false // there is room again, and its value came
	delete(l.unconfirmed, string(valueKey(7, 0)))
	l.value(7, 0, 1)
	l.judge(confirmEvery)
	l.want("a", 1, good)
	if l.server.level != fullService {
		t.Errorf("ServiceLevel is %d, want %d", l.server.level, fullService)
	}
}

// The first tick after an outage: clients would be notified of each value that is served as Good.
func TestAnOutageWithLossesLeavesNoValueGoodThatIsNotConfirmed(t *testing.T) {
	for name, l := range map[string]*link{"complete before": complete(t), "not complete yet": begun(t)} {
		t.Run(name, func(t *testing.T) {
			l.judge(qualityEvery)
			l.health.Stale = true
			l.judge(qualityEvery)
			l.want("a", 1, lastGood)
			l.health = sink.Health{Totals: 1, State: sink.Up}
			l.unconfirmed[string(valueKey(7, 0))] = true
			l.judge(qualityEvery)
			l.want("a", 1, lastGood)
			l.want("b", 2, good)
			l.mirror.reload(l) // what a full queue skipped is read again
			l.want("a", 1, lastGood)
			delete(l.unconfirmed, string(valueKey(7, 0)))
			l.judge(confirmEvery)
			l.want("a", 1, good)
		})
	}
}

// The link is back, but the channel's totals are still on their way: its class is sent later.
func TestAfterAnOutageValuesAreUncertainUntilTotalsCome(t *testing.T) {
	l := complete(t)
	l.health.Totals = 0
	if why := l.judge(qualityEvery); why == "" {
		t.Error("ready before totals")
	}
	l.want("a", 1, lastGood)
	l.health.Totals = 1
	if why := l.judge(qualityEvery); why != "" {
		t.Errorf("not ready with totals: %s", why)
	}
	l.want("a", 1, good)
}

func TestTheSourcesServiceLevelCounts(t *testing.T) {
	l := complete(t)
	var p payload.Packer
	node := addrspace.Node{ID: rawvalue.NodeID{Number: id.Server_ServiceLevel},
		Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}}}
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: 1}.Append(nil),
		Payload: p.Pack([]byte{0}, []addrspace.Node{node})})
	v, _ := rawvalue.SkimDataValue([]byte{1, 3, 120}, rawvalue.Limits{})
	content, _ := payload.AppendValue(nil, v)
	l.deliver(sink.Update{Key: valueKey(7, payload.BlockNodes), Payload: content})
	l.judge(time.Second)
	if l.server.level != 120 {
		t.Errorf("ServiceLevel is %d, want the source's 120", l.server.level)
	}
}
