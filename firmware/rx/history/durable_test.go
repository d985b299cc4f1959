package history

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// powerCut copies the folder as a power cut may leave it: of the journal in use what was synced,
// zeros behind it, which is what it was made of.
func (r *rig) powerCut() (to string) {
	r.t.Helper()
	to = copyDir(r.t, r.dir)
	if r.work.journal.file == nil {
		return to
	}
	f, err := os.OpenFile(filepath.Join(to, filepath.Base(r.work.journal.path)), os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if tail := r.work.journal.end - r.work.from; tail > 0 {
		if _, err := f.WriteAt(make([]byte, tail), r.work.from); err != nil {
			r.t.Fatal(err)
		}
	}
	return to
}

// TestAPowerCutCostsNothingThatIsDurable: at each step of a second, with seals in between.
func TestAPowerCutCostsNothingThatIsDurable(t *testing.T) {
	r := newRig(t, filepath.Join(t.TempDir(), "history"), generous)
	lost := false
	for n := range 60 {
		r.add("a", n)
		r.add("a", n) // the same once more is given, too
		r.now = r.now.Add(time.Second)
		r.step(r.now)
		if n%17 == 13 {
			r.seal()
		}
		given, durable := r.Progress()
		if given != uint64(2*n+2) || durable > given {
			t.Fatalf("after %d seconds: given %d, durable %d", n+1, given, durable)
		}
		if lag := given - durable; lag > 2*uint64(syncEvery/time.Second) {
			t.Errorf("after %d seconds %d of %d are not durable", n+1, lag, given)
		}
		lost = lost || durable < given
		got := newRig(t, r.powerCut(), generous).values("a", 0, n)
		for i := range int(durable / 2) {
			if want := fmt.Sprintf("%d:v%d", i, i); i >= len(got) || got[i] != want {
				t.Fatalf("a power cut after %d seconds: durable are %d, got %q", n+1, durable, got)
			}
		}
	}
	if !lost {
		t.Error("everything is durable at once: this shows nothing")
	}
	r.pass(syncEvery)
	if given, durable := r.Progress(); durable != given {
		t.Errorf("after a rest %d of %d are durable", durable, given)
	}
}

// TestNothingIsDurableWhileTheDiskFails: what waits for its segment is in memory only, or in the
// journal of its generation, which nothing syncs any more.
func TestNothingIsDurableWhileTheDiskFails(t *testing.T) {
	for name, journalFails := range map[string]bool{"journal and segment": true, "segment": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, filepath.Join(t.TempDir(), "history"), generous)
			r.add("a", seconds(0, 9)...)
			r.pass(syncEvery)
			_, before := r.Progress()
			if before != 10 {
				t.Fatalf("got %d durable, want 10", before)
			}
			obstacles := []string{segmentPath(r.dir, 1) + tempSuffix}
			if journalFails {
				r.work.journal.close() // the next write opens the file again, and cannot
				if err := os.Remove(journalOf(r.dir)); err != nil {
					t.Fatal(err)
				}
				obstacles = append(obstacles, journalOf(r.dir))
			}
			for _, o := range obstacles {
				if err := os.MkdirAll(filepath.Join(o, "in the way"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			r.add("a", seconds(10, 19)...)
			r.seal()
			r.add("a", seconds(20, 29)...)
			r.pass(syncEvery)
			if given, durable := r.Progress(); durable != before || given != 30 {
				t.Errorf("while the disk fails: %d of %d are durable, want %d of 30", durable, given, before)
			}
			for _, o := range obstacles {
				if err := os.RemoveAll(o); err != nil {
					t.Fatal(err)
				}
			}
			r.pass(2 * retryEvery)
			if given, durable := r.Progress(); durable != given {
				t.Errorf("when the disk works again: %d of %d are durable", durable, given)
			}
			newRig(t, r.powerCut(), generous).expect("after a power cut", "a", seconds(0, 29)...)
		})
	}
}

// TestCloseSealsWhatNoJournalHas: what is in memory only is in a segment afterwards, or known to be lost.
func TestCloseSealsWhatNoJournalHas(t *testing.T) {
	for name, c := range map[string]struct {
		inTheWay []string
		sealing  bool
		lost     uint64
	}{
		"the journal fails":                    {[]string{"journal-1"}, false, 0},
		"the journal fails, one is not sealed": {[]string{"journal-1"}, true, 0},
		"the disk fails":                       {[]string{"journal-1", segmentPath("", 1) + tempSuffix}, false, 10},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, filepath.Join(t.TempDir(), "history"), generous)
			for _, o := range c.inTheWay {
				if err := os.MkdirAll(filepath.Join(r.dir, o, "in the way"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			r.add("a", seconds(0, 9)...)
			r.step(r.now)
			want := seconds(0, 9)
			if c.sealing {
				r.mu.Lock()
				r.rotate()
				r.mu.Unlock()
				r.add("a", seconds(10, 19)...)
				want = seconds(0, 19)
			}
			r.Close()
			if given, durable := r.Progress(); given-durable != c.lost {
				t.Errorf("closed: %d of %d are durable, want %d lost", durable, given, c.lost)
			}
			if c.lost == 0 {
				newRig(t, copyDir(t, r.dir), generous).expect("opened again", "a", want...)
			}
		})
	}
}
