package absence

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/opcua/uabinary"
)

// clock is a plant's clock, which is off from this machine's.
type clock time.Duration

func (c clock) now() int64 { return uabinary.Ticks(time.Now().Add(time.Duration(c))) }

func seconds(n int64) int64 { return n * int64(time.Second/tick) }

// describe returns intervals in seconds since start.
func describe(start int64, list []*Gap) string {
	var all []string
	for _, g := range list {
		all = append(all, fmt.Sprintf("%d: %d-%d", g.Handle, (g.From-start)/seconds(1), (g.To-start)/seconds(1)))
	}
	return strings.Join(all, ", ")
}

func TestWhatIsMissedEndsWithTheNextLiveValue(t *testing.T) {
	const base = 1 << 40
	at := func(n int64) int64 { return base + seconds(n) }
	for name, test := range map[string]struct {
		do   func(b *Book)
		want string
	}{
		"nothing before the first value": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
		}, ""},
		"nothing while all comes": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.Came(1, at(9), time.Now(), true)
		}, ""},
		"from the last value to the next": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.Miss(1)
			b.Came(1, at(9), time.Now(), false)
			b.Came(1, at(11), time.Now(), true)
		}, "1: 5-9"},
		"nothing where the value is the last one": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.MissAll()
			b.Came(1, at(5), time.Now(), false)
		}, ""},
		"nothing where the clock was set back": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.MissAll()
			b.Came(1, at(3), time.Now(), false)
		}, ""},
		"a value without a time ends nothing": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.MissAll()
			b.Came(1, 0, time.Now(), false)
			b.Came(1, at(9), time.Now(), false)
		}, "1: 5-9"},
		"one that follows at once is joined": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.Miss(1)
			b.Came(1, at(7), time.Now(), true)
			b.Miss(1)
			b.Came(1, at(9), time.Now(), true)
		}, "1: 5-9"},
		"a node that does not exist misses nothing": {func(b *Book) {
			b.Miss(1<<32 - 1)
		}, ""},
		"at most a day": {func(b *Book) {
			b.Came(1, at(0), time.Now(), true)
			b.Miss(1)
			b.Came(1, at(100_000), time.Now(), true)
		}, "1: 13600-100000"},
		"a node that is gone misses nothing": {func(b *Book) {
			b.Came(1, at(5), time.Now(), true)
			b.Miss(1)
			b.Came(1, at(9), time.Now(), true)
			b.Forget(1)
			b.Came(1, at(11), time.Now(), true)
		}, ""},
		"the oldest first, those that begin together at once": {func(b *Book) {
			for h, from := range []int64{50, 5, 1, 70} {
				b.Came(uint32(h), at(from), time.Now(), true)
				b.MissAll()
				b.Came(uint32(h), at(99), time.Now(), true)
			}
		}, "2: 1-99, 1: 5-99"},
	} {
		t.Run(name, func(t *testing.T) {
			b := New(time.Second)
			test.do(b)
			if got := describe(base, b.Next(3)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOnlyNodesWithAHistoryMissValues(t *testing.T) {
	b := New(time.Second)
	miss := func() {
		for h := range uint32(3) {
			b.Came(h, 10, time.Now(), true)
			b.Miss(h)
			b.Came(h, 90, time.Now(), true)
		}
	}
	miss()
	if n := b.Waiting(); n != 3 {
		t.Errorf("got %d intervals while it is not known which can be read, want 3", n)
	}
	b.Readable(map[uint32]bool{1: true})
	if n := b.Waiting(); n != 1 || b.entries != 1 {
		t.Errorf("got %d intervals once that is known, want 1", n)
	}
	b.Next(9)
	if miss(); b.Waiting() != 1 {
		t.Errorf("got %d more intervals, want 1", b.Waiting())
	}
}

func TestValuesThatCrossedLiveAreKnown(t *testing.T) {
	b := New(time.Second)
	for at := int64(10); at < 60; at += 10 {
		b.Miss(1)
		b.Came(1, at, time.Now(), true)
	}
	g := b.Next(1)[0]
	for at, want := range map[int64]bool{10: true, 15: false, 20: true, 30: true, 31: false, 50: true, 60: true} {
		if g.WasSent(at) != want {
			t.Errorf("value at %d: got %v, want %v", at, !want, want)
		}
	}
}

func TestWhatIsLeftOfAnIntervalWaitsAgain(t *testing.T) {
	b := New(time.Second)
	b.Came(1, 10, time.Now(), true)
	b.Miss(1)
	b.Came(1, 90, time.Now(), true)
	g := b.Next(1)[0]
	if list := b.Next(1); list != nil {
		t.Fatalf("got %v twice", list)
	}
	g.Next, g.Skip = 40, 2
	b.Done(g, false)
	g = b.Next(1)[0]
	if g.Next != 40 || g.Skip != 2 || g.To != 90 || g.WasSent(40) || !g.WasSent(39) {
		t.Errorf("got %+v, want what follows the second value of 40", g)
	}
	g.Next = 90
	b.Done(g, false)
	if n := b.Waiting(); n != 0 || b.entries != 0 {
		t.Errorf("got %d intervals and %d entries, want none", n, b.entries)
	}
}

// flow has values of nodes come each second for a while, in the plant's time.
func flow(b *Book, clocks map[uint32]clock, d time.Duration) {
	for range int(d / time.Second) {
		time.Sleep(time.Second)
		for h, c := range clocks {
			left := b.Probe(time.Now())
			b.Came(h, c.now(), time.Now(), true)
			if left != nil {
				left(nil)
			}
		}
	}
}

func all(clocks map[uint32]clock) map[uint32]bool {
	m := map[uint32]bool{}
	for h := range clocks {
		m[h] = true
	}
	return m
}

// TestARestartMissesTheTimeBetween has two runs of which the clocks at the plant, and here,
// are all different; nothing that was stamped between them may be left out, and little else
// is read.
func TestARestartMissesTheTimeBetween(t *testing.T) {
	clocks := map[uint32]clock{1: 0, 2: clock(time.Second / 2), 3: clock(-5 * time.Hour), 4: clock(-5 * time.Hour),
		5: clock(3 * time.Hour)}
	for name, c := range map[string]clock{
		"right": 0, "ahead": clock(90 * time.Minute), "behind": clock(-90 * time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own := map[uint32]clock{}
				for h := range clocks {
					own[h] = clocks[h] + c
				}
				b := New(time.Second)
				flow(b, own, time.Minute)
				record := b.Append(7, 3, all(own))
				ended := map[uint32]int64{}
				for h, c := range own {
					ended[h] = c.now()
				}
				time.Sleep(time.Hour)
				b = New(time.Second)
				if err := b.Restore(record, 7, 3); err != nil {
					t.Fatal(err)
				}
				for h, c := range own {
					b.Came(h, c.now(), time.Now(), false)
				}
				seen := 0
				for list := b.Next(9); list != nil; list = b.Next(9) {
					for _, g := range list {
						seen++
						most := ended[g.Handle]
						least := most - seconds(15)
						if g.Handle == 5 { // its mark is the others'
							least -= seconds(3 * 3600)
						}
						if g.From > most || g.From < least || g.To != own[g.Handle].now() {
							t.Errorf("node %d: got from %ds before the end to %d, want at most 15s before, to %d",
								g.Handle, (ended[g.Handle]-g.From)/seconds(1), g.To, own[g.Handle].now())
						}
					}
				}
				if seen != len(own) {
					t.Errorf("got %d intervals, want one of each node", seen)
				}
			})
		})
	}
}

func TestARecordIsForItsScopeAndGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks := map[uint32]clock{1: 0, 2: 0, 3: 0, 4: clock(-time.Hour)}
		b := New(time.Second)
		if record := b.Append(7, 3, all(clocks)); record != nil {
			t.Fatalf("got a record %x before anything left", record)
		}
		flow(b, clocks, time.Minute)
		record := b.Append(7, 3, all(clocks))
		if len(record) != header+perEarly {
			t.Fatalf("got %d bytes, want one node with a mark of its own", len(record))
		}
		for name, test := range map[string]struct {
			scope      uint64
			generation uint32
			early      bool // all begin at the earliest mark
			none       bool
		}{
			"its own":            {7, 3, false, false},
			"another scope":      {8, 3, false, true},
			"another generation": {7, 4, true, false},
		} {
			b := New(time.Second)
			if err := b.Restore(record, test.scope, test.generation); err != nil {
				t.Fatal(err)
			}
			b.Came(1, clocks[1].now()+seconds(60), time.Now(), false)
			list := b.Next(1)
			switch {
			case test.none != (list == nil):
				t.Errorf("%s: got %d intervals", name, len(list))
			case list != nil && test.early != (list[0].To-list[0].From > seconds(3600)):
				t.Errorf("%s: got an interval of %ds", name, (list[0].To-list[0].From)/seconds(1))
			}
		}
		for n := range len(record) {
			if err := New(time.Second).Restore(record[:n], 7, 3); err == nil && n != header {
				t.Errorf("got no error for the first %d bytes", n)
			}
		}
	})
}

