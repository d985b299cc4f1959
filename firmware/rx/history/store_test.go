package history

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/task"
)

var (
	_ task.Task      = (*Store)(nil)
	_ counter.Source = (*Store)(nil)
)

func TestValuesAreReadAtOnceFromMemoryJournalAndSegments(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	r := newRig(t, dir, generous)
	r.add("a", 1, 2, 3)
	r.add("b", 2)
	r.expect("in memory", "a", 1, 2, 3)
	r.pass(time.Second)
	r.add("a", 4)
	r.expect("in the journal", "a", 1, 2, 3, 4)
	r.seal()
	r.add("a", 5)
	r.expect("sealed", "a", 1, 2, 3, 4, 5)
	r.expect("another node", "b", 2)
	r.expect("a node that is not there", "c")
	r.Close()
	r.add("a", 6)
	if n := r.Stats().Dropped; n != 1 {
		t.Errorf("added after Close: %d dropped, want 1", n)
	}
	again := newRig(t, dir, generous)
	again.expect("opened again", "a", 1, 2, 3, 4, 5)
	again.add("a", 6)
	again.pass(time.Second)
	newRig(t, copyDir(t, dir), generous).expect("the journal goes on", "a", 1, 2, 3, 4, 5, 6)
}

func TestBothEndsAreIncluded(t *testing.T) {
	for name, sealed := range map[string]bool{"in memory": false, "sealed": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, t.TempDir(), generous)
			r.add("a", 1, 2, 3, 4)
			if sealed {
				r.seal()
			}
			r.equal("oldest first", r.values("a", 2, 3), []string{"2:v2", "3:v3"})
			r.equal("newest first", r.values("a", 3, 2), []string{"3:v3", "2:v2"})
			r.equal("one moment", r.values("a", 2, 2), []string{"2:v2"})
			r.equal("before", r.values("a", -5, 0), nil)
			r.equal("after", r.values("a", 9, 5), nil)
		})
	}
}

func TestFalseEndsTheReading(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	r.add("a", 1, 2, 3, 4)
	n := 0
	if err := r.Values([]byte("a"), second(0), second(9), func(time.Time, []byte) bool {
		n++
		return n < 2
	}); err != nil || n != 2 {
		t.Errorf("%d calls, error %v; want 2", n, err)
	}
}

// Late values come in any order and are spread over many segments; each is added up to three times.
func TestLateValuesAreInTheirPlaceAndRepeatedOnesAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, generous)
	rnd := rand.New(rand.NewPCG(1, 2))
	var order, want []int
	for n := range 3000 {
		want = append(want, n)
		for range 1 + rnd.IntN(3) {
			order = append(order, n)
		}
	}
	rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for part := range slices.Chunk(order, 700) {
		r.add("a", part...)
		r.add("b", part...)
		r.seal()
	}
	r.add("a", order[:100]...)
	r.expect("late", "a", want...)
	r.expect("late", "b", want...)
	r.equal("part", r.values("a", 2000, 1998), []string{"2000:v2000", "1999:v1999", "1998:v1998"})
}

func TestValuesAtOneTimeKeepTheOrderOfArrival(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	add := func(values ...string) {
		for _, v := range values {
			r.AddValue([]byte("a"), second(5), []byte(v))
		}
	}
	want := []string{"5:z", "5:y", "5:x", "5:w"}
	add("z", "y", "z")
	r.add("a", 4)
	add("z", "x")
	r.seal()
	add("y", "w", "x", "w")
	check := func(what string) {
		t.Helper()
		r.equal(what, r.values("a", 5, 5), want)
		back := slices.Clone(want)
		slices.Reverse(back)
		r.equal(what+", newest first", r.values("a", 5, 4), append(back, "4:v4"))
	}
	check("partly sealed")
	r.seal()
	check("sealed")
}

func TestEventsAreKeptApartFromValues(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	r.AddEvent(second(2), []byte("two"))
	r.AddEvent(second(1), []byte("one"))
	r.AddValue(nil, second(3), []byte("value"))
	r.AddValue([]byte("e"), second(3), []byte("value"))
	for range 2 {
		var got []string
		if err := r.Events(second(0), second(9), func(at time.Time, b []byte) bool {
			got = append(got, string(b))
			return true
		}); err != nil {
			t.Fatal(err)
		}
		r.equal("events", got, []string{"one", "two"})
		r.equal("the node without a name", r.values("", 0, 9), []string{"3:value"})
		r.seal()
	}
}

