package history

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filled leaves a folder with two segments and a journal: seconds 0-9, 10-19 and 20-29 of node a.
func filled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "history")
	r := newRig(t, dir, generous)
	for n := range 30 {
		r.add("a", n)
		if n == 9 || n == 19 {
			r.seal()
		}
		if n > 19 {
			r.pass(time.Second)
		}
	}
	return copyDir(t, dir)
}

func seconds(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// journalOf returns the path of the journal in use.
func journalOf(dir string) string { return journalPath(dir, 3) }

func TestAKillLosesNothingThatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	r := newRig(t, dir, generous)
	for n := range 100 {
		r.add("a", n)
		r.step(r.now)
		if n%10 == 7 {
			r.seal()
		}
		newRig(t, copyDir(t, dir), generous).expect("killed", "a", seconds(0, n)...)
	}
}

func TestAKillWhileSealingLosesNothing(t *testing.T) {
	dir := filled(t)
	r := newRig(t, dir, generous)
	kept := map[string][]byte{}
	for _, path := range files(t, dir, "journal-*") {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept[path] = b
	}
	r.seal()
	r.add("a", 30)
	r.pass(time.Second) // the next generation's journal
	dir = copyDir(t, dir)
	if err := os.Rename(segmentPath(dir, 3), segmentPath(dir, 3)+tempSuffix); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, dir, generous)
	again.expect("two journals", "a", seconds(0, 30)...)
	if left := files(t, dir, "*"+tempSuffix); left != nil {
		t.Errorf("%v is left", left)
	}
	again.pass(time.Second)
	again.add("a", 31)
	again.pass(10 * time.Second)
	newRig(t, copyDir(t, dir), generous).expect("sealed after all", "a", seconds(0, 31)...)
}

func TestATornJournalKeepsWhatIsBeforeTheTear(t *testing.T) {
	dir := filled(t)
	whole, err := os.ReadFile(journalOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(whole, "\x00"))
	for cut := journalHeader; cut < end; cut += 23 {
		for name, tear := range map[string][]byte{
			"cut":     whole[:cut],
			"zeros":   append(whole[:cut:cut], make([]byte, len(whole)-cut)...),
			"garbage": append(whole[:cut:cut], bytes.Repeat([]byte{0xa5}, len(whole)-cut)...),
		} {
			if err := os.WriteFile(journalOf(dir), tear, 0o600); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, copyDir(t, dir), generous)
			got := r.values("a", 0, 99)
			if len(got) < 20 || len(got) > 30 || got[19] != "19:v19" {
				t.Fatalf("%s at %d: got %q", name, cut, got)
			}
			n := len(got)
			r.add("a", 50)
			r.pass(time.Second)
			r.add("a", 51)
			r.pass(time.Second)
			newRig(t, copyDir(t, r.dir), generous).expect(name, "a", append(seconds(0, n-1), 50, 51)...)
		}
	}
}

// What was behind a torn record, of the same length as the one that is written over it, is not
// taken for what follows the new one.
func TestRecordsBehindATearDoNotComeBack(t *testing.T) {
	dir := filled(t)
	torn := int64(0)
	damage(t, journalOf(dir), func(b []byte) []byte {
		torn = journalHeader + recordHeader + int64(b[journalHeader+3]) // the second record: 21
		b[torn+recordHeader+1] ^= 1
		return b
	})
	r := newRig(t, dir, generous)
	r.expect("up to the tear", "a", seconds(0, 20)...)
	r.AddValue([]byte("a"), second(21), []byte("v2x"))
	r.pass(time.Second)
	r = newRig(t, copyDir(t, dir), generous)
	r.equal("after it", r.values("a", 20, 99), []string{"20:v20", "21:v2x"})
	if r.work.journal.end <= torn {
		t.Errorf("the journal ends at %d, before the tear at %d", r.work.journal.end, torn)
	}
}

