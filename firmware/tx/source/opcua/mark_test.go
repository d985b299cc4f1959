package opcua

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/source/opcua/absence"
)

// made returns a source of a channel that keeps its state in folder.
func made(t *testing.T, folder, channel string) *Source {
	t.Helper()
	s, err := New(config.OPCUASource{Channel: channel, Endpoint: "opc.tcp://127.0.0.1:4840"}, folder, nil, &port{},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keepMark(t *testing.T, slots *store.Slots, record string) {
	t.Helper()
	if err := errors.Join(slots.Write([]byte(record)), slots.Sync()); err != nil {
		t.Fatal(err)
	}
	slots.Close()
}

func TestNoChannelsNameIsThatOfAnothersState(t *testing.T) {
	folder := t.TempDir()
	m := newModel([]string{"a"}, 48<<20)
	browse(t, m, plant(), &port{})
	for run := range 3 {
		press, other := made(t, folder, "press"), made(t, folder, "press-history")
		if cached, err := loadModel(other.cache, other.scope(), 48<<20); (cached == nil) != (run == 0) || err != nil {
			t.Errorf("run %d: cache: got %v, %v", run, cached, err)
		}
		mark, err := press.history.slots.Read()
		if none := errors.Is(err, fs.ErrNotExist); none != (run < 2) || !none && string(mark) != "until noon" {
			t.Errorf("run %d: mark: got %q, %v", run, mark, err)
		}
		if err := m.save(other.cache, other.scope()); err != nil {
			t.Fatal(err)
		}
		if run > 0 { // a server without a history has no mark
			keepMark(t, press.history.slots, "until noon")
		}
	}
}

func TestTheMarkOfAnInstalledBoardIsTakenOver(t *testing.T) {
	for name, c := range map[string]struct{ old, now, want string }{
		"the old one":        {"until noon", "", "until noon"},
		"a newer one beside": {"until noon", "until one", "until one"},
		"damaged":            {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for file, record := range map[string]string{"opcua-press-history": c.old, "history-press": c.now} {
				if record != "" {
					slots, err := store.OpenSlots(filepath.Join(folder, file), absence.MaxRecord)
					if err != nil {
						t.Fatal(err)
					}
					keepMark(t, slots, record)
				}
			}
			if c.old == "" {
				old := filepath.Join(folder, "opcua-press-history")
				if err := os.WriteFile(old, []byte("HGT1"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if got, err := made(t, folder, "press").history.slots.Read(); string(got) != c.want {
					t.Errorf("got %q, %v, want %q", got, err, c.want)
				}
			}
		})
	}
}
