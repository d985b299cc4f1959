package subscription

import (
	"container/heap"
	"time"
)

// agenda holds the items that are looked at in turn, the next one first. The engine's
// lock guards it.
type agenda struct{ list []*turn }

// turn is when an item is looked at.
type turn struct {
	it    *item
	due   time.Time
	place int // in the agenda
}

// next returns the turn that is due, nil if none is. It stays where it is until again.
func (s *agenda) next(now time.Time) *turn {
	if len(s.list) == 0 || now.Before(s.list[0].due) {
		return nil
	}
	return s.list[0]
}

// again says when a turn is due, for the first time or once more.
func (s *agenda) again(t *turn, due time.Time) {
	known := t.place < len(s.list) && s.list[t.place] == t
	if t.due = due; known {
		heap.Fix(s, t.place)
	} else {
		heap.Push(s, t)
	}
}

func (s *agenda) remove(t *turn) {
	if t.place < len(s.list) && s.list[t.place] == t {
		heap.Remove(s, t.place)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (s *agenda) Len() int           { return len(s.list) }
func (s *agenda) Less(i, j int) bool { return s.list[i].due.Before(s.list[j].due) }

func (s *agenda) Swap(i, j int) {
	s.list[i], s.list[j] = s.list[j], s.list[i]
	s.list[i].place, s.list[j].place = i, j
}

func (s *agenda) Push(x any) {
	t := x.(*turn)
	t.place = len(s.list)
	s.list = append(s.list, t)
}

func (s *agenda) Pop() any {
	last := len(s.list) - 1
	t := s.list[last]
	s.list[last] = nil
	s.list = s.list[:last]
	return t
}
