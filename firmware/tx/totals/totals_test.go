package totals

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/send"
)

func open(t *testing.T, dir string) *Book {
	t.Helper()
	b, warning, err := Open(dir)
	if err != nil || warning != nil {
		t.Fatalf("open: %v, warning %v", err, warning)
	}
	return b
}

func TestTotalsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	if got := b.Earlier("cell-1"); got != 0 {
		t.Errorf("first run: got %d earlier, want 0", got)
	}
	b.Keep([]send.Total{{Channel: "cell-1", Records: 300}, {Channel: "log", Records: 7}})
	b.sync()
	b.Keep([]send.Total{{Channel: "cell-1", Records: 800}, {Channel: "log", Records: 7}}) // and then a kill
	b = open(t, dir)
	if got := [...]uint64{b.Earlier("cell-1"), b.Earlier("log")}; got != [...]uint64{800, 7} {
		t.Errorf("got %v, want 800 and 7", got)
	}
}

// slow is a disk that something happens on while it syncs.
type slow struct {
	slots
	meanwhile func()
}

func (s slow) Sync() error {
	s.meanwhile()
	return s.slots.Sync()
}

func TestTotalsThatAreKeptDuringASyncSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	b.Keep([]send.Total{{Channel: "cell-1", Records: 300}})
	b.durable = slow{b.durable, func() { b.Keep([]send.Total{{Channel: "cell-1", Records: 800}}) }}
	b.sync() // and then a kill
	if got := open(t, dir).Earlier("cell-1"); got != 800 {
		t.Errorf("got %d, want the 800 that were kept last", got)
	}
}

func TestTotalsSurviveAPowerCutAsOfTheLastSync(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	b.Keep([]send.Total{{Channel: "cell-1", Records: 300}})
	b.sync()
	b.Keep([]send.Total{{Channel: "cell-1", Records: 800}})
	if err := os.Remove(filepath.Join(dir, "totals-recent")); err != nil { // the page cache is gone
		t.Fatal(err)
	}
	if got := open(t, dir).Earlier("cell-1"); got != 300 {
		t.Errorf("got %d, want the 300 that were synced", got)
	}
}

func TestTheEndKeepsTheLastTotals(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	b.Keep([]send.Total{{Channel: "cell-1", Records: 5}})
	b.Close()
	if err := os.Remove(filepath.Join(dir, "totals-recent")); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir).Earlier("cell-1"); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

func TestAChannelThatIsNotConfiguredIsRemembered(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Keep([]send.Total{{Channel: "cell-1", Records: 5}, {Channel: "gone", Records: 9}})
	open(t, dir).Keep([]send.Total{{Channel: "cell-1", Records: 6}})
	b := open(t, dir)
	if got := [...]uint64{b.Earlier("cell-1"), b.Earlier("gone")}; got != [...]uint64{6, 9} {
		t.Errorf("got %v, want 6 and 9", got)
	}
}

func TestADamagedFileIsAWarning(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	b.Keep([]send.Total{{Channel: "cell-1", Records: 5}})
	b.sync()
	if err := os.WriteFile(filepath.Join(dir, "totals-recent"), []byte("what"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, warning, err := Open(dir)
	if err != nil || !errors.Is(warning, store.ErrCorrupt) {
		t.Fatalf("got %v, warning %v; want a warning of damage", err, warning)
	}
	if got := b.Earlier("cell-1"); got != 5 {
		t.Errorf("got %d, want what the other file has", got)
	}
}

func TestADiskThatCannotBeWrittenIsNotReady(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not there")
	b := open(t, dir)
	b.Keep([]send.Total{{Channel: "cell-1", Records: 5}})
	if b.Ready() == nil {
		t.Error("ready, though nothing is kept")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.sync()
	if err := b.Ready(); err != nil {
		t.Errorf("the disk is back: got %v, want ready", err)
	}
	if got := open(t, dir).Earlier("cell-1"); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(appendTotal(appendTotal(nil, "cell-1", 300), "log", 1<<40))
	f.Add([]byte{200, 1})
	f.Fuzz(func(t *testing.T, record []byte) {
		first := map[string]uint64{}
		if decode(record, first) != nil {
			return
		}
		var again []byte
		for name, records := range first {
			again = appendTotal(again, name, records)
		}
		second := map[string]uint64{}
		if err := decode(again, second); err != nil || len(first) != len(second) {
			t.Errorf("got %v and %v, want %v", second, err, first)
		}
	})
}
