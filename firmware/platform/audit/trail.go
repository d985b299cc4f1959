package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/platform/text"
)

// Our own choices; see the package comment.
const (
	roomOfKind = 16
	maxKinds   = 40
	burst      = 5
	refill     = time.Minute // one more event of a kind
	firstHold  = 10 * time.Second
	longHold   = time.Hour
	quiet      = 5 * time.Minute // without an event of a kind: each stands for itself again
	other      = "other"
	maxPast    = 8
)

// Trail is the events of one board. The zero value is not ready: see New.
type Trail struct {
	id     string // random
	source string
	next   uint64 // number
	kinds  map[string]*kind
	fresh  []Event
	handed uint64   // number of the last that was handed on
	past   []string // identifiers of the trails before
}

// kind is the room of one kind of event, and its rate.
type kind struct {
	events []Event // newest last
	tokens float64
	filled time.Time
	held   Event // Count 0: nothing is held
	newest time.Time
	until  time.Time     // when what is held becomes an event
	hold   time.Duration // how long it was held
}

// New returns an empty trail of a board. id distinguishes it from the trail that the board had
// before it lost its disk; "" for one that only takes events.
func New(source, id string) *Trail {
	return &Trail{id: id, source: source, next: 1, kinds: map[string]*kind{}}
}

// Source returns the board that the trail is of.
func (t *Trail) Source() string { return t.source }

// ID returns the trail's identifier.
func (t *Trail) ID() string { return t.id }

func (t *Trail) kind(name string, now time.Time) *kind {
	k := t.kinds[name]
	if k == nil && len(t.kinds) >= maxKinds {
		k = t.kinds[other]
		name = other
	}
	if k == nil {
		k = &kind{tokens: burst, filled: now}
		t.kinds[name] = k
	}
	return k
}

// Add notes n events of a kind.
func (t *Trail) Add(now time.Time, name, description string, n uint64) {
	if n == 0 {
		return
	}
	category, result := classify(name)
	e := Event{Time: now.UTC(), Source: t.source, Category: category, Event: text.Clip(name, maxWord),
		Text: clean(description), Result: result, Count: n}
	k := t.kind(name, now)
	if passed := now.Sub(k.filled); passed > 0 {
		k.tokens = min(burst, k.tokens+float64(passed)/float64(refill))
	}
	k.filled = now
	if now.Sub(k.newest) > min(k.hold, quiet) {
		k.hold = 0
	}
	k.newest = now
	if k.held.Count > 0 {
		k.held.Count, k.held.Text = k.held.Count+n, e.Text
		return
	}
	if k.hold == 0 && k.tokens >= 1 {
		k.tokens--
		t.record(k, e)
		return
	}
	k.hold = min(max(2*k.hold, firstHold), longHold)
	k.held, k.until = e, now.Add(k.hold)
}

// Tick makes events of what was held long enough.
func (t *Trail) Tick(now time.Time) {
	for _, k := range t.kinds {
		if k.held.Count > 0 && !now.Before(k.until) {
			t.release(k)
		}
	}
}

// Holds reports whether something is held.
func (t *Trail) Holds() bool {
	for _, k := range t.kinds {
		if k.held.Count > 0 {
			return true
		}
	}
	return false
}

// Flush makes events of all that is held: at the end of a run.
func (t *Trail) Flush() {
	for _, k := range t.kinds {
		if k.held.Count > 0 {
			t.release(k)
		}
	}
}

func (t *Trail) release(k *kind) {
	e := k.held
	k.held = Event{}
	t.record(k, e)
}

// record gives an event its number.
func (t *Trail) record(k *kind, e Event) {
	e.Number = t.next
	t.next++
	k.keep(e)
	t.fresh = append(t.fresh, e)
}

func (k *kind) keep(e Event) {
	if len(k.events) == roomOfKind {
		k.events = slices.Delete(k.events, 0, 1)
	}
	k.events = append(k.events, e)
}

// AddRemote keeps an event that another board has numbered, and says how many are missing
// before it. One that was taken before is left alone. From another trail than before, or with a number
// that is given again, it is the first: what was sent before this board started is not missing.
func (t *Trail) AddRemote(m Message) (missing uint64, taken bool) {
	e := m.Entry
	switch {
	case t.Has(m):
		return 0, false
	case m.Trail != t.id:
		t.past = append(t.past[max(len(t.past)-maxPast+1, 0):], t.id)
		t.id, t.handed = m.Trail, 0
	case t.Reuses(m):
	default:
		missing = e.Number - t.next
	}
	e.Source = t.source
	t.next = e.Number + 1
	t.kind(e.Event, e.Time).keep(e)
	t.fresh = append(t.fresh, e)
	return missing, true
}

