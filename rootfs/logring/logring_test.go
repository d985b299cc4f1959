package logring

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// logTo returns a logger whose lines go to the ring, as all of a board's do.
func logTo(r *Ring) *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func TestLinesOfAnEarlierRunComeFirst(t *testing.T) {
	folder := t.TempDir()
	for run := range 3 {
		var r Ring
		fmt.Fprintf(&r, "run %d, before the disk\n", run)
		if err := r.Attach(folder, 1<<20, logTo(&r)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&r, "run %d, ", run)
		fmt.Fprint(&r, "after\n")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{fmt.Sprintf("run %d, before the disk", run), fmt.Sprintf("run %d, after", run)}
		got := r.Tail(100)
		if len(got) != 2*run+2 || !slices.Equal(got[2*run:], want) {
			t.Errorf("run %d: got %q, want those before and %q", run, got, want)
		}
	}
}

func TestRingIsBounded(t *testing.T) {
	folder := t.TempDir()
	var r Ring
	if err := r.Attach(folder, 20_000, logTo(&r)); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		fmt.Fprintf(&r, "line %d\n", i)
		for i%kept == 0 && len(r.files.queue) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got := r.Tail(1 << 30)
	if len(got) != kept || got[0] != "line 9000" || got[kept-1] != "line 9999" {
		t.Errorf("got %d lines, %q to %q; want the newest %d", len(got), got[0], got[len(got)-1], kept)
	}
	total := int64(0)
	for _, name := range []string{"log.0", "log.1"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 20_000+MaxLine || total < 10_000 {
		t.Errorf("got %d bytes on disk, want 10,000 to 20,000", total)
	}
	var again Ring
	if err := again.Attach(folder, 20_000, logTo(&again)); err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Tail(2); !slices.Equal(got, []string{"line 9998", "line 9999"}) {
		t.Errorf("after a restart: got %q", got)
	}
}

func TestHostileLines(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"escape sequences", "a\x1b[2Jb\x07\tc\x7f\n", "a?[2Jb?\tc?"},
		{"no text", "a\xff\xfeb\n", "a?b"},
		{"too long", strings.Repeat("x", 5*MaxLine) + "\n", strings.Repeat("x", MaxLine)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Ring
			fmt.Fprint(&r, tt.in)
			fmt.Fprint(&r, "next\n")
			if got := r.Tail(9); !slices.Equal(got, []string{tt.want, "next"}) {
				t.Errorf("got %q, want %q and the next", got, tt.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a\nb\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "log.0"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var r Ring
		if err := r.Attach(folder, 1<<20, logTo(&r)); err != nil {
			t.Fatal(err)
		}
		for _, line := range r.Tail(kept) {
			if len(line) > 3*MaxLine || strings.ContainsAny(line, "\x1b\x00\r") {
				t.Fatalf("got line %q", line)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
