package memory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
)

type fixture struct {
	*Memory
	dir    string
	now    time.Time
	audits []string
}

func open(t *testing.T, dir string, id string) *fixture {
	t.Helper()
	f := &fixture{dir: dir, now: time.Unix(1_700_000_000, 0)}
	m, err := Open(dir, id, "", func(event, _ string) { f.audits = append(f.audits, event) },
		func() time.Time { return f.now })
	if err != nil {
		t.Fatal(err)
	}
	f.Memory = m
	return f
}

func (f *fixture) admit(t *testing.T, epoch uint64, salt byte, wantUsed uint64, want error) {
	t.Helper()
	f.now = f.now.Add(time.Second)
	used, err := f.Admit(epoch, [16]byte{salt})
	if used != wantUsed || !errors.Is(err, want) {
		t.Errorf("epoch %d salt %d: got %d, %v; want %d, %v", epoch, salt, used, err, wantUsed, want)
	}
}

func (f *fixture) audited(t *testing.T, want string) {
	t.Helper()
	if len(f.audits) == 0 || !strings.Contains(f.audits[len(f.audits)-1], want) {
		t.Errorf("audits: got %q, want the last to be %q", f.audits, want)
	}
}

func TestFirstEpochIsUnanchored(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.admit(t, 9, 1, 0, nil)
	f.audited(t, "epoch_unanchored")
}

func TestFirstEpochOfANewReceiver(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.SetFirst()
	f.admit(t, 9, 1, 0, nil)
	f.audited(t, "epoch_first")
	f.admit(t, 8, 2, 0, ErrRegressed)
}

func TestMarkSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	f.admit(t, 5, 1, 0, nil)
	account := pipeline.Account{Epoch: 5, Exact: true, Channels: map[string]mirror.Account{"a": {Next: 7}}}
	f.Keep(5, 100, account)
	f = open(t, dir, "k1")
	if got := f.Account(); got.Channels["a"].Next != 7 || !got.Exact {
		t.Errorf("account: got %+v, want %+v", got, account)
	}
	f.admit(t, 5, 1, 100, nil)
	if got := open(t, dir, "k1").Account(); got.Channels["a"].Next != 7 || got.Exact {
		t.Errorf("account after a crash within a second: got %+v, want the same, not exact", got)
	}
	f.admit(t, 4, 1, 0, ErrRegressed)
	f.admit(t, 6, 2, 0, nil)
	if len(f.audits) != 1 {
		t.Errorf("audits: got %q, want the regression alone", f.audits)
	}
}

func TestTheAccountIsKeptWithoutASession(t *testing.T) {
	account := func(refused uint64) pipeline.Account {
		return pipeline.Account{Epoch: 5, Exact: true, Channels: map[string]mirror.Account{
			"a": {Next: 7, Counts: mirror.Counts{Refused: refused}}}}
	}
	dir := t.TempDir()
	open(t, dir, "k1").KeepOn(account(1))
	if got := open(t, dir, "k1").Account(); len(got.Channels) > 0 {
		t.Errorf("with no run remembered: got %+v", got)
	}
	f := open(t, dir, "k1")
	f.admit(t, 5, 1, 0, nil)
	f.Keep(5, 100, account(1))
	open(t, dir, "k1").KeepOn(account(2))
	f = open(t, dir, "k1")
	if got := f.Account(); got.Channels["a"].Refused != 2 || !got.Exact {
		t.Errorf("got %+v, want what was refused, and exact", got)
	}
	f.admit(t, 5, 1, 100, nil)
	f.KeepOn(account(3)) // of the moment before the session opened
	if got := open(t, dir, "k1").Account(); got.Channels["a"].Refused != 3 || got.Exact {
		t.Errorf("got %+v, want what was refused, not exact", got)
	}
}

func TestRegressedEpochWaitsForTheOperator(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.admit(t, 5, 1, 0, nil)
	f.admit(t, 5, 2, 0, ErrRegressed) // the same number, another run
	f.admit(t, 1, 3, 0, ErrRegressed)
	f.audited(t, "epoch_regressed")
	f.now = f.now.Add(writeRefusedEvery)
	f.admit(t, 1, 3, 0, ErrRegressed)
	if err := f.Ready(); !errors.Is(err, ErrRegressed) {
		t.Errorf("ready: got %v, want %v", err, ErrRegressed)
	}
	if n := len(f.audits); n != 2 {
		t.Errorf("got %d audits within a minute, want one of the refusal and one of the start", n)
	}
	if _, err := acceptance.Accept(f.dir, ""); err == nil {
		t.Error("two runs are refused and none is named: got nil, want an error")
	}
	accepted, err := acceptance.Accept(f.dir, acceptance.Run{Epoch: 1, Salt: acceptance.Salt{3}}.ID())
	if err != nil {
		t.Fatal(err)
	}
	f.admit(t, 5, 2, 0, ErrRegressed) // not the one that was named
	f.admit(t, accepted.Epoch, accepted.Salt[0], 0, nil)
	f.audited(t, "epoch_accepted")
	if err := f.Ready(); err != nil {
		t.Errorf("ready after acceptance: got %v", err)
	}
	f.admit(t, 1, 4, 0, ErrRegressed) // acceptance is for once
}