// TestWhatWaitsIsMissedByTheNextRun: an interval that was not read yet is in the record.
func TestWhatWaitsIsMissedByTheNextRun(t *testing.T) {
	for name, reading := range map[string]bool{"waits": false, "is being read": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clocks := map[uint32]clock{1: 0, 2: 0, 3: 0}
				b := New(time.Second)
				flow(b, clocks, time.Minute)
				from := clocks[1].now()
				b.Miss(1)
				flow(b, map[uint32]clock{2: 0, 3: 0}, time.Minute)
				flow(b, clocks, time.Minute)
				if reading && len(b.Next(1)) != 1 {
					t.Fatal("got no interval")
				}
				record := b.Append(7, 3, all(clocks))
				b = New(time.Second)
				if err := b.Restore(record, 7, 3); err != nil {
					t.Fatal(err)
				}
				b.Came(1, clocks[1].now()+1, time.Now(), false)
				if list := b.Next(1); len(list) != 1 || list[0].From != from {
					t.Errorf("got %v, want from %d", list, from)
				}
				b.Came(2, clocks[2].now()+1, time.Now(), false)
				if list := b.Next(1); len(list) != 1 || list[0].From < clocks[2].now()-seconds(30) {
					t.Errorf("got %v of the other node, want its last seconds", list)
				}
			})
		})
	}
}

