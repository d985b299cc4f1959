package subscription

import (
	"container/heap"
	"time"
)

// agenda holds the items that are looked at in turn, the next one first. The engine's
// lock guards it.
type agenda struct{ list []*item }

// next returns the item that is due, nil if none is. It stays where it is until again.
func (s *agenda) next(now time.Time) *item {
	if len(s.list) == 0 || now.Before(s.list[0].due) {
		return nil
	}
	return s.list[0]
}

// again says when an item is due, for the first time or once more.
func (s *agenda) again(it *item, due time.Time) {
	known := it.place < len(s.list) && s.list[it.place] == it
	if it.due = due; known {
		heap.Fix(s, it.place)
	} else {
		heap.Push(s, it)
	}
}

func (s *agenda) remove(it *item) {
	if it.place < len(s.list) && s.list[it.place] == it {
		heap.Remove(s, it.place)
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
	it := x.(*item)
	it.place = len(s.list)
	s.list = append(s.list, it)
}

func (s *agenda) Pop() any {
	last := len(s.list) - 1
	it := s.list[last]
	s.list[last] = nil
	s.list = s.list[:last]
	return it
}