// TestOldFramesDoNotUseUpTheAcceptance has a transmitter whose count began
// again, and an attacker who plays back every session that it ever had.
func TestOldFramesDoNotUseUpTheAcceptance(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	for epoch := range uint64(9) {
		f.admit(t, epoch+1, byte(epoch), 0, nil)
	}
	playBack := func() {
		t.Helper()
		for epoch := range uint64(8) {
			f.admit(t, epoch+1, byte(epoch), 0, ErrReplayed)
		}
	}
	playBack()
	f.admit(t, 1, 100, 0, ErrRegressed)
	f = open(t, dir, "k1")
	playBack()
	runs, err := acceptance.Refused(dir)
	if err != nil || len(runs) != 1 || runs[0].ID() != "1-64000000" {
		t.Fatalf("offered to the operator: got %v, %v, want the new transmitter's run alone", runs, err)
	}
	if _, err := acceptance.Accept(dir, ""); err != nil {
		t.Fatal(err)
	}
	playBack()
	f.admit(t, 1, 100, 0, nil)
	playBack() // although most are beyond the mark now
	f.admit(t, 9, 8, 0, ErrReplayed)
	f = open(t, dir, "k1")
	playBack()
	f.admit(t, 2, 101, 0, nil)
}

func TestAnAcceptanceEndsWithTheNextRun(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.admit(t, 5, 1, 0, nil)
	f.admit(t, 1, 2, 0, ErrRegressed)
	if _, err := acceptance.Accept(f.dir, ""); err != nil {
		t.Fatal(err)
	}
	f.admit(t, 6, 3, 0, nil) // the transmitter found its count again
	f.admit(t, 1, 2, 0, ErrRegressed)
}

func TestNewKeyStartsEmpty(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	f.admit(t, 50, 1, 0, nil)
	f = open(t, dir, "k2")
	f.admit(t, 1, 1, 0, nil)
	f.audited(t, "epoch_unanchored")
}

func TestWhatIsRememberedGoesOnUnderANewKey(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	f.admit(t, 50, 1, 0, nil)
	f.Keep(50, 9, pipeline.Account{Epoch: 50, Channels: map[string]mirror.Account{"a": {Next: 7}}})
	m, err := Open(dir, "k2", "k1", func(event, text string) { t.Errorf("audited %s: %s", event, text) }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Account(); got.Channels["a"].Next != 7 {
		t.Errorf("account: got %+v", got)
	}
	if _, err := m.Admit(51, [16]byte{2}); err != nil {
		t.Errorf("the next epoch: %v", err)
	}
	f = open(t, dir, "k2")
	f.admit(t, 50, 1, 0, ErrReplayed)
}

func damage(t *testing.T, dir, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedMemoryIsAudited(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	f.admit(t, 50, 1, 0, nil)
	damage(t, dir, "account-*")
	f = open(t, dir, "k1")
	f.audited(t, "memory_damaged")
	f.admit(t, 1, 1, 0, ErrRegressed) // the list of runs still has it
	damage(t, dir, "runs-*")
	damage(t, dir, "account-*")
	f = open(t, dir, "k1")
	f.audited(t, "memory_damaged")
	f.admit(t, 1, 1, 0, nil)
}

// TestACutBetweenTheTwoFiles leaves a session in the list of runs alone.
func TestACutBetweenTheTwoFilesOfANewSession(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, "k1")
	f.admit(t, 5, 1, 0, nil)
	f.Keep(5, 100, pipeline.Account{Epoch: 5, Channels: map[string]mirror.Account{"a": {Next: 7}}})
	files, _ := filepath.Glob(filepath.Join(dir, "account-*"))
	before, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	f.admit(t, 6, 2, 0, nil)
	if err := os.WriteFile(files[0], before, 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, dir, "k1")
	if got := f.Account(); got.Channels["a"].Next != 7 {
		t.Errorf("account: got %+v", got)
	}
	f.admit(t, 6, 2, 0, nil) // the session goes on
	f.admit(t, 5, 1, 0, ErrReplayed)
}

// TestMemoryOfEarlierReleases reads what the release before wrote.
func TestMemoryOfEarlierReleases(t *testing.T) {
	dir := t.TempDir()
	old := []byte(`{"epoch":7,"salt":"AQAAAAAAAAAAAAAAAAAAAA==","sequence":40,` +
		`"account":{"Epoch":7,"Exact":true,"Channels":{"a":{"Delivered":3,"Next":4}}}}`)
	if err := store.Write(filepath.Join(dir, "memory-k1"), old); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir, "k1")
	if got := f.Account(); got.Channels["a"].Delivered != 3 || !got.Exact {
		t.Errorf("account: got %+v", got)
	}
	f.admit(t, 7, 1, 40, nil)
	f.admit(t, 6, 2, 0, ErrRegressed)
	f.admit(t, 8, 3, 0, nil)
	f = open(t, dir, "k1")
	f.admit(t, 7, 1, 0, ErrReplayed)
}

