package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"

	"heliograph/firmware/platform/text"
)

// plainWidth is the width of a table that no terminal shows.
const plainWidth = 200

// Table prints rows as a table, in colours that the caller takes away where there is
// no terminal.
func Table(out io.Writer, rows []Row, width int, now time.Time) error {
	if width <= 0 {
		width = plainWidth
	}
	t := newTable(rows, width-1)
	lines := []string{t.head()}
	for i := range rows {
		lines = append(lines, t.row(&rows[i], false, now)...)
	}
	for _, l := range lines {
		if _, err := lipgloss.Fprintln(out, strings.TrimRight(l, " ")); err != nil {
			return err
		}
	}
	return nil
}

// JSON prints rows as one line: an array.
func JSON(out io.Writer, rows []Row) error {
	if rows == nil {
		rows = []Row{}
	}
	return json.NewEncoder(out).Encode(rows)
}

// Lines prints a line for each board when it was first asked, and when its level or
// reason changes, until ctx ends.
func Lines(ctx context.Context, w *Watcher, out io.Writer) error {
	var mu sync.Mutex
	var failed error
	last := map[string]string{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.Run(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range w.Rows() {
			now := r.Level + r.Why()
			if last[r.Address] == now || failed != nil {
				continue
			}
			last[r.Address] = now
			if _, failed = fmt.Fprintln(out, line(&r, w.now())); failed != nil {
				cancel()
			}
		}
	})
	return failed
}

// line is how a board stands, in one line.
func line(r *Row, now time.Time) string {
	name := r.Name()
	if r.Pair != "" {
		name += " " + r.Side() + " (" + r.Address + ")"
	}
	line := fmt.Sprintf("%s %s: %s: %s", now.UTC().Format(time.RFC3339), name, r.Level, r.Sentence)
	if why := r.Why(); why != "" && why != r.Sentence {
		line += " " + why
	}
	return text.Printable(line)
}

// JSONLines prints the rows of all boards that were asked as JSON, one line each interval,
// until ctx ends.
func JSONLines(ctx context.Context, w *Watcher, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { w.Run(ctx, func() {}) })
	defer asking.Wait()
	defer cancel()
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := JSON(out, w.Rows()); err != nil {
				return err
			}
		}
	}
}
