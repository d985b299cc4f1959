package pagelog

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/tx/replay"
)

// run is a window of a run whose pages are in a log.
type run struct {
	*replay.Window
	log      *Log
	now      time.Time
	channels []*replay.Channel
	last     []uint64
	cursor   cursor
	reader   record.ReplayReader
	gaps     bool // a pass may leave out what is lost
}

func newRun(t *testing.T, dir string, epoch uint64, memory int, channels int) *run {
	t.Helper()
	r := &run{log: Open(dir, MinLimit, slog.New(slog.DiscardHandler)), now: t0.Add(time.Duration(epoch) * time.Hour)}
	var err error
	r.Window, err = replay.New(replay.Config{Epoch: epoch, Limit: memory, Start: r.now, Older: r.log})
	if err != nil {
		t.Fatal(err)
	}
	r.log.Save(r.Window)
	for i := range channels {
		r.channels = append(r.channels, r.Window.Channel(uint16(i+1)))
	}
	r.last = make([]uint64, channels)
	return r
}

// keep keeps n records of channels at random, and some time passes.
func (r *run) keep(random *rand.Rand, n int) {
	noise := make([]byte, 200)
	for range n {
		i := random.IntN(len(r.channels))
		for j := range noise {
			noise[j] = byte(random.Uint32())
		}
		r.last[i]++
		r.channels[i].Keep(r.now, &record.Replayed{Seq: r.last[i], Event: true, Payload: noise[:random.IntN(200)]})
	}
	r.now = r.now.Add(100 * time.Millisecond)
}

// pass takes a pass, doing something before each body, and returns for every channel the
// numbers of each epoch: the first, how many records, and whether any is left out.
func (r *run) pass(t *testing.T, before func()) map[uint16]map[uint64]*passed {
	t.Helper()
	got := map[uint16]map[uint64]*passed{}
	epochs := map[uint16]uint64{}
	r.now = r.now.Add(time.Second)
	passes := r.Stats().Passes
	for {
		before()
		kind, body := r.Next(r.now)
		if kind == record.KindReplay {
			var p record.Replay
			if err := p.Parse(body); err != nil {
				t.Fatal(err)
			}
			if p.Epoch < epochs[p.Channel] {
				t.Fatalf("channel %d: epoch %d after %d", p.Channel, p.Epoch, epochs[p.Channel])
			}
			epochs[p.Channel] = p.Epoch
			if got[p.Channel] == nil {
				got[p.Channel] = map[uint64]*passed{}
			}
			c := got[p.Channel][p.Epoch]
			if c == nil {
				c = &passed{first: p.First, next: p.First}
				got[p.Channel][p.Epoch] = c
			}
			c.lost += p.First - c.next
			if p.First != c.next && (!r.gaps || p.First < c.next) {
				t.Fatalf("channel %d epoch %d: a page from %d after %d: what is between would be lost for good",
					p.Channel, p.Epoch, p.First, c.next-1)
			}
			if err := r.reader.Entries(&p, func(*record.Replayed) { c.records++ }); err != nil {
				t.Fatal(err)
			}
			c.next = p.Last + 1
		}
		if kind != 0 {
			continue
		}
		if r.Stats().Passes > passes {
			return got
		}
		if s, size, ok := r.log.toRead(&r.cursor); ok { // an older page was not there yet
			r.log.readChunk(&r.cursor, s, size)
		}
		r.now = r.now.Add(2 * time.Millisecond)
	}
}

// passed is what a pass has of an epoch of a channel.
type passed struct{ first, next, records, lost uint64 }

func TestARestartLosesNothingThatHasLeft(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	var last [][]uint64
	for epoch := range uint64(3) {
		r := newRun(t, dir, epoch+1, 1<<20, 3)
		for range 20 {
			r.keep(random, 300)
			if random.IntN(2) == 0 {
				r.log.write(r.now, age)
			}
		}
		r.log.Close()
		last = append(last, r.last)
	}
	r := newRun(t, dir, 4, 1<<20, 3)
	r.keep(random, 100)
	got := r.pass(t, func() {})
	for epoch, last := range append(last, r.last) {
		for i, n := range last {
			if c := got[uint16(i+1)][uint64(epoch+1)]; c == nil || c.first != 1 || c.records != n {
				t.Errorf("epoch %d channel %d: got %+v, want all %d records", epoch+1, i+1, c, n)
			}
		}
	}
}

