package history

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// expire removes the segments that are too old or too many, oldest first.
func (w *worker) expire(now time.Time) {
	w.expired = now
	s := w.s
	for _, seg := range s.surplus(now) {
		err := os.Remove(segmentPath(s.dir, seg.number))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail(err, now)
			return
		}
		s.mu.Lock()
		s.segments = slices.DeleteFunc(s.segments, func(a *segment) bool { return a == seg })
		s.stats.Expired += seg.changes
		s.mu.Unlock()
	}
}

// surplus returns the segments to remove. Time goes by the receiver's clock, but no further than the newest
// change: a clock that jumps ahead removes nothing.
func (s *Store) surplus(now time.Time) (remove []*segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.open.span.last
	size := 2 * (s.full + journalStep) // of the journals, about
	for _, seg := range s.segments {
		newest = max(newest, seg.age())
		size += seg.size
	}
	oldest := min(newest, ticksOf(now)) - int64(s.limits.Age/tick)
	byAge := slices.Clone(s.segments)
	slices.SortStableFunc(byAge, func(a, b *segment) int { return cmp.Compare(a.age(), b.age()) })
	for _, seg := range byAge {
		if seg.age() >= oldest && size <= s.limits.Bytes {
			break
		}
		remove = append(remove, seg)
		size -= seg.size
	}
	return remove
}