func TestADiskThatCannotBeWrittenIsReportedUntilItCan(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "gone")
	f := open(t, filepath.Join(parent, "further"), "k1")
	if err := os.WriteFile(parent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.admit(t, 1, 1, 0, nil)
	for n := range uint64(5) {
		f.Keep(1, n+2, pipeline.Account{Epoch: 1})
	}
	if f.Storage() == nil || f.Ready() != nil {
		t.Errorf("storage: got %v, ready: %v, want the storage alone to fail", f.Storage(), f.Ready())
	}
	if got := strings.Join(f.audits, " "); got != "epoch_unanchored state_unwritable" {
		t.Errorf("audits: got %q, want one of the storage", got)
	}
	f.admit(t, 1, 1, 6, nil) // it serves from memory
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	if err := store.Folder(f.dir); err != nil {
		t.Fatal(err)
	}
	f.Keep(1, 9, pipeline.Account{Epoch: 1})
	if reasons := f.Storage(); reasons != nil {
		t.Errorf("when the disk is back: got %v", reasons)
	}
	f.audited(t, "state_writable")
	f = open(t, f.dir, "k1")
	f.admit(t, 1, 1, 9, nil)
	f.admit(t, 0, 2, 0, ErrRegressed)
}

// TestADiskThatHangs: everything else goes on.
func TestADiskThatHangsDelaysNothingForLong(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := open(t, dir, "k1")
		f.writing <- struct{}{} // a write that does not return
		start := time.Now()
		f.admit(t, 1, 1, 0, nil)
		if took := time.Since(start); took > diskTimeout || f.Storage() == nil {
			t.Errorf("admitted after %s, storage: %v", took, f.Storage())
		}
		<-f.writing
		f.Keep(1, 2, pipeline.Account{Epoch: 1})
		if reasons := f.Storage(); reasons != nil {
			t.Errorf("when the disk answers: got %v", reasons)
		}
	})
}

func TestTheRecordOfASecondIsSmall(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.admit(t, 12, 1, 0, nil)
	a := pipeline.Account{Epoch: 12, Channels: map[string]mirror.Account{}}
	for i := range 10 {
		n := uint64(1_000_003 * (i + 7))
		a.Channels[fmt.Sprintf("press-line-%d", i)] = mirror.Account{
			Counts: mirror.Counts{Delivered: n, Conflated: n / 3, Lost: n / 77_777}, Before: n / 5, Next: n + n/3,
		}
	}
	f.state.Account = a
	b, err := f.deflate(&f.state)
	if err != nil || len(b) > 492 {
		t.Errorf("got %d bytes, %v, want one sector with its header", len(b), err)
	}
	var back state
	if err := back.inflate(b); err != nil || !reflect.DeepEqual(back, f.state) {
		t.Errorf("got %+v, %v, want %+v", back, err, f.state)
	}
}

func TestAFloodOfOldHellosDoesNotReadTheDiskEachTime(t *testing.T) {
	f := open(t, t.TempDir(), "k1")
	f.admit(t, 5, 1, 0, nil)
	f.admit(t, 1, 2, 0, ErrRegressed)
	if _, err := acceptance.Accept(f.dir, ""); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the clock stands still
		if _, err := f.Admit(1, [16]byte{2}); !errors.Is(err, ErrRegressed) {
			t.Errorf("within %s of the last read: got %v", readAcceptedEvery, err)
		}
	}
	f.admit(t, 1, 2, 0, nil)
}
