package replay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
)

var t0 = time.Unix(1_700_000_000, 0)

func newWindow(t testing.TB, limit int) *Window {
	t.Helper()
	w, err := New(Config{Epoch: 7, Limit: limit, Start: t0})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// passed is what a pass consisted of.
type passed struct {
	windows []record.Window
	pages   []record.Replay
	entries map[uint16][]uint64 // numbers by channel, in the order given out
	bytes   int
}

// pass takes a whole pass out of a window. between is called before each body.
func passOf(t testing.TB, w *Window, now time.Time, between func()) passed {
	t.Helper()
	p := passed{entries: map[uint16][]uint64{}}
	var reader record.ReplayReader
	for {
		if between != nil {
			between()
		}
		kind, body := w.Next(now)
		switch kind {
		case 0:
			return p
		case record.KindWindow:
			var s record.Window
			if err := s.Parse(body); err != nil {
				t.Fatal(err)
			}
			p.windows = append(p.windows, s)
		case record.KindReplay:
			var r record.Replay
			if err := r.Parse(body); err != nil {
				t.Fatal(err)
			}
			if err := reader.Entries(&r, func(e *record.Replayed) {
				p.entries[r.Channel] = append(p.entries[r.Channel], e.Seq)
				if want := payload(r.Channel, e.Seq); !bytes.HasPrefix(e.Payload, want) {
					t.Fatalf("channel %d number %d: got payload %.20q, want %q…", r.Channel, e.Seq, e.Payload, want)
				}
			}); err != nil {
				t.Fatal(err)
			}
			p.pages = append(p.pages, r)
		}
		p.bytes += len(body)
	}
}

func payload(channel uint16, seq uint64) []byte { return fmt.Appendf(nil, "%d/%d", channel, seq) }

func event(c *Channel, seq uint64, size int) *record.Replayed {
	p := payload(c.id, seq)
	return &record.Replayed{Seq: seq, Event: true, Payload: append(p, make([]byte, max(size-len(p), 0))...)}
}

func TestAPassGivesOutEveryRecordOldestFirst(t *testing.T) {
	w := newWindow(t, 64<<20)
	a, b, quiet := w.Channel(1), w.Channel(2), w.Channel(3)
	var want []uint64
	for i := range uint64(3000) {
		a.Keep(t0.Add(time.Duration(i)*time.Millisecond), event(a, i+1, 100))
		b.Keep(t0.Add(time.Duration(i)*time.Millisecond), event(b, i+1, 30))
		want = append(want, i+1)
	}
	p := passOf(t, w, t0.Add(10*time.Second), nil)
	if !slices.Equal(p.entries[a.id], want) || !slices.Equal(p.entries[b.id], want) || p.entries[quiet.id] != nil {
		t.Errorf("got %d and %d numbers, want all 3000 in order, and none of a channel without records",
			len(p.entries[a.id]), len(p.entries[b.id]))
	}
	if len(p.windows) != 3 || p.windows[2] != (record.Window{Channel: 3, Epoch: 7, First: 1, Reach: 10}) {
		t.Errorf("got statements %+v, want one for each channel", p.windows)
	}
	last := map[uint16]uint64{}
	for _, page := range p.pages {
		if page.First != last[page.Channel]+1 || page.Epoch != 7 {
			t.Errorf("a page of channel %d from %d follows %d: pages are to cover all numbers", page.Channel,
				page.First, last[page.Channel])
		}
		last[page.Channel] = page.Last
	}
	if kind, _ := w.Next(t0.Add(10*time.Second + passEvery/2)); kind != 0 {
		t.Error("a pass began less than a second after the one before")
	}
	if again := passOf(t, w, t0.Add(11*time.Second), nil); again.bytes < p.bytes || w.Stats().Passes != 2 {
		t.Errorf("the second pass has %d bytes, the first %d", again.bytes, p.bytes)
	}
}

func TestPagesOfAllChannelsComeInTheOrderOfTime(t *testing.T) {
	w := newWindow(t, 64<<20)
	channels := []*Channel{w.Channel(1), w.Channel(2), w.Channel(3)}
	var want []uint16
	for range 20 { // a record that fills a page
		c := channels[rand.IntN(3)]
		c.Keep(t0, event(c, c.open.First, pageBytes))
		want = append(want, c.id)
	}
	var got []uint16
	for _, page := range passOf(t, w, t0, nil).pages {
		got = append(got, page.Channel)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got pages of channels\n%v, want\n%v", got, want)
	}
}

func TestNumbersThatNeverLeftAreWithinAPageWithoutAnEntry(t *testing.T) {
	w := newWindow(t, 1<<20)
	c := w.Channel(1)
	for _, seq := range []uint64{3, 4, 9} {
		c.Keep(t0, event(c, seq, 1))
	}
	p := passOf(t, w, t0, nil)
	if page := p.pages[0]; page.First != 1 || page.Last != 9 || !slices.Equal(p.entries[1], []uint64{3, 4, 9}) {
		t.Errorf("got %d to %d with %v, want 1 to 9 with 3, 4 and 9", page.First, page.Last, p.entries[1])
	}
}

func TestTheChannelThatTakesMostLosesItsOldestPages(t *testing.T) {
	const limit = 4 << 20
	w := newWindow(t, limit)
	big, small := w.Channel(1), w.Channel(2)
	noise := make([]byte, 1000)
	for i := range uint64(20_000) {
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(noise)
		now := t0.Add(time.Duration(i) * time.Millisecond)
		e := event(big, i+1, 0)
		e.Payload = append(e.Payload, noise...)
		big.Keep(now, e)
		if i%10 == 0 {
			small.Keep(now, event(small, i/10+1, 100))
		}
	}
	now := t0.Add(20 * time.Second)
	passOf(t, w, now.Add(-passEvery), nil) // packs the pages that wait for it
	p := passOf(t, w, now, nil)
	if n := len(p.entries[small.id]); n != 2000 || p.windows[1].First != 1 || p.windows[1].Reach != 20 {
		t.Errorf("the small channel has %d of 2000 records, and states %+v", n, p.windows[1])
	}
	first := p.entries[big.id][0]
	age := uint64(now.Sub(t0.Add(time.Duration(first-1)*time.Millisecond)) / time.Second)
	if s := p.windows[0]; s.First != first || s.Reach != age || s.Pass != 1 || first == 1 {
		t.Errorf("the big channel states %+v; its oldest record is number %d, %d s old", s, first, age)
	}
	if s := w.Stats(); s.Bytes > limit || s.Bytes < limit*8/10 || s.Evicted == 0 {
		t.Errorf("the window takes %d bytes of %d, %d pages evicted", s.Bytes, limit, s.Evicted)
	}
	if got := uint64(w.Reach(now) / time.Second); got != age {
		t.Errorf("reach is %d s, want the least of all channels, %d s", got, age)
	}
}

func TestAWindowThatMovesDuringAPass(t *testing.T) {
	w := newWindow(t, 1<<20)
	c := w.Channel(1)
	seq := uint64(0)
	keep := func(n int) {
		for range n {
			seq++
			c.Keep(t0, event(c, seq, 20))
		}
	}
	keep(20_000)
	at := c.pages[len(c.pages)-1].last
	p := passOf(t, w, t0, func() { keep(2000) })
	numbers := p.entries[1]
	if first := numbers[0]; !slices.IsSorted(numbers) || numbers[len(numbers)-1] < at {
		t.Errorf("got numbers %d to %d, sorted %v; want those up to %d at least", first, numbers[len(numbers)-1],
			slices.IsSorted(numbers), at)
	}
	for i, page := range p.pages[1:] {
		if before := p.pages[i]; page.First != before.Last+1 {
			t.Errorf("after the page up to %d comes one from %d: what is between would be final", before.Last,
				page.First)
		}
	}
	if len(p.pages) > 500 {
		t.Errorf("the pass had %d pages: it does not end", len(p.pages))
	}
}

func TestARecordOfTheLargestSize(t *testing.T) {
	w := newWindow(t, 64<<20)
	c := w.Channel(1)
	c.Keep(t0, event(c, 1, 100))
	c.Keep(t0, event(c, 2, record.MaxRecord-48))
	c.Keep(t0, event(c, 3, 100))
	if p := passOf(t, w, t0, nil); len(p.pages) != 3 || !slices.Equal(p.entries[1], []uint64{1, 2, 3}) {
		t.Errorf("got %v in %d pages, want 3 pages of one record", p.entries[1], len(p.pages))
	}
}

func TestAWindowSmallerThanARecord(t *testing.T) {
	w := newWindow(t, 1<<20)
	c := w.Channel(1)
	big := event(c, 1, 0)
	noise := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	big.Payload = append(big.Payload, noise...)
	c.Keep(t0, big)
	p := passOf(t, w, t0.Add(time.Hour), nil)
	if len(p.pages) != 0 || p.windows[0].First != 2 || p.windows[0].Reach != 0 {
		t.Errorf("got %d pages and %+v, want none, and 2 to be the first", len(p.pages), p.windows[0])
	}
}

func TestWithoutChannelsThereIsNoPass(t *testing.T) {
	w := newWindow(t, 1<<20)
	if kind, _ := w.Next(t0); kind != 0 || !w.Wake().IsZero() {
		t.Errorf("got kind %d, wake %v; want nothing, ever", kind, w.Wake())
	}
}

// stateChange is a new value of one of many tags.
func stateChange(keys [][]byte, value []byte, i uint64) record.Replayed {
	value[0], value[1] = byte(i), byte(i>>8)
	return record.Replayed{
		Seq: i + 1, Time: t0.UnixNano() + int64(i)*1_000_000, Key: keys[i%uint64(len(keys))], Payload: value,
	}
}

func tags(n int) (keys [][]byte) {
	for i := range n {
		keys = append(keys, fmt.Appendf(nil, "value\x00\x00\x00\x02ns=2;s=tag-%d", i))
	}
	return keys
}

func TestKeepingARecordDoesNotAllocate(t *testing.T) {
	w := newWindow(t, 1<<20)
	c := w.Channel(1)
	keys, value, i := tags(5000), make([]byte, 9), uint64(0)
	keep := func() {
		e := stateChange(keys, value, i)
		c.Keep(t0, &e)
		i++
	}
	for range 50_000 { // until buffers have grown, and the window is full
		keep()
	}
	if n := testing.AllocsPerRun(20_000, keep); n > 0 {
		t.Errorf("%v allocations for each record, want none", n)
	}
}

func BenchmarkKeep(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("%d tags", n), func(b *testing.B) {
			w := newWindow(b, 64<<20)
			c := w.Channel(1)
			keys, value, i := tags(n), make([]byte, 9), uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				e := stateChange(keys, value, i)
				c.Keep(t0, &e)
				i++
			}
			closed := 0
			for _, p := range c.pages {
				closed += len(p.body)
			}
			b.ReportMetric(float64(closed)/float64(max(c.open.First-c.oldest(), 1)), "B/record")
		})
	}
}

