package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const mega = 1 << 20

// rig is a disk of that size; free is changed as the test goes on.
type rig struct {
	Disk
	free   uint64
	log    bytes.Buffer
	events []string
}

func newRig(t *testing.T, size uint64, s Start) *rig {
	t.Helper()
	r := &rig{free: size}
	r.Disk = Disk{file: filepath.Join(t.TempDir(), "disk.json"), measure: func(string) (uint64, uint64, error) {
		if size == 0 {
			return 0, 0, errors.New("no disk")
		}
		return size, r.free, nil
	}}
	if s == (Start{}) {
		return r
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(r.file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) note() {
	r.Note(slog.New(slog.NewTextHandler(&r.log, nil)), func(kind, text string) {
		r.events = append(r.events, kind+": "+text)
	})
}

func TestADiskIsNearlyFull(t *testing.T) {
	for _, tt := range []struct {
		name            string
		size, free, low uint64 // MiB
		fault           bool
	}{
		{"empty, of the image", 124, 114, 16, false},
		{"almost, of the image", 124, 17, 16, false},
		{"nearly full, of the image", 124, 15, 16, true},
		{"8 GB", 7000, 351, 350, false},
		{"8 GB, nearly full", 7000, 349, 350, true},
		{"1 TB, with room", 1 << 20, 1025, 1024, false},
		{"1 TB, nearly full", 1 << 20, 1023, 1024, true},
		{"small", 32, 9, 8, false},
		{"small, nearly full", 32, 7, 8, true},
	} {
		r := newRig(t, tt.size*mega, Start{})
		r.free = tt.free * mega
		if got := Low(tt.size * mega); got != tt.low*mega {
			t.Errorf("%s: got low below %d MiB, want %d", tt.name, got/mega, tt.low)
		}
		u := r.Usage()
		if u == nil || u.Bytes != tt.size*mega || u.Free != tt.free*mega || (u.Fault != "") != tt.fault {
			t.Errorf("%s: got %+v, want fault %t", tt.name, u, tt.fault)
		}
	}
	if u := newRig(t, 0, Start{}).Usage(); u != nil {
		t.Errorf("a disk that cannot be measured: got %+v, want none", u)
	}
}

func TestAFullDiskIsNotedOnceUntilThereIsRoom(t *testing.T) {
	r := newRig(t, 124*mega, Start{})
	for _, step := range []struct {
		free                       uint64 // MiB
		warnings, recovers, events int    // in all
	}{{100, 0, 0, 0}, {10, 1, 0, 1}, {9, 1, 0, 1}, {17, 1, 0, 1}, {10, 1, 0, 1}, {40, 1, 1, 1}, {5, 2, 1, 2}} {
		r.free = step.free * mega
		r.note()
		warnings, recovers := strings.Count(r.log.String(), "level=WARN"), strings.Count(r.log.String(), "room again")
		if warnings != step.warnings || recovers != step.recovers || len(r.events) != step.events {
			t.Errorf("%d MiB free: got %d warnings, %d recoveries, %d events; want %+v", step.free, warnings, recovers,
				len(r.events), step)
		}
	}
	if !strings.HasPrefix(r.events[0], "disk_low: the disk is nearly full: 10 MiB of 124 MiB are free") {
		t.Errorf("got %q", r.events[0])
	}
}

func TestWhatPID1DidIsNotedOnce(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name         string
		start        Start
		event, fault string
	}{
		{"no PID 1", Start{}, "", ""},
		{"mounted", Start{Time: at}, "", ""},
		{"formatted", Start{Time: at, Formatted: "structure needs cleaning"},
			"data_formatted: the data partition was formatted, what was on it is lost: structure needs cleaning " +
				"(2026-01-02T03:04:05Z)", ""},
		{"in memory", Start{Time: at, Memory: "input/output error"},
			"data_in_memory: state is kept in memory and lost at the next restart: input/output error " +
				"(2026-01-02T03:04:05Z)",
			"state is kept in memory and lost at the next restart: input/output error"},
	} {
		r := newRig(t, 124*mega, tt.start)
		r.note()
		r.note()
		if got := strings.Join(r.events, "|"); got != tt.event {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.event)
		}
		if got := r.Fault(); got != tt.fault {
			t.Errorf("%s: got fault %q, want %q", tt.name, got, tt.fault)
		}
	}
}

func TestAFileThatIsNotPID1sCountsAsNone(t *testing.T) {
	r := newRig(t, 124*mega, Start{})
	for name, content := range map[string]string{"empty": "", "not JSON": "{",
		"too long": strings.Repeat(" ", maxFile) + "{}"} {
		if err := os.WriteFile(r.file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := r.start(); got != (Start{}) {
			t.Errorf("%s: got %+v, want none", name, got)
		}
	}
}

func TestARealDiskIsMeasured(t *testing.T) {
	u := Of(t.TempDir()).Usage()
	if u == nil || u.Bytes == 0 || u.Free > u.Bytes {
		t.Errorf("got %+v", u)
	}
	if u := Of(filepath.Join(t.TempDir(), "none")).Usage(); u != nil {
		t.Errorf("no folder: got %+v, want none", u)
	}
}
