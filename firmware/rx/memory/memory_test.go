package memory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
)

type fixture struct {
	*Memory
	dir    string
	now    time.Time
	audits []string
}

func open(t *testing.T, dir string, key wire.PairKey) *fixture {
	t.Helper()
	f := &fixture{dir: dir, now: time.Unix(1_700_000_000, 0)}
	m, err := Open(dir, key, func(event, _ string) { f.audits = append(f.audits, event) }, func() time.Time { return f.now })
	if err != nil {
		t.Fatal(err)
	}
	f.Memory = m
	return f
}

func (f *fixture) admit(t *testing.T, epoch uint64, salt byte, wantUsed uint64, want error) {
	t.Helper()
	used, err := f.Admit(epoch, [16]byte{salt})
	if used != wantUsed || !errors.Is(err, want) {
		t.Errorf("epoch %d salt %d: got %d, %v; want %d, %v", epoch, salt, used, err, wantUsed, want)
	}
}

func (f *fixture) audited(t *testing.T, want string) {
	t.Helper()
	if len(f.audits) == 0 || !strings.Contains(f.audits[len(f.audits)-1], want) {
		t.Errorf("audits: got %q, want the last to say %q", f.audits, want)
	}
}

func TestFirstEpochIsUnanchored(t *testing.T) {
	f := open(t, t.TempDir(), wire.PairKey{})
	f.admit(t, 9, 1, 0, nil)
	f.audited(t, "epoch_unanchored")
}

func TestMarkSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, wire.PairKey{})
	f.admit(t, 5, 1, 0, nil)
	account := pipeline.Account{Epoch: 5, Exact: true, Channels: map[string]mirror.Account{"a": {Next: 7}}}
	f.Keep(5, 100, account)
	f = open(t, dir, wire.PairKey{})
	f.admit(t, 5, 1, 100, nil)
	if got := f.Account(); got.Channels["a"].Next != 7 || !got.Exact {
		t.Errorf("account: got %+v, want %+v", got, account)
	}
	f.admit(t, 4, 1, 0, ErrRegressed)
	f.admit(t, 6, 2, 0, nil)
	if len(f.audits) != 1 {
		t.Errorf("audits: got %q, want the regression alone", f.audits)
	}
}

func TestRegressedEpochWaitsForTheOperator(t *testing.T) {
	f := open(t, t.TempDir(), wire.PairKey{})
	f.admit(t, 5, 1, 0, nil)
	f.admit(t, 5, 2, 0, ErrRegressed) // the same number, another run
	f.admit(t, 1, 3, 0, ErrRegressed)
	f.audited(t, "epoch_regressed")
	if err := f.Ready(); !errors.Is(err, ErrRegressed) {
		t.Errorf("ready: got %v, want %v", err, ErrRegressed)
	}
	if n := len(f.audits); n != 2 {
		t.Errorf("got %d audits within a minute, want one of the refusal and one of the start", n)
	}
	if err := Accept(f.dir); err != nil {
		t.Fatal(err)
	}
	f.admit(t, 1, 3, 0, nil)
	f.audited(t, "epoch_accepted")
	if err := f.Ready(); err != nil {
		t.Errorf("ready after acceptance: got %v", err)
	}
	f.admit(t, 1, 4, 0, ErrRegressed) // acceptance is for once
}

func TestANewKeyStartsAnew(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, wire.PairKey{1})
	f.admit(t, 50, 1, 0, nil)
	f = open(t, dir, wire.PairKey{2})
	f.admit(t, 1, 1, 0, nil)
	f.audited(t, "epoch_unanchored")
}

func TestDamagedMemoryIsAudited(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, wire.PairKey{})
	f.admit(t, 50, 1, 0, nil)
	files, err := filepath.Glob(filepath.Join(dir, "memory-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, dir, wire.PairKey{})
	f.audited(t, "memory_damaged")
	f.admit(t, 1, 1, 0, nil)
}

func TestADiskThatCannotBeWrittenIsSaid(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "gone", "further"), wire.PairKey{})
	if err := os.WriteFile(filepath.Dir(f.dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.admit(t, 1, 1, 0, nil)
	if f.Ready() == nil {
		t.Error("ready although nothing can be remembered")
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	want := [][]byte{[]byte("a/b"), {}, []byte("c")}
	f := open(t, dir, wire.PairKey{})
	if got := f.Keys("cell-1"); got != nil {
		t.Errorf("before the first: got %q", got)
	}
	if err := f.KeepKeys("cell-1", want); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir, wire.PairKey{}).Keys("cell-1"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
