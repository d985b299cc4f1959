package mqtt

import (
	"errors"
	"slices"
	"testing"
)

func TestQoS2CrossesOnceOverConnections(t *testing.T) {
	s := newDeliveries()
	var done []string
	take := func(name string, o origin, sum uint64) *delivery {
		return s.add(2, o, &delivery{
			sum: sum, done: func() { done = append(done, name) },
			fail: func(err error) { done = append(done, name+": "+err.Error()) },
		})
	}
	d := take("first", origin{id: 1}, 7)
	if take("again", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery, want none")
	}
	s.left(d)
	if take("late", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery after it left, want none")
	}
	if want := []string{"again", "late"}; !slices.Equal(done, want) {
		t.Errorf("got %v, want %v: each connection acknowledges it once", done, want)
	}
	if take("other", origin{id: 1, dup: true}, 8) == nil || take("new", origin{id: 1}, 8) == nil {
		t.Error("got another message taken for the one before")
	}
	lost := take("lost", origin{id: 2}, 9)
	s.lost(lost, origin{id: 2}, errors.New("gone"))
	if take("after", origin{id: 2, dup: true}, 9) == nil {
		t.Error("got nothing for a message that never left")
	}
	take("kept", origin{id: 3}, 1)
	s.reset()
	if take("fresh", origin{id: 3, dup: true}, 1) == nil {
		t.Error("got a message of another session taken for this one's")
	}
}
