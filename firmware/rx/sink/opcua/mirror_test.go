package opcua

import (
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/rx/sink"
)

func TestBeforeTheSnapshotIsComplete(t *testing.T) {
	l := newLink(t)
	l.health = sink.Health{Stale: true}
	if why := l.judge(time.Second); why == "" {
		t.Error("ready before anything was received")
	}
	l.want("a", math.NaN(), ua.StatusBadWaitingForInitialData)
	l.health = sink.Health{Totals: 1, State: sink.Up}
	l.announce(7)
	l.block(7, "a", "b")
	l.value(7, 0, 1)
	if why := l.judge(time.Second); why == "" {
		t.Error("ready before the snapshot is complete")
	}
	l.want("a", 1, good)
	l.want("b", math.NaN(), ua.StatusBadWaitingForInitialData)
}

func TestTheNextGenerationIsSwappedInWhenComplete(t *testing.T) {
	l := complete(t)
	l.block(8, "x")
	l.value(8, 0, 9)
	l.health.Complete = false
	l.announce(8)
	l.judge(time.Second)
	if l.server.closed != 0 {
		t.Error("sessions were closed before the next generation was complete")
	}
	l.want("a", 1, lastGood)
	l.health.Complete = true
	l.swap()
	if l.server.closed != 1 || !l.server.open {
		t.Errorf("sessions were closed %d times, open %v", l.server.closed, l.server.open)
	}
	l.want("x", 9, good)
	if _, ok := l.server.values[named("a")]; ok {
		t.Error("a value of the old generation is served")
	}
	l.value(7, 0, 3) // late, of the old generation
	l.value(8, 0, 10)
	l.want("x", 10, good)
}

func TestUnusableRecordsChangeNothing(t *testing.T) {
	l := complete(t)
	for _, u := range []sink.Update{
		{Key: []byte("?")}, {Key: []byte("G"), Payload: []byte{9}}, {Key: valueKey(7, 0), Payload: []byte{0xff}},
		{Key: valueKey(7, maxHandle), Payload: []byte{0x80}},
		{Key: payload.Key{Kind: payload.Block, Generation: 7}.Append(nil), Payload: []byte{1, 2, 3}},
		{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: 1 << 30}.Append(nil)},
		{Event: true, Payload: []byte{0, 0, 0, 7, 1}},
		{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil), Payload: []byte{7}},
	} {
		bad := l.mirror.unusable.Load()
		l.mirror.handleUpdate(&u)
		if l.mirror.unusable.Load() != bad+1 || l.refused != bad+1 {
			t.Errorf("%x %x was not counted", u.Key, u.Payload)
		}
	}
	bad := l.mirror.unusable.Load()
	l.state[string(valueKey(7, 0))] = sink.Update{Key: valueKey(7, 0), Payload: []byte{0xff}}
	l.mirror.reload(l)
	if l.mirror.unusable.Load() != bad {
		t.Error("a record that is taken over again was counted again")
	}
	l.want("a", 1, good)
	l.want("b", 2, good)
}