func TestTimesOfAnyYearAreKept(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	times := []time.Time{
		{}, time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999_999_900, time.UTC),
		day0.Add(123_456_700), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Unix(1<<62, 0),
	}
	for i, at := range times {
		r.AddValue([]byte("a"), at, []byte{byte('0' + i)})
	}
	r.seal()
	var got []string
	if err := r.Values([]byte("a"), time.Time{}, time.Unix(1<<62, 0), func(at time.Time, v []byte) bool {
		got = append(got, at.Format(time.RFC3339Nano)+" "+string(v))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	r.equal("times", got, []string{
		"1601-01-01T00:00:00Z 0", "1601-01-01T00:00:00Z 1", "1969-12-31T23:59:59.9999999Z 2",
		"2026-11-01T00:00:00.1234567Z 3", "9999-12-31T23:59:59Z 4", "9999-12-31T23:59:59Z 5",
	})
}

func TestHostileChangesAreRefusedAndCounted(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	r.AddValue([]byte("a"), second(1), make([]byte, maxValue+1))
	r.AddValue(make([]byte, maxNode+1), second(1), nil)
	for i := range maxSame + 10 {
		r.AddValue([]byte("b"), second(1), fmt.Appendf(nil, "%d", i))
	}
	if st := r.Stats(); st.Refused != 12 || st.Added != maxSame {
		t.Errorf("%d refused, %d added, want 12 and %d", st.Refused, st.Added, maxSame)
	}
	big := bytes.Repeat([]byte{7}, maxValue)
	node := bytes.Repeat([]byte("n"), maxNode)
	r.AddValue(node, second(1), big)
	r.AddValue(node, second(2), nil)
	r.seal()
	var got [][]byte
	if err := r.Values(node, second(0), second(9), func(_ time.Time, v []byte) bool {
		got = append(got, bytes.Clone(v))
		return true
	}); err != nil || len(got) != 2 || !bytes.Equal(got[0], big) || len(got[1]) != 0 {
		t.Errorf("the largest value: %d values, error %v", len(got), err)
	}
}

func TestAValueThatDoesNotFitIntoMemoryIsDropped(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	value := make([]byte, maxValue)
	for i := range 60 {
		value[0] = byte(i)
		r.AddValue([]byte("a"), second(i), value)
		if m := r.Stats().Memory; m > maxMemory {
			t.Fatalf("%d bytes in memory", m)
		}
	}
	st := r.Stats()
	if st.Dropped == 0 || st.Added+st.Dropped != 60 {
		t.Errorf("%d added, %d dropped of 60", st.Added, st.Dropped)
	}
	r.pass(time.Second)
	if got := len(r.values("a", 0, 99)); uint64(got) != st.Added {
		t.Errorf("%d values, want %d", got, st.Added)
	}
}

func TestSpanAndLimits(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	if _, _, ok := r.Span(); ok {
		t.Error("an empty store has a span")
	}
	r.add("a", 5, 3)
	r.seal()
	r.add("b", 9)
	if from, to, ok := r.Span(); !ok || !from.Equal(second(3)) || !to.Equal(second(9)) {
		t.Errorf("got %v to %v, want seconds 3 to 9", from, to)
	}
	for _, l := range []Limits{{}, {Age: time.Hour}, {Bytes: 1 << 30}, {Age: time.Hour, Bytes: MinBytes - 1}} {
		if _, err := Open(t.TempDir(), l, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
}

func TestEveryCounterIsTagged(t *testing.T) {
	r := newRig(t, t.TempDir(), generous)
	if got, want := len(r.Counters()[0].Values), reflect.TypeFor[Stats]().NumField(); got != want {
		t.Errorf("%d counters, want %d", got, want)
	}
}

func TestRunWritesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, err := Open(dir, generous, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		s.AddValue([]byte("a"), second(1), []byte("v1"))
		time.Sleep(writeEvery + time.Millisecond)
		newRig(t, copyDir(t, dir), generous).expect("a second later", "a", 1)
		s.AddValue([]byte("a"), second(2), []byte("v2"))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.AddValue([]byte("a"), second(3), []byte("v3"))
		s.Close()
		s.AddValue([]byte("a"), second(4), []byte("v4"))
		newRig(t, dir, generous).expect("closed", "a", 1, 2, 3)
	})
}

func TestManyAddAndReadAtOnce(t *testing.T) {
	r := newRig(t, t.TempDir(), Limits{Age: time.Hour, Bytes: 2 << 20})
	const each = 20_000
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	var wg sync.WaitGroup
	for w := range 3 {
		node := fmt.Appendf(nil, "node %d", w)
		wg.Go(func() {
			for i := range each {
				r.AddValue(node, second(i), fmt.Appendf(nil, "%d", i))
			}
		})
		wg.Go(func() {
			for range 20 {
				last := second(-1)
				if err := r.Values(node, second(0), second(each), func(at time.Time, _ []byte) bool {
					if !at.After(last) {
						t.Errorf("%v after %v", at, last)
					}
					last = at
					return true
				}); err != nil {
					t.Error(err)
				}
				_, _ = r.Stats(), r.Damaged()
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := r.Stats(); st.Added+st.Dropped != 3*each {
		t.Errorf("%d added and %d dropped, want %d", st.Added, st.Dropped, 3*each)
	}
}
