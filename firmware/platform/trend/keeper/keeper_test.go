package keeper

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/trend"
)

var _ task.Task = (*Keeper)(nil)

// run runs a keeper of a steady count for a time, and returns what a span has then.
func run(t *testing.T, k *Keeper, span string, lasting time.Duration) trend.Values {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	time.Sleep(lasting) // of the simulated clock
	synctest.Wait()
	h, ok := k.History(span)
	if !ok || k.Ready() != nil {
		t.Errorf("%s: got %t, %v", span, ok, k.Ready())
	}
	if stop(); <-done != nil {
		t.Error("the task failed")
	}
	return h.Series[0].Values
}

func open(dir string) *Keeper {
	began := time.Now()
	return Open(dir, []trend.Figure{{Name: "frames", Unit: "1/s", Kind: trend.Rate}},
		func() []float64 { return []float64{3 * time.Since(began).Seconds()} }, slog.New(slog.DiscardHandler))
}

func known(v trend.Values) (n int) {
	for _, x := range v {
		if !math.IsNaN(float64(x)) {
			n++
		}
	}
	return n
}

func TestDayOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		k := open(dir)
		if v := run(t, k, "10m", 10*time.Minute+time.Second); known(v) < 299 || v[200] != 3 {
			t.Errorf("got %d points, one of them %v; want all, 3", known(v), v[200])
		}
		k.Close()
		time.Sleep(time.Hour)
		k = open(dir)
		if v := run(t, k, "1d", 10*time.Minute); known(v) < 4 || known(v) > 6 || v[287-15] != 3 || v[287-1] != 3 {
			t.Errorf("got %d points: %v; want those of both runs", known(v), v)
		}
	})
}

func TestCardIsWrittenOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "trend")
		k := open(dir)
		written, last := 0, []byte(nil)
		go func() {
			for range 26 * 4 {
				time.Sleep(15 * time.Minute)
				if b, err := os.ReadFile(file); err == nil && !bytes.Equal(b, last) {
					written, last = written+1, b
				}
			}
		}()
		if run(t, k, "1d", 26*time.Hour); written < 25 || written > 26 {
			t.Errorf("written %d times in 26 hours, want once an hour", written)
		}
		if len(last) > 20<<10 {
			t.Errorf("%d bytes are written", len(last))
		}
	})
}

func TestDamagedFileCostsHistoryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, spoil := range map[string]func(string) error{
			"no record":  func(file string) error { return os.WriteFile(file, []byte("HGS1"), 0o600) },
			"no trend":   func(file string) error { return store.Write(file, []byte{9}) },
			"no writing": func(file string) error { return os.Mkdir(file, 0o700) },
		} {
			dir := t.TempDir()
			if err := spoil(filepath.Join(dir, "trend")); err != nil {
				t.Fatal(err)
			}
			k := open(dir)
			if v := run(t, k, "1d", 10*time.Minute); known(v) == 0 {
				t.Errorf("%s: got no points", name)
			}
			k.Close()
		}
	})
}

// A board has the time of day some time after its start: until then nothing is dropped.
func TestClockThatStandsBeforeWhatIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		lasting time.Duration
		least   int
	}{"for a minute": {time.Minute, 12}, "for good": {20 * time.Minute, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				ring := trend.New([]trend.Figure{{Name: "frames", Unit: "1/s", Kind: trend.Rate}})
				for at := range 1800 {
					ring.Add(time.Now().Add(24*time.Hour+time.Duration(at)*2*time.Second), []float64{float64(at)})
				}
				if err := store.Write(filepath.Join(dir, "trend"), ring.Encode()); err != nil {
					t.Fatal(err)
				}
				if v := run(t, open(dir), "1d", c.lasting); known(v) != c.least && known(v) != c.least+1 {
					t.Errorf("got %d points, want %d", known(v), c.least)
				}
			})
		})
	}
}

// A clock that is wrong for a moment drops nothing; one that stays so is followed.
func TestClockThatIsSetWhileTheKeeperRuns(t *testing.T) {
	for name, by := range map[string]time.Duration{"ahead": 60 * 24 * time.Hour, "back": -30 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, off := open(t.TempDir()), time.Duration(0)
				k.clock = func() time.Time { return time.Now().Add(off) }
				pass := func(lasting time.Duration) trend.Values { return run(t, k, "1d", lasting) }
				pass(2 * time.Hour)
				off = by
				if v := pass(5 * time.Minute); known(v) < 24 {
					t.Errorf("a clock that was set: got %d points, want all", known(v))
				}
				off = 0
				if v := pass(time.Hour); known(v) < 36 {
					t.Errorf("and set right again: got %d points, want all", known(v))
				}
				off = by
				pass(11 * time.Minute)
				h, _ := k.History("1d")
				if d := h.To.Sub(time.Now().Add(by)); d < 0 || d > 5*time.Minute || known(h.Series[0].Values) > 2 {
					t.Errorf("a clock that stays set: got %d points up to %v too late", known(h.Series[0].Values), d)
				}
			})
		})
	}
}
