package spool

import (
	"math"
	"os"
	"testing"
)

const damageRecords = 300

// TestWhatDamageTookIsCounted damages the first of the files that a queue has left on the disk.
func TestWhatDamageTookIsCounted(t *testing.T) {
	nothing := func(*testing.T, string) {}
	gone := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	short := func(t *testing.T, path string) {
		info, err := os.Stat(path)
		if err == nil {
			err = os.Truncate(path, info.Size()/2)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, path string)
		crash  bool
		least  int // records that are lost
	}{
		"nothing":                 {damage: nothing},
		"nothing, after a crash":  {damage: nothing, crash: true},
		"a header":                {damage: flip(8), least: 1}, // how many a file has, time decides, too
		"a record":                {damage: flip(middle), least: 1},
		"a record, after a crash": {damage: flip(middle), crash: true, least: 1},
		"a trailer":               {damage: flip(-1)},
		"a file that is gone":     {damage: gone, least: 1},
		"a file cut short":        {damage: short, least: 1},
	} {
		for _, done := range []int{0, 7} {
			dir := t.TempDir()
			leave(t, dir, done)
			if c.crash {
				crash(t, dir, done)
			}
			c.damage(t, segments(t, dir)[0])
			q := open(t, dir, 64<<20)
			var reported uint64
			q.OnDrop(func(n uint64) { reported += n })
			got := len(takeAll(t, q))
			st := q.Stats()
			lost := int(st.Damaged)
			if got+lost != damageRecords-done || lost < c.least || c.least == 0 && lost > 0 || reported != st.Damaged ||
				st.Dropped != 0 {
				t.Errorf("%s, %d delivered: got %d records and %+v, %d reported; want all %d accounted for", name, done,
					got, st, reported, damageRecords-done)
			}
		}
	}
}

// crash has a queue that was left look as after a crash.
func crash(t *testing.T, dir string, done int) {
	t.Helper()
	w := writer{q: &Queue{dir: dir}}
	if err := w.save(uint64(done), stillOpen); err != nil {
		t.Fatal(err)
	}
}

// After a crash the account does not say how many records waited in a file.
func TestFilesOfWhichNothingIsReadAreCounted(t *testing.T) {
	unreadable := func(t *testing.T, path string) { // as by an error of the disk
		err := os.Remove(path)
		if err == nil {
			err = os.Mkdir(path, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage  func(t *testing.T, path string)
		orderly bool
		newest  bool   // the file is the newest, which may have been begun as the run crashed
		want    uint64 // files
	}{
		"a header":                             {damage: flip(8), want: 1},
		"the newest header":                    {damage: flip(8), newest: true},
		"an error":                             {damage: unreadable, want: 1},
		"an error at the newest":               {damage: unreadable, newest: true, want: 1},
		"a header, after an orderly end":       {damage: flip(8), orderly: true},
		"an error, after an orderly end":       {damage: unreadable, orderly: true},
		"a file whose records are counted":     {damage: flip(middle)},
		"a newest file that was not ended yet": {damage: flip(-1), newest: true},
	} {
		dir := t.TempDir()
		leave(t, dir, 0)
		if !c.orderly {
			crash(t, dir, 0)
		}
		files := segments(t, dir)
		if c.newest {
			files = files[len(files)-1:]
		}
		c.damage(t, files[0])
		if st := open(t, dir, 64<<20).Stats(); st.Unreadable != c.want || c.orderly && st.Damaged == 0 {
			t.Errorf("%s: got %+v, want %d files", name, st, c.want)
		}
	}
}

// leave leaves a queue of several segments on the disk, of whose records some are delivered.
func leave(t *testing.T, dir string, done int) {
	t.Helper()
	q := open(t, dir, 512<<10) // segments of 64 KiB
	q.PeerDown(true)
	for i := range damageRecords {
		q.Append(record(i, 1000))
	}
	deliver(t, q, done)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// middle is a place for flip.
const middle = math.MaxInt

// flip returns a func that flips a byte of a file, from its end where at is negative, or in its middle.
func flip(at int) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		place := (at%len(b) + len(b)) % len(b)
		if at == middle {
			place = len(b) / 2
		}
		b[place] ^= 0xff
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