// TestAPassLeavesNothingOut runs passes while pages go to the disk and out of memory.
func TestAPassLeavesNothingOut(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := newRun(t, t.TempDir(), 1, 1<<20, 3)
	for range 100 {
		r.keep(random, 300)
		r.log.write(r.now, age)
	}
	for pass := range 5 {
		before := r.last[0]
		got := r.pass(t, func() {
			r.keep(random, random.IntN(100))
			if random.IntN(3) == 0 {
				r.log.write(r.now, age)
			}
		})
		// What left before the pass began is in it, but for what memory lost meanwhile.
		if c := got[1][1]; c == nil || c.first != 1 || c.next <= before*3/4 {
			t.Errorf("pass %d: got %+v, want about all %d records", pass, c, before)
		}
	}
	s := r.Stats()
	if s.Evicted == 0 || s.Unsaved != 0 {
		t.Errorf("%d pages evicted, %d never saved; want some, and none", s.Evicted, s.Unsaved)
	}
}

func TestADiskThatTakesNothingLeavesTheWindowInMemory(t *testing.T) {
	r := newRun(t, "/dev/null/replay", 1, 4<<20, 1)
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		r.keep(random, 300)
		r.log.write(r.now, age)
	}
	got := r.pass(t, func() {})[1][1]
	s := r.Stats()
	if got == nil || got.next != r.last[0]+1 || got.records < 10_000 || s.Unsaved == 0 || s.Bytes > 13<<20 {
		t.Errorf("got %+v of %d, %+v; want the newest that fit in memory", got, r.last[0], s)
	}
	if r.log.Ready() == nil {
		t.Error("got ready")
	}
}

// fail has writes to the log's disk fail, not reads; or works again.
func (r *run) fail(dir string) {
	r.log.dir = dir
	if w := &r.log.writer; w.file != nil {
		w.file.Close()
	}
}

// writing returns a function that keeps so often 300 records, and has the log write them.
func (r *run) writing(seed uint64) func(n int) {
	random := rand.New(rand.NewPCG(seed, seed+1))
	return func(n int) {
		for range n {
			r.keep(random, 300)
			r.log.write(r.now, age)
		}
	}
}

// TestADiskThatTakesNoMoreLeavesTheWindowInMemory: what is on the disk, and what is in
// memory, comes again; what neither has is left out, and is not stated.
func TestADiskThatTakesNoMoreLeavesTheWindowInMemory(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, dir, 1, 1<<20, 1)
	keep := r.writing(7)
	keep(100)
	onDisk := r.last[0]
	r.fail("/dev/null/replay")
	keep(1000)
	if reach := r.Reach(r.now); reach > 100*time.Second || reach < 10*time.Second {
		t.Errorf("states that the last %v can come again, want what is in memory", reach)
	}
	r.gaps = true
	got := r.pass(t, func() {})[1][1]
	lost := got.lost
	if got.first != 1 || got.next != r.last[0]+1 || got.records != r.last[0]-lost || lost == 0 ||
		got.records < onDisk+10_000 {
		t.Fatalf("got %+v of %d, %d of them on the disk; want those, and the newest", got, r.last[0], onDisk)
	}
	r.fail(dir)
	r.now = r.now.Add(retryEvery)
	keep(100)
	if got := r.pass(t, func() {})[1][1]; got.first != 1 || got.next != r.last[0]+1 || got.lost != lost {
		t.Errorf("once the disk works: got %+v of %d; want no more than %d lost", got, r.last[0], lost)
	}
}

// TestADiskThatTakesNothingEndsNoPass: what memory loses during a pass is left out.
func TestADiskThatTakesNothingEndsNoPass(t *testing.T) {
	r := newRun(t, "/dev/null/replay", 1, 1<<20, 2)
	keep := r.writing(9)
	keep(1000)
	r.gaps = true
	for range 3 {
		before := r.last[0]
		got := r.pass(t, func() { keep(2) })[1][1]
		if got == nil || got.lost == 0 || got.next-got.first < (before-got.first)*3/4 {
			t.Errorf("got %+v, want records up to about %d, though some are lost", got, before)
		}
	}
}
