package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSegmentsGoByAgeOldestFirst(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: time.Hour, Bytes: 1 << 30})
	for n := range 10 {
		r.add("a", n*600)
		r.wait(second(n*600 + 1).Sub(r.now))
		r.seal()
	}
	r.expect("an hour", "a", 1800, 2400, 3000, 3600, 4200, 4800, 5400)
	if st := r.Stats(); st.Expired != 3 || st.Segments != 7 {
		t.Errorf("%d expired, %d segments, want 3 and 7", st.Expired, st.Segments)
	}
	// What is late goes by its own time, although it arrived last.
	r.add("a", 1900)
	r.seal()
	r.wait(second(5400 + 200).Sub(r.now))
	r.add("a", 5700)
	r.pass(2 * time.Minute)
	r.expect("late", "a", 2400, 3000, 3600, 4200, 4800, 5400, 5700)
}

func TestAClockThatJumpsAheadRemovesNothing(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: time.Hour, Bytes: 1 << 30})
	r.add("a", 1, 2)
	r.seal()
	r.now = r.now.AddDate(10, 0, 0)
	r.pass(2 * time.Minute)
	r.expect("kept", "a", 1, 2)
}

func TestASourceThatIsAheadDoesNotOutlastTheOthers(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: time.Hour, Bytes: 1 << 30})
	r.AddValue([]byte("b"), day0.AddDate(100, 0, 0), []byte("b"))
	r.add("a", 1)
	r.seal()
	r.wait(second(7200).Sub(r.now))
	r.add("a", 7200)
	r.seal()
	r.expect("an hour", "a", 7200)
	r.equal("ahead", r.values("b", 1<<32, 0), nil)
}

// What is a little ahead, as what a mirror notes to read its events by, stays as long as its time says.
func TestWhatIsAheadStaysAsLongAsItsTimeSays(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: 24 * time.Hour, Bytes: 1 << 30})
	r.add("note", 7200)
	r.seal()
	for n := 600; n <= 24*3600+9000; n += 600 {
		r.wait(10 * time.Minute)
		r.add("a", n)
		r.seal()
		if n == 24*3600+7200 {
			r.expect("in time", "note", 7200)
		}
	}
	r.run(2 * time.Hour)
	r.add("a", 30*3600)
	r.pass(2 * time.Hour)
	r.expect("afterwards", "note")
}

// What came while the receiver's clock was behind goes by its own time as soon as that is over.
func TestAClockThatWasBehindRemovesNothing(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: time.Hour, Bytes: 1 << 30})
	r.now = r.now.AddDate(-56, 0, 0)
	r.add("a", 1, 2)
	r.seal()
	r.now = second(600)
	r.add("a", 600)
	r.run(time.Hour)
	r.expect("kept", "a", 1, 2, 600)
}

func TestSegmentsGoBySizeOldestFirst(t *testing.T) {
	dir := t.TempDir()
	l := Limits{Age: 1000 * time.Hour, Bytes: MinBytes}
	r := newRig(t, dir, l)
	p := newPlant(time.Second)
	for i := range 150_000 {
		r.AddValue(p.change(i % 1000))
		if i%1000 == 999 {
			r.now = r.now.Add(time.Second)
			r.step(r.now)
		}
		if i%5000 == 4999 {
			size := int64(0)
			for _, path := range files(t, dir, "*") {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				size += info.Size()
			}
			if size > l.Bytes+r.full {
				t.Fatalf("%d bytes on disk, want at most %d and a segment", size, l.Bytes)
			}
		}
	}
	st := r.Stats()
	if st.Expired == 0 || st.Dropped > 0 || st.Added != 150_000 {
		t.Errorf("got %+v", st)
	}
	oldest, newest, _ := r.Span()
	if newest.Sub(oldest) > 3*time.Hour || r.segments[0].number == 1 {
		t.Errorf("%v to %v in segments from %d on: the oldest are not gone", oldest, newest, r.segments[0].number)
	}
}

// A disk that fails leaves the newest changes in memory, and is used again.
func TestADiskThatFailsLeavesTheNewestInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	r := newRig(t, dir, Limits{Age: time.Hour, Bytes: MinBytes})
	r.most = 200 << 10
	r.add("a", seconds(0, 9)...)
	r.seal()
	away := dir + ".away"
	swap := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	swap(dir, away)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.work.journal.close()
	n := 10
	for range 10 {
		for range 20_000 {
			r.add("a", n)
			n++
		}
		r.pass(10 * time.Second)
	}
	if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "kept in memory only") ||
		!errors.Is(r.fault, syscall.ENOTDIR) {
		t.Errorf("Ready: %v", err)
	}
	st := r.Stats()
	got := r.values("a", 0, n)
	last := got[len(got)-1]
	if st.Dropped == 0 || uint64(len(got)) != st.Added-st.Dropped-10 || last != fmt.Sprintf("%d:v%d", n-1, n-1) {
		t.Errorf("%d read of %d added, %d dropped, the last one %q", len(got), st.Added, st.Dropped, last)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	swap(away, dir)
	r.pass(20 * time.Second)
	if err := r.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	want := r.values("a", 0, n)
	r.equal("after it works again", newRig(t, copyDir(t, dir), generous).values("a", 0, n), want)
	if len(want) != len(got)+10 {
		t.Errorf("%d values, want %d", len(want), len(got)+10)
	}
}

func TestAFolderThatCannotBeReadIsTriedAgainAndNotWrittenOver(t *testing.T) {
	dir := filled(t)
	parent := filepath.Dir(dir)
	if err := os.Rename(parent, parent+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(parent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir, generous)
	if r.Ready() == nil {
		t.Error("ready")
	}
	r.add("a", seconds(100, 110)...)
	r.pass(10 * time.Second)
	r.expect("in memory", "a", seconds(100, 110)...)
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(parent+".away", parent); err != nil {
		t.Fatal(err)
	}
	r.pass(20 * time.Second)
	all := append(seconds(0, 29), seconds(100, 110)...)
	r.expect("found again", "a", all...)
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	newRig(t, copyDir(t, dir), generous).expect("sealed", "a", all...)
}