func TestADamagedFileIsSetAsideAndTheRestIsServed(t *testing.T) {
	truncate := func(b []byte) []byte { return b[:len(b)-5] }
	empty := func([]byte) []byte { return nil }
	garbage := func(b []byte) []byte { return bytes.Repeat([]byte("garbage "), 100) }
	for name, c := range map[string]struct {
		file   func(dir string) string
		change func([]byte) []byte
		want   []int
	}{
		"truncated segment": {func(d string) string { return segmentPath(d, 1) }, truncate, seconds(10, 29)},
		"empty segment":     {func(d string) string { return segmentPath(d, 1) }, empty, seconds(10, 29)},
		"garbage segment":   {func(d string) string { return segmentPath(d, 1) }, garbage, seconds(10, 29)},
		"garbage journal":   {journalOf, garbage, seconds(0, 19)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			damage(t, c.file(dir), c.change)
			for range 2 {
				r := newRig(t, dir, generous)
				r.expect("the rest", "a", c.want...)
				r.add("b", 1)
				r.seal()
				r.expect("new", "b", 1)
			}
			if got := files(t, dir, damaged); len(got) != 1 {
				t.Errorf("set aside: %v, want one file", got)
			}
			if _, err := os.Lstat(c.file(dir)); err == nil && !strings.Contains(name, "journal") {
				t.Error("the damaged file is still there")
			}
		})
	}
}

// The journal of the newest segment but one is not written over yet.
func TestTheNewestSegmentIsMadeAgainFromItsJournal(t *testing.T) {
	dir := filled(t)
	damage(t, segmentPath(dir, 2), func([]byte) []byte { return nil })
	r := newRig(t, dir, generous)
	r.expect("from the journal", "a", seconds(0, 29)...)
	r.pass(10 * time.Second)
	newRig(t, copyDir(t, dir), generous).expect("sealed again", "a", seconds(0, 29)...)
}

func TestDamageIsReportedOnce(t *testing.T) {
	dir := filled(t)
	damage(t, segmentPath(dir, 1), func(b []byte) []byte { return b[:9] })
	r := newRig(t, dir, generous)
	got := r.Damaged()
	if len(got) != 1 || !strings.HasPrefix(got[0], "0000000000000001.segment: damaged; set aside as ") {
		t.Errorf("got %q", got)
	}
	if got := r.Damaged(); got != nil {
		t.Errorf("again: %q", got)
	}
	if n := r.Stats().Damaged; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

// Each byte of a segment is changed in turn.
func TestAFlippedBitIsNeverServed(t *testing.T) {
	dir := filled(t)
	whole, err := os.ReadFile(segmentPath(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		r := newRig(t, dir, generous)
		damage(t, segmentPath(dir, 1), func(b []byte) []byte { b[i] ^= 0x10; return b })
		got := r.values("a", 0, 9)
		if n := len(got); i >= len(segmentMagic) && i < len(whole)-segmentTrailer && n != 0 {
			t.Errorf("byte %d: got %q", i, got)
		}
		if i >= len(segmentMagic) && r.Stats().Damaged == 0 {
			t.Errorf("byte %d: not counted", i)
		}
		r.equal("the rest", r.values("a", 10, 10), []string{"10:v10"})
		if err := os.WriteFile(segmentPath(dir, 1), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGarbageInPlaceOfTheStoreIsSetAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	for range 2 {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, dir, generous)
		if got := r.Damaged(); len(got) != 1 {
			t.Errorf("got %q, want a line", got)
		}
		r.add("a", 1)
		r.seal()
		r.expect("new", "a", 1)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		if err := os.MkdirAll(filepath.Join(dir, "0000000000000009"+suffix), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"journal-0", "journal-1", segmentPath("", 5), "other"} {
			b := make([]byte, rnd.IntN(200))
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			copy(b, []string{journalMagic, segmentMagic, ""}[rnd.IntN(3)])
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := newRig(t, dir, generous)
		r.expect("what is left", "a", 1)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
	}
}