// TestAWindowWithoutMemoryStatesThatItIsEmpty: a receiver then knows that what it misses
// does not come again.
func TestAWindowWithoutMemoryStatesThatItIsEmpty(t *testing.T) {
	w := newWindow(t, 0)
	c := w.Channel(3)
	for seq := range uint64(100_000) {
		c.Keep(t0, &record.Replayed{Seq: seq + 1, Event: true, Payload: make([]byte, 100)})
	}
	got := passOf(t, w, t0.Add(time.Hour), nil)
	want := record.Window{Channel: 3, Epoch: 7, First: 100_001}
	if len(got.windows) != 1 || got.windows[0] != want || len(got.pages) != 0 || w.Stats().Bytes > pageBytes {
		t.Errorf("got %+v, %d pages, %d bytes; want %+v and nothing else", got.windows, len(got.pages),
			w.Stats().Bytes, want)
	}
}

// TestTheTimeOfAPassIsThatOfOneThatSentSomething: the first has nothing, and the next
// may have much more than the one before.
func TestTheTimeOfAPassIsThatOfOneThatSentSomething(t *testing.T) {
	w := newWindow(t, 8<<20)
	c := w.Channel(3)
	now := t0
	slow := func() { now = now.Add(10 * time.Millisecond) }
	next := uint64(1)
	pass := func(records int) {
		for range records {
			c.Keep(now, &record.Replayed{Seq: next, Event: true, Payload: payload(3, next)})
			next++
		}
		now = now.Add(2 * time.Second)
		for kind, _ := w.Next(now); kind != 0; kind, _ = w.Next(now) {
			slow()
		}
	}
	if pass(0); w.Pass(now) != 0 {
		t.Errorf("after a pass without a page: got %v, want 0", w.Pass(now))
	}
	pass(100)
	first := w.Pass(now)
	if first < 20*time.Millisecond || first > 100*time.Millisecond { // a statement, a page
		t.Errorf("got %v, want 20 ms, and a little for what the page itself takes", first)
	}
	for range 400_000 {
		c.Keep(now, &record.Replayed{Seq: next, Event: true, Payload: payload(3, next)})
		next++
	}
	if got := w.Pass(now); got < 2*first {
		t.Errorf("with a fuller window got %v, want more than the last pass took", got)
	}
	now = now.Add(2 * time.Second)
	w.Next(now)
	if now = now.Add(time.Minute); w.Pass(now) < time.Minute {
		t.Errorf("a minute into a pass got %v", w.Pass(now))
	}
}
