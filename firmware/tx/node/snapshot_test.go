package node

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/tx/source"
)

func TestReadinessAndEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		do                  func(r *rig)
		ready               string // part of it; "" for nil
		down, waiting, lost string // likewise, of the evidence
	}{
		"connecting": {func(*rig) {}, "channel cell-1: source connecting", "cell-1: source connecting", "", ""},
		"down": {func(r *rig) { r.plant("cell-1").Report(source.Down, "refused") },
			"channel cell-1: source down: refused", "cell-1: source down: refused", "", ""},
		"not complete": {func(r *rig) { r.plant("cell-1").Report(source.Up, "") },
			"channel cell-1: " + notComplete, "", "cell-1: " + notComplete, ""},
		"ready": {func(r *rig) { r.up() }, "", "", "", ""},
		"state full": {func(r *rig) {
			r.up()
			_ = r.plant("cell-1").Put(source.Update{Key: []byte("k"), Payload: make([]byte, 5000)})
		}, "channel cell-1: 1 values did not cross: more state than [memory]", "", "", ""},
		"medium away": {func(r *rig) { r.up(); settle(); r.medium.away.Store(true) },
			"link: interface is away", "", "", "link: interface is away"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig(t)
				cfg.TX.Memory.ChannelState = 4000
				r := newRig(t, cfg)
				r.run(t, func() {
					c.do(r)
					settle()
					e := r.Report().Evidence
					contains(t, "ready", strings.Join(r.Ready().Lines(), "\n"), c.ready)
					contains(t, "down", strings.Join(e.Down, "; "), c.down)
					contains(t, "waiting", e.Waiting, c.waiting)
					contains(t, "link lost", e.LinkLost, c.lost)
					for _, part := range []string{"report", "link epoch 1"} {
						if !slices.ContainsFunc(slices.Collect(maps.Keys(e.Steps)), func(s string) bool {
							return strings.HasPrefix(s, part)
						}) {
							t.Errorf("steps: got %v, want those of %q", e.Steps, part)
						}
					}
				})
			})
		})
	}
}

func (r *rig) up() {
	p := r.plant("cell-1")
	p.Report(source.Up, "")
	p.SetComplete(true)
}

func contains(t *testing.T, name, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) || want == "" && got != "" {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

func TestSnapshotShowsTheChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			r.up()
			p := r.plant("cell-1")
			for _, v := range []string{"1", "2"} {
				if err := p.Put(source.Update{Key: []byte("k"), Payload: []byte(v)}); err != nil {
					t.Error(err)
				}
			}
			if err := p.Put(source.Update{Payload: make([]byte, 9<<20), Event: true}); !errors.Is(err,
				source.ErrTooLarge) {
				t.Errorf("got %v, want %v", err, source.ErrTooLarge)
			}
			r.plant("cell-1").Missed(2, "messages")
			settle()
			s := r.Snapshot()
			if s.Role != "tx" || s.Pair != "press-hall" || s.Version != "2.1.0" || s.UptimeSeconds != settledSeconds ||
				len(s.Notes) == 0 || s.Link.Medium != "udp" || s.Link.Epoch != 1 || s.Link.Bytes == 0 ||
				len(s.Counters) == 0 {
				t.Errorf("got %+v", s)
			}
			want := status.Channel{
				Protocol: "mqtt", Sent: status.Of[uint64](3), Conflated: status.Of[uint64](1),
				Dropped: status.Of[uint64](0),
				Refused: status.Of[uint64](1), RefusedReason: "1 larger than the link carries in one record",
				Missed: status.Of[uint64](2), MissedReason: "2 messages",
				QueuedBytes: status.Of[uint64](0), Keys: status.Of[uint64](1), StateBytes: status.Of[uint64](258),
				SourceState: "up",
			}
			if v := s.Trust; v.Level != status.Partly || v.Reasons[0].Text !=
				"this machine's clock is not set: the times of records may be wrong" {
				t.Errorf("trust: got %+v", v)
			}
			if b := s.Boards; len(b) != 1 || b[0].Role != "tx" || b[0].Version != "2.1.0" ||
				b[0].Clock != "not synchronized" || b[0].Name == "" || b[0].LED != nil {
				t.Errorf("boards: got %+v, want this machine without an LED", b)
			}
			if h, ok := r.trend.History("10m"); !ok || len(h.Series) != 3 {
				t.Errorf("history: got %+v, want that of frames", h)
			}
			if got := s.Channels["cell-1"].Rate; got == nil {
				t.Error("the rate is not known")
			}
			want.Rate = s.Channels["cell-1"].Rate
			if got := s.Channels; len(got) != 1 || !reflect.DeepEqual(got["cell-1"], want) {
				t.Errorf("got %s, want %s", asJSON(got), asJSON(want))
			}
		})
	})
}

func TestSnapshotShowsWhatCanBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t)
		cfg.TX.Replay.Memory = 1 << 20
		r := newRig(t, cfg)
		r.run(t, func() {
			r.up()
			if err := r.plant("cell-1").Put(source.Update{Key: []byte("k"), Payload: []byte("v")}); err != nil {
				t.Error(err)
			}
			settle()
			s := r.Snapshot()
			if s.Replay == nil || s.Replay.WindowSeconds != settledSeconds || s.Replay.PassSeconds == nil {
				t.Errorf("got %s, want a window of %d s", asJSON(s.Replay), settledSeconds)
			}
			if value(s, "replay_kept_records") != 1 || value(s, "replay_sent_pages") == 0 ||
				value(s, "link_replay_frames") == 0 {
				t.Errorf("got %s, want one record kept, and sent again", asJSON(s.Counters))
			}
		})
	})
}

// TestARestartSendsAgainWhatHasLeft checks that the pages of a run are in the passes of
// the next, when a disk keeps them, and that readyz says when it does not.
func TestARestartSendsAgainWhatHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t)
		cfg.TX.Replay = config.Replay{Memory: 1 << 20, Disk: 64 << 20}
		for epoch := range uint64(2) {
			r := newRig(t, cfg)
			r.run(t, func() {
				r.up()
				err := r.plant("cell-1").Put(source.Update{Key: []byte("k"), Payload: []byte{byte(epoch)}})
				if err != nil {
					t.Error(err)
				}
				settle()
				if pages := value(r.Snapshot(), "replay_written_pages"); pages != 1 {
					t.Errorf("run %d: %d pages written, want 1", epoch, pages)
				}
				if reasons := r.Ready(); len(reasons) > 0 {
					t.Errorf("run %d: not ready: %v", epoch, reasons)
				}
			})
			r.Close()
		}
		last := newRig(t, cfg)
		last.run(t, func() {
			settle()
			s := last.Snapshot()
			if kept, sent := value(s, "replay_kept_records"), value(s, "replay_sent_pages"); kept != 0 || sent < 2*4 {
				t.Errorf("the third run kept %d records and sent %d pages; want none, and those of both runs before",
					kept, sent)
			}
		})
		last.Close()
		dir := filepath.Join(cfg.TX.State, "replay")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, cfg)
		r.run(t, func() {
			r.up()
			settle()
			contains(t, "ready", strings.Join(r.Ready().Lines(), "\n"), "replay pages are kept in memory alone")
			if value(r.Snapshot(), "replay_disk_errors") == 0 {
				t.Error("the disk's errors are not counted")
			}
		})
	})
}

// value returns a counter, by part and name.
func value(s status.Snapshot, name string) uint64 {
	for _, set := range s.Counters {
		for _, v := range set.Values {
			if set.Part+"_"+v.Name == name {
				return v.Value
			}
		}
	}
	return 0
}

func asJSON(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

const settledSeconds = 6
