package client

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// TestBatchesGrowAgain: a server that took few operations takes more after a while.
func TestBatchesGrowAgain(t *testing.T) {
	for _, announced := range []int{0, 300} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.perRead = uint32(announced)
			var mu sync.Mutex
			takes, largest, refusals := 20, 0, 0 // of the limits there are fewer
			f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
				list := readNodes(c)
				mu.Lock()
				defer mu.Unlock()
				if len(list) > takes {
					refusals++
					return nil, ua.StatusBadTooManyOperations
				}
				largest = max(largest, len(list))
				return f.read(list), 0
			})
			cfg := f.config()
			cfg.Timeout = time.Minute // and fewer keep-alives
			s, err := Connect(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			become := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				takes, refusals = n, 0
			}
			become(10)
			collect(t, s, nodes(1000))
			become(10)
			for range 24 {
				time.Sleep(10 * time.Minute)
				collect(t, s, nodes(100))
			}
			mu.Lock()
			if n := s.batches.read.size(); n > 14 || refusals > 10 {
				t.Errorf("got batches of %d after %d refusals in four hours, want few, tried rarely", n, refusals)
			}
			mu.Unlock()
			become(1000)
			for range 40 {
				time.Sleep(40 * time.Minute)
				for range growBatches {
					collect(t, s, nodes(s.batches.read.size()))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			want := maxRead
			if announced > 0 {
				want = announced
			}
			if n := s.batches.read.size(); n != want || largest > want {
				t.Errorf("got batches of %d and at most %d, want them grown to %d", n, largest, want)
			}
		})
	}
}

func TestSlowBatchesDoNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batch{}
		b.limit(1000, 0)
		b.slow(1000)
		for range 1000 {
			time.Sleep(time.Minute)
			b.done(b.size(), 2*time.Second, 4*time.Second)
			b.done(b.size()-1, time.Millisecond, 4*time.Second) // says nothing of more
		}
		if n := b.size(); n != 500 {
			t.Errorf("got %d, want 500: twice as many would take the time-out", n)
		}
	})
}

// TestALargerBatchIsTriedLessAndLessOften: once a day at last.
func TestALargerBatchIsTriedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batch{}
		b.limit(1000, 0)
		tries := 0
		for range 30 * 24 * 60 { // a month
			if n := b.size(); n > 100 {
				tries++
				b.refused(n)
			} else {
				b.done(n, time.Millisecond, time.Second)
			}
			time.Sleep(time.Minute)
		}
		if tries < 30 || tries > 45 {
			t.Errorf("got %d batches that were refused in 30 days, want one a day after the first", tries)
		}
	})
}

func TestSetLimitsHoldAtOnce(t *testing.T) {
	b := &batch{}
	b.limit(1000, 0)
	b.limit(1000, 50) // the next session's server announces it
	if n := b.size(); n != 50 {
		t.Errorf("got %d, want the announced 50", n)
	}
	b.limit(1000, 0)
	if n := b.size(); n != 50 {
		t.Errorf("got %d, want what was learned", n)
	}
}
