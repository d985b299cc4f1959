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
				w := writer{q: &Queue{dir: dir}}
				if err := w.save(uint64(done), stillOpen); err != nil {
					t.Fatal(err)
				}
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
