package history

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// delayShare is the part of the time that a segment is of for which it is kept when it is too old.
const delayShare = 4 // our own bound

// expire removes the segments that are too old or too many, oldest first.
func (w *worker) expire(now time.Time) {
	w.expired = now
	w.remove(w.surplus(now), now)
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
func (s *Store) oldest(now time.Time) []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byAge(ticksOf(now))[:min(1, len(s.segments))]
}

// byAge returns the segments, oldest first; with the lock.
func (s *Store) byAge(now int64) []*segment {
	all := slices.Clone(s.segments)
	slices.SortStableFunc(all, func(a, b *segment) int { return cmp.Compare(a.age(now), b.age(now)) })
	return all
}

// surplus returns the segments to remove.
//
// Time goes by the receiver's clock, but no further than the newest change. Either may be ahead for a
// while, and the clock may be right after it was wrong, or the board was off: a step shows neither. So
// what is too old goes only once it has been so for a while that this process has run, without a
// break: a quarter of the longest time that a segment is of, six hours or Age/32. Then one goes after
// the other, each after a quarter of the time that it is of. A clock that is put right before that
// has removed nothing; one that is not removes the history within a quarter of the time that it took
// to gather. A start begins again.
func (w *worker) surplus(at time.Time) (remove []*segment) {
	s, now, ran := w.s, ticksOf(at), w.s.ran()
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.open.span.last
	size := 2 * (s.full + journalStep) // of the journals, about
	for _, seg := range s.segments {
		newest = max(newest, seg.age(now))
		size += seg.size
	}
	oldest := min(newest, now) - int64(s.limits.Age/tick)
	all := s.byAge(now)
	if len(all) == 0 || all[0].age(now) >= oldest {
		w.delay()
	}
	for i, seg := range all {
		due := seg.age(now) < oldest && ran-w.since >= w.wait
		if !due && size <= s.limits.Bytes {
			break
		}
		if due && i+1 < len(all) {
			w.since += w.wait
			w.wait = min(time.Duration(all[i+1].age(now)-seg.age(now)), s.longest()/tick) * tick / delayShare
		}
		remove = append(remove, seg)
		size -= seg.size
	}
	return remove
}

// delay has what is too old wait from now on.
func (w *worker) delay() { w.since, w.wait = w.s.ran(), w.s.longest()/delayShare }

// longest is how long a generation is open.
func (s *Store) longest() time.Duration { return min(s.limits.Age/sealShare, 24*time.Hour) }