// Expects reports whether a message is the next of the trail that was taken so far, or
// of another trail.
func (t *Trail) Expects(m Message) bool { return m.Trail != t.id || m.Entry.Number == t.next }

// Has reports whether a message was taken before, or is of a trail that another one
// followed.
func (t *Trail) Has(m Message) bool {
	if m.Trail != t.id {
		return slices.Contains(t.past, m.Trail)
	}
	same, _, _ := t.kept(m.Entry)
	return same || m.Entry.Number < t.next && !t.Reuses(m)
}

// Reuses reports whether a message has a number that another event was taken with: its board hands on
// what its disk does not take, and after a restart goes on from the last number that is on the disk.
func (t *Trail) Reuses(m Message) bool {
	if m.Trail != t.id || m.Entry.Number >= t.next {
		return false
	}
	same, numbered, newest := t.kept(m.Entry)
	return !same && (numbered || m.Entry.Time.After(newest)) // the other one may be kept no longer
}

// kept says whether an event is kept, whether any one with its number is, and when the newest was.
func (t *Trail) kept(e Event) (same, numbered bool, newest time.Time) {
	for _, k := range t.kinds {
		for _, old := range k.events {
			if old.Time.After(newest) {
				newest = old.Time
			}
			if old.Number == e.Number {
				numbered = true
				same = same || old.Event == e.Event && old.Time.Equal(e.Time)
			}
		}
	}
	return same, numbered, newest
}

// Newest returns the newest n events that were handed on, by number.
func (t *Trail) Newest(n int) (list []Message) {
	for _, k := range t.kinds {
		for _, e := range k.events {
			if e.Number <= t.handed {
				list = append(list, Message{t.id, e})
			}
		}
	}
	slices.SortFunc(list, func(a, b Message) int { return cmp.Compare(a.Entry.Number, b.Entry.Number) })
	return list[max(len(list)-n, 0):]
}

// Fresh returns the events since it was asked before, in the order of their numbers.
func (t *Trail) Fresh() []Event {
	fresh := t.fresh
	t.fresh = nil
	return fresh
}

// HandedOn notes that the events up to a number need not be handed on again after a
// restart.
func (t *Trail) HandedOn(number uint64) { t.handed = max(t.handed, number) }

// Events returns what is kept, and last what is still held, without a number, oldest first.
func (t *Trail) Events() (list []Event) {
	for _, k := range t.kinds {
		list = append(list, k.events...)
		if k.held.Count > 0 {
			list = append(list, k.held)
		}
	}
	Sort(list)
	return list
}

// Sort brings events in the order of their times.
func Sort(list []Event) {
	slices.SortFunc(list, func(a, b Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Number, b.Number))
	})
}

// stored is a trail on disk. What was held when the run ended is an event of its own.
type stored struct {
	ID     string             `json:"id"`
	Next   uint64             `json:"next"`
	Handed uint64             `json:"handed"`
	Past   []string           `json:"past,omitempty"`
	Kinds  map[string][]Event `json:"kinds"`
	Held   []Event            `json:"held,omitempty"` // without numbers
}

// MarshalJSON writes what Restore reads.
func (t *Trail) MarshalJSON() ([]byte, error) {
	s := stored{ID: t.id, Next: t.next, Handed: t.handed, Past: t.past, Kinds: map[string][]Event{}}
	for name, k := range t.kinds {
		if len(k.events) > 0 {
			s.Kinds[name] = k.events
		}
		if k.held.Count > 0 {
			s.Held = append(s.Held, k.held)
		}
	}
	return json.Marshal(s)
}

// Restore goes on with a trail that was kept. What was not handed on is fresh again.
func (t *Trail) Restore(b []byte) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("audit: %v", err)
	}
	t.id, t.next, t.handed, t.past = s.ID, max(t.next, s.Next), s.Handed, s.Past[max(len(s.Past)-maxPast, 0):]
	for name, events := range s.Kinds {
		for _, e := range events {
			t.kind(name, e.Time).keep(e)
			if e.Number > t.handed {
				t.fresh = append(t.fresh, e)
			}
		}
	}
	for _, e := range s.Held[:min(len(s.Held), maxKinds+1)] {
		t.record(t.kind(e.Event, e.Time), e)
	}
	slices.SortFunc(t.fresh, func(a, b Event) int { return cmp.Compare(a.Number, b.Number) })
	return nil
}
