package pipeline

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/platform/counter"
)

// medium receives nothing and has the counts that a test sets.
type medium struct{ counts any }

func (m medium) Receive(time.Duration, func([]byte)) error { return nil }
func (m medium) Close() error                              { return nil }
func (m medium) Counts() any                               { return m.counts }

type wordCounts struct {
	Lost uint64 `count:"lost_words" help:"Words lost."`
}

func TestLinkShowsTheCountersOfItsParts(t *testing.T) {
	config := Config{Synchronizer: codeword.New(wire.CheckCRC), Log: slog.New(slog.DiscardHandler)}
	l := New(config, medium{wordCounts{7}})
	l.handleChunk([]byte("noise"))
	l.idle = true
	l.withChannel(9, nil)
	l.tick(time.Now())
	for _, want := range []struct {
		part, name string
		value      uint64
	}{
		{"link", "sessionless_frames", 0}, {"link", "unconfigured_records", 1},
		{"codeword", "skipped_bytes", 5}, {"medium", "lost_words", 7},
	} {
		if got, ok := find(l.Counters(), want.part, want.name); !ok || got != want.value {
			t.Errorf("%s %s: got %d (shown %v), want %d", want.part, want.name, got, ok, want.value)
		}
	}
}

func TestAMediumThatDoesNotCountHasNoCounters(t *testing.T) {
	sets := New(Config{Log: slog.New(slog.DiscardHandler)}, medium{}).Counters()
	if slices.ContainsFunc(sets, func(s counter.Set) bool { return s.Part != "link" }) {
		t.Errorf("got %+v, want the link's alone", sets)
	}
}

func find(sets []counter.Set, part, name string) (uint64, bool) {
	for _, s := range sets {
		for _, v := range s.Values {
			if s.Part == part && v.Name == name {
				return v.Value, true
			}
		}
	}
	return 0, false
}
