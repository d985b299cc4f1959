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
	w.remove(w.s.surplus(now), now)
}

// remove removes segments.
func (w *worker) remove(segments []*segment, now time.Time) {
	s := w.s
	for _, seg := range segments {
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

// oldest returns the oldest segment, if there is one: on a disk that is full it makes room.
func (s *Store) oldest() []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byAge()[:min(1, len(s.segments))]
}

// byAge returns the segments, oldest first; with the lock.
func (s *Store) byAge() []*segment {
	all := slices.Clone(s.segments)
	slices.SortStableFunc(all, func(a, b *segment) int { return cmp.Compare(a.age(), b.age()) })
	return all
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
	for _, seg := range s.byAge() {
		if seg.age() >= oldest && size <= s.limits.Bytes {
			break
		}
		remove = append(remove, seg)
		size -= seg.size
	}
	return remove
}
