package subscription

import (
	"container/heap"
	"time"
)

// sampleQueue is a heap of the items that are sampled, the next one first. The engine's
// lock guards it.
type sampleQueue struct{ heap []*sample }

// sample is when an item is sampled next.
type sample struct {
	it    *item
	due   time.Time
	index int // in the heap
}

// readSamples samples the items that are due, those that have waited longest first. If they are too
// many for one call the next one goes on.
func (e *Engine) readSamples(now time.Time) {
	for work := 0; work < maxSampleWork; {
		t := e.samples.next(now)
		if t == nil {
			return
		}
		work += sampleWork + t.it.readSample(e)
		e.samples.schedule(t, now.Add(t.it.samplingInterval))
	}
}

// next returns the sample that is due, nil if there is none. It stays in the heap until it is
// scheduled again.
func (s *sampleQueue) next(now time.Time) *sample {
	if len(s.heap) == 0 || now.Before(s.heap[0].due) {
		return nil
	}
	return s.heap[0]
}

// schedule sets when a sample is due, for the first time or again.
func (s *sampleQueue) schedule(t *sample, due time.Time) {
	known := t.index < len(s.heap) && s.heap[t.index] == t
	if t.due = due; known {
		heap.Fix(s, t.index)
	} else {
		heap.Push(s, t)
	}
}

func (s *sampleQueue) remove(t *sample) {
	if t.index < len(s.heap) && s.heap[t.index] == t {
		heap.Remove(s, t.index)
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (s *sampleQueue) Len() int           { return len(s.heap) }
func (s *sampleQueue) Less(i, j int) bool { return s.heap[i].due.Before(s.heap[j].due) }

func (s *sampleQueue) Swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.heap[i].index, s.heap[j].index = i, j
}

func (s *sampleQueue) Push(x any) {
	t := x.(*sample)
	t.index = len(s.heap)
	s.heap = append(s.heap, t)
}

func (s *sampleQueue) Pop() any {
	last := len(s.heap) - 1
	t := s.heap[last]
	s.heap[last] = nil
	s.heap = s.heap[:last]
	return t
}
