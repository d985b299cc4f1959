package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/mirror"
)

// totals states that n records of a channel were sent.
func (r *rig) totals(channel string, n uint64) {
	t := record.Totals{Channel: record.ChannelID(channel), State: record.SourceUp, Seq: n}
	r.record(record.KindTotals, t.Append(nil))
}

// replay sends a pass that has the records first to last of a channel.
func (r *rig) replay(channel string, first, last uint64) {
	id := record.ChannelID(channel)
	r.record(record.KindWindow, (&record.Window{Channel: id, Epoch: 7, First: 1, Reach: 90, Pass: 250}).Append(nil))
	var w record.ReplayWriter
	w.Reset(first)
	for n := first; n <= last; n++ {
		w.Append(&record.Replayed{Seq: n, Key: fmt.Appendf(nil, "late %d", n), Payload: fmt.Append(nil, n)})
	}
	r.record(record.KindReplay, w.AppendReplay(nil, id, 7, nil))
	time.Sleep(3 * time.Second) // a receiver that joins in the middle waits for what was before
	synctest.Wait()
}

// hello repeats the hello of the session.
func (r *rig) hello() {
	r.sequence += startOfEpoch
	frame := make([]byte, wire.HelloHeaderSize, 128)
	(&wire.HelloHeader{
		Session: r.session.ID, Epoch: r.session.Epoch, Sequence: r.sequence, Salt: r.session.Salt,
	}).Put(frame)
	r.frame(r.session.Seal(frame, wire.HelloHeaderSize, r.sequence))
}

// startOfEpoch is more than the hellos that begin a session.
const startOfEpoch = 10

func (r *rig) checkHoles(t *testing.T, healed, lost, open uint64, final int) {
	t.Helper()
	c := r.node.Snapshot().Channels["cell"]
	if *c.Healed != healed || *c.Lost != lost || *c.OpenRecords != open {
		t.Errorf("got %d healed, %d lost, %d of them open; want %d, %d, %d", *c.Healed, *c.Lost, *c.OpenRecords, healed,
			lost, open)
	}
	n := len(slices.DeleteFunc(slices.Clone(c.Holes), func(h status.Hole) bool { return !h.Final }))
	if n != final || uint64(len(c.Holes)-n) != *c.OpenHoles {
		t.Errorf("got %+v, %d open; want %d final", c.Holes, *c.OpenHoles, final)
	}
}

func TestHolesAreShownAndOutliveARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		r.transmit(7)
		r.everything()
		r.totals("cell", 5)
		synctest.Wait()
		r.checkHoles(t, 0, 3, 3, 0)
		r.replay("cell", 3, 5)
		r.checkHoles(t, 3, 0, 0, 0)
		if got := r.sinks["cell"].delivered(); !slices.Equal(got[2:], []string{"late 3=3", "late 4=4", "late 5=5"}) {
			t.Errorf("delivered %q, want the late ones last", got)
		}
		if s := r.node.Snapshot().Replay; s == nil || s.WindowSeconds != 90 || *s.PassSeconds != 0.25 {
			t.Errorf("got %+v, want what the transmitter stated", s)
		}
		r.totals("cell", 9)
		synctest.Wait()
		r.end()
		r.run()
		defer r.end()
		r.checkHoles(t, 3, 4, 4, 0)
		if _, before := r.node.state.memory.Keys("cell"); len(before) != 2 {
			t.Errorf("got keys %q, want none of the late ones", before)
		}
		r.hello()
		r.totals("cell", 9)
		r.replay("cell", 7, 9)
		r.checkHoles(t, 6, 1, 0, 1)
	})
}

// TestLateRecordsLeaveRoomInTheSpool fills more than half of it while the broker is away.
func TestLateRecordsLeaveRoomInTheSpool(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.totals("cell", 5)
		synctest.Wait()
		q := r.mqtt["cell"].Queue
		for range 6 {
			q.Append(make([]byte, 100<<10))
		}
		r.replay("cell", 3, 5)
		r.checkHoles(t, 0, 3, 3, 0)
		for q.Stats().Records > 0 {
			recs, err := q.Next(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			q.Done(len(recs))
		}
		r.replay("cell", 3, 5)
		r.checkHoles(t, 3, 0, 0, 0)
	})
}

func TestLateRecordsAreTakenAsTheSinkIsConfigured(t *testing.T) {
	for late, want := range map[config.Late]mirror.Late{
		config.LateSeparate: mirror.InOrder, config.LateSame: mirror.InOrder, config.LateDrop: mirror.None,
	} {
		if got := lateMQTT(config.MQTTSink{Late: late}); got != want {
			t.Errorf("%s: got %v, want %v", late, got, want)
		}
	}
}
