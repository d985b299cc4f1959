package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/platform/status"
)

// Our own choices.
const (
	Interval     = 2 * time.Second  // between two questions to a board
	marginWindow = 10 * time.Minute // that the margin is of
	marginStep   = 10 * time.Second // between two figures that are kept for it
)

// Watcher asks all boards, each by itself: one that does not answer holds up no other.
type Watcher struct {
	boards []*board
	now    func() time.Time
}

// board is one that is asked.
type board struct {
	client *client

	mu      sync.Mutex
	asked   bool // at least once
	status  *status.Snapshot
	contact time.Time
	fault   error // of the last question
	level   string
	since   time.Time // of level, as seen here
	figures []figures
}

// figures are the link's at a moment.
type figures struct {
	at                     time.Time
	uptime                 float64 // seconds
	frames, repaired, lost uint64
}

// New returns a watcher of boards that are not asked yet.
func New(list []Address, l Login) *Watcher {
	w := &Watcher{now: time.Now}
	for _, a := range list {
		w.boards = append(w.boards, &board{client: newClient(a, l)})
	}
	return w
}

// Run asks all boards until ctx ends. changed is called after each answer, from many goroutines.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	var all sync.WaitGroup
	for _, b := range w.boards {
		all.Go(func() {
			ticker := time.NewTicker(Interval)
			defer ticker.Stop()
			for {
				b.ask(ctx, w.now)
				changed()
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
			}
		})
	}
	all.Wait()
}

// Once asks all boards once and returns how they stand.
func (w *Watcher) Once(ctx context.Context) []Row {
	var all sync.WaitGroup
	for _, b := range w.boards {
		all.Go(func() { b.ask(ctx, w.now) })
	}
	all.Wait()
	return w.Rows()
}

// Rows returns how all boards stand that were asked, the worst first.
func (w *Watcher) Rows() (rows []Row) {
	now := w.now()
	for _, b := range w.boards {
		if r, ok := b.row(now); ok {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.compare(&b) })
	return rows
}

// ask asks the board once.
func (b *board) ask(ctx context.Context, now func() time.Time) {
	s, err := b.client.get(ctx)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.fault = true, err
	level, at := NoAnswer, now()
	if err == nil {
		b.status, b.contact = s, at
		b.note(figures{at, s.UptimeSeconds, s.Link.Frames, value(s.Link.Repaired), value(s.Link.Lost)})
		level = judge(s).level
	}
	if level != b.level {
		b.level, b.since = level, at
	}
}

// note keeps the figures that the margin needs: the first of each step, and the last.
func (b *board) note(f figures) {
	if n := len(b.figures); n > 0 && f.restarted(&b.figures[n-1]) {
		b.figures = nil
	}
	n := len(b.figures)
	if n > 1 && f.at.Sub(b.figures[n-2].at) < marginStep {
		b.figures[n-1] = f
		return
	}
	b.figures = append(b.figures, f)
	for len(b.figures) > 1 && f.at.Sub(b.figures[1].at) >= marginWindow {
		b.figures = b.figures[1:]
	}
}

// restarted reports whether the role has started again since some earlier figures: with an uptime that
// is less than half of what has passed more, it did while it was not asked.
func (f *figures) restarted(since *figures) bool {
	passed := f.at.Sub(since.at).Seconds()
	return f.frames < since.frames || f.uptime < since.uptime+passed/2
}

// margin is of the last ten minutes, or since this program began; of a board that was
// asked once, since its own start.
func (b *board) margin() Margin {
	last := b.figures[len(b.figures)-1]
	if len(b.figures) == 1 {
		return Margin{b.status.UptimeSeconds, last.frames, last.repaired, last.lost}
	}
	first := b.figures[0]
	return Margin{last.at.Sub(first.at).Seconds(), last.frames - first.frames, last.repaired - min(last.repaired,
		first.repaired), last.lost - min(last.lost, first.lost)}
}

// row is how the board stands; false before it was asked.
func (b *board) row(now time.Time) (Row, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked {
		return Row{}, false
	}
	r := Row{Address: b.client.address.Name, Since: b.since, Contact: b.contact, Reasons: []Reason{},
		Trouble: []string{}}
	if b.status != nil {
		r.fill(b.status, now)
		r.Margin = b.margin()
	}
	if b.fault != nil {
		r.Level, r.Since, r.Link = NoAnswer, b.since, ""
		r.Sentence, r.Reasons = "The board does not answer.", []Reason{{Text: b.fault.Error(), Since: b.since}}
	}
	return r, true
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}