// TestNothingHasLeftBeforeItHas: values that were put but have not left are missed by the
// next run.
func TestNothingHasLeftBeforeItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks := map[uint32]clock{1: 0}
		b := New(time.Second)
		flow(b, clocks, time.Minute)
		from := clocks[1].now()
		if b.Probe(time.Now()) == nil {
			t.Fatal("got no probe")
		}
		flow(b, clocks, time.Hour) // behind a record that does not leave
		record := b.Append(7, 3, all(clocks))
		b = New(time.Second)
		if err := b.Restore(record, 7, 3); err != nil {
			t.Fatal(err)
		}
		b.Came(1, clocks[1].now()+1, time.Now(), false)
		if list := b.Next(1); len(list) != 1 || list[0].From > from {
			t.Errorf("got %v, want what follows %d", list, from)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	b := New(time.Second)
	for i := range int64(maxGaps + 5000) {
		b.Miss(uint32(i % 7))
		b.Came(uint32(i%7), 1000+i, time.Now(), true)
	}
	if b.entries > maxGaps || b.GivenUp() == 0 || b.GivenUp() != 0 {
		t.Errorf("got %d entries, want at most %d and the others given up", b.entries, maxGaps)
	}
	n := b.Waiting()
	if got := b.Drop(func(uint32) bool { return true }); got != n || b.entries != 0 {
		t.Errorf("got %d dropped and %d entries left, want %d and 0", got, b.entries, n)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add(make([]byte, header+perEarly))
	f.Add(append([]byte{version}, make([]byte, header+perEarly-1)...))
	f.Fuzz(func(t *testing.T, record []byte) {
		b := New(time.Second)
		if b.Restore(record, 0, 0) != nil {
			return
		}
		b.Came(0, 1<<40, time.Now(), false)
		for _, g := range b.Next(9) {
			if g.From <= 0 || g.To-g.From > int64(Longest/tick) {
				t.Errorf("got %+v, want at most a day", g)
			}
		}
	})
}

func TestRecordsAreSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks := map[uint32]clock{}
		for h := range uint32(3000) {
			clocks[h] = clock(-time.Duration(h) * time.Minute)
		}
		b := New(time.Second)
		flow(b, clocks, 3*time.Second)
		record := b.Append(7, 3, all(clocks))
		if len(record) != MaxRecord {
			t.Fatalf("got %d bytes, want %d", len(record), MaxRecord)
		}
		b = New(time.Second)
		if err := b.Restore(record, 7, 3); err != nil {
			t.Fatal(err)
		}
		var late []uint32
		for h, c := range clocks {
			if b.restored.of(h) > c.now() {
				late = append(late, h)
			}
		}
		if slices.Sort(late); len(late) > 0 {
			t.Errorf("got marks of %d nodes after what was passed on, the first of %d", len(late), late[0])
		}
	})
}
