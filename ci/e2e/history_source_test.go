package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	source "heliograph/firmware/tx/source/opcua"
	"heliograph/firmware/tx/source/sourcetest"
)

// historySource is a source of a plant that can be restarted, and what it puts.
type historySource struct {
	t      *testing.T
	plant  *plant
	folder string
	link   *sourcetest.Port
	stop   func()
}

// start runs the source until stop; it has its initial snapshot.
func (h *historySource) start() {
	h.t.Helper()
	h.link = &sourcetest.Port{}
	s, err := source.New(config.OPCUASource{
		Channel: "plant", Endpoint: h.plant.url, SecurityPolicy: "None", SecurityMode: "None",
		AddressSpace: 48 << 20, PublishingInterval: 100 * time.Millisecond, Rebrowse: time.Hour,
	}, h.folder, nil, h.link, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	running := true
	h.stop = func() {
		if running {
			running = false
			cancel()
			<-ended
		}
	}
	h.t.Cleanup(h.stop)
	await.Within(h.t, tagBound(), "the source", s.Ready)
}

// handles returns the numbers of the nodes that crossed.
func (h *historySource) handles() map[rawvalue.NodeID]uint32 {
	h.t.Helper()
	all := map[rawvalue.NodeID]uint32{}
	var packer payload.Packer
	for _, u := range h.link.Updates() {
		k, err := payload.ParseKey(u.Key)
		if err != nil || k.Kind != payload.Block {
			continue
		}
		err = packer.Unpack(u.Payload, func(slot byte, n addrspace.Node) {
			all[n.ID] = k.Number*payload.BlockNodes + uint32(slot)
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return all
}

// crossed returns the values of a tag, late or live, in the order in which they were put.
func (h *historySource) crossed(name string, late bool) (values []float64) {
	h.t.Helper()
	handle := h.handles()[tag(name)]
	for _, u := range h.link.Updates() {
		k, err := payload.ParseKey(u.Key)
		if err != nil || k.Kind != payload.Value || k.Number != handle || u.Late != late || u.Delete {
			continue
		}
		raw, err := payload.ParseValue(nil, u.Payload, u.Time)
		if err != nil {
			h.t.Fatal(err)
		}
		dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil || dv.Value.Type() != ua.TypeIDDouble || dv.Status != 0 || dv.SourceTime == 0 {
			h.t.Fatalf("got %v of type %v at %d, %v", dv.Status, dv.Value.Type(), dv.SourceTime, err)
		}
		values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Raw[1:])))
	}
	return values
}

// TestThePlantsHistoryFillsARestart has a source end while tags of node-opcua change 2,000
// times, and begin again.
func TestThePlantsHistoryFillsARestart(t *testing.T) {
	t.Parallel()
	const count, historical = 500, 4
	p := startPlant(t, map[string]any{"tags": 20, "historical": historical})
	h := &historySource{t: t, plant: p, folder: t.TempDir()}
	h.start()
	for i := range historical {
		p.do(map[string]any{"do": "set", "name": fmt.Sprint("Tag", i), "value": -7})
	}
	await.NoError(t, "live values", func() error {
		for i := range historical {
			if got := h.crossed(fmt.Sprint("Tag", i), false); len(got) == 0 || got[len(got)-1] != -7 {
				return fmt.Errorf("tag %d: got %v", i, got)
			}
		}
		return nil
	})
	h.stop()
	if files, _ := filepath.Glob(filepath.Join(h.folder, "history-plant")); len(files) != 1 {
		t.Fatal("the mark was not stored")
	}
	for i := range historical + 1 { // the last one has no history
		// A series begins at the time of the value before it, which is to be after the end.
		p.do(map[string]any{"do": "set", "name": fmt.Sprint("Tag", i), "value": -8})
		p.do(map[string]any{"do": "series", "name": fmt.Sprint("Tag", i), "count": count})
	}
	h.start()
	await.NoError(t, "what was missed", func() error {
		for i := range historical {
			got := h.crossed(fmt.Sprint("Tag", i), true)
			if len(got) > 0 && got[0] == -7 { // it crossed in the last second of the run before
				got = got[1:]
			}
			if len(got) > 0 && got[0] == -8 {
				got = got[1:]
			}
			if len(got) > 0 && got[0] < 0 || len(got) > count-1 {
				t.Fatalf("tag %d: got %v", i, got)
			}
			for n, v := range got {
				if v != float64(n+1) {
					t.Fatalf("tag %d: got %v as value %d", i, v, n+1)
				}
			}
			if len(got) != count-1 {
				return fmt.Errorf("tag %d: got %d values, want %d", i, len(got), count-1)
			}
		}
		return nil
	})
	for i := range historical + 1 {
		name := fmt.Sprint("Tag", i)
		if live := h.crossed(name, false); len(live) == 0 || live[len(live)-1] != count {
			t.Errorf("tag %d: got %v live, want %d last", i, live, count)
		}
	}
	if got := h.crossed(fmt.Sprint("Tag", historical), true); len(got) > 0 {
		t.Errorf("got %v late of a tag without a history", got)
	}
}
