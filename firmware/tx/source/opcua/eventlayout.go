package opcua

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// layout spreads the select clauses of a table over several items of a notifier, for
// servers that take few clauses in a filter. Each item has the EventId, by which the
// parts of an event are joined.
type layout struct {
	table   *event.Table
	groups  [][]int // numbers of operands; the first of each group but the first is the EventId
	eventID int
	absent  map[uint32]bool // handles of items that the server has refused; under events.mu
}

// fewestClauses are tried before events are given up.
const fewestClauses = 8

func newLayout(table *event.Table, most int) *layout {
	l := &layout{table: table, eventID: slices.IndexFunc(table.Operands(), isEventID), absent: map[uint32]bool{}}
	all := make([]int, len(table.Operands()))
	for i := range all {
		all[i] = i
	}
	if l.eventID < 0 || len(all) <= most {
		l.groups = [][]int{all}
		return l
	}
	most = max(most, 2)
	l.groups = [][]int{all[:most]}
	for part := range slices.Chunk(all[most:], most-1) {
		l.groups = append(l.groups, append([]int{l.eventID}, part...))
	}
	return l
}

func isEventID(o event.Operand) bool {
	return o.Attribute == ua.AttributeIDValue && len(o.Path) == 1 && o.Path[0].Namespace == 0 &&
		string(o.Path[0].Name) == "EventId"
}

// byImportance puts the fields first that say what an event is, so that the first item
// of a notifier has them.
func byImportance(operands []event.Operand) {
	rank := func(o event.Operand) int {
		at := slices.Index([]uint32{id.BaseEventType, id.ConditionType, id.AcknowledgeableConditionType,
			id.AlarmConditionType}, o.Type.Number)
		if o.Type.Namespace != 0 || at < 0 {
			return 4
		}
		return at
	}
	slices.SortStableFunc(operands, func(a, b event.Operand) int {
		return cmp.Or(-cmp.Compare(b2i(isEventID(a)), b2i(isEventID(b))), cmp.Compare(rank(a), rank(b)))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// items returns the items of a notifier; the handle of the first one is a multiple of
// their number.
func (l *layout) items(notifier rawvalue.NodeID, number int) (items []client.Item) {
	for g, group := range l.groups {
		clauses := make([]client.SelectClause, len(group))
		for i, at := range group {
			o := l.table.Operands()[at]
			clauses[i] = client.SelectClause{Type: o.Type, Path: o.Path, Attribute: o.Attribute}
		}
		items = append(items, client.Item{
			Node: notifier, Attribute: ua.AttributeIDEventNotifier,
			Handle: uint32(number*len(l.groups) + g), Queue: eventQueue, DiscardOldest: true,
			Filter: client.Events(clauses),
		})
	}
	return items
}

// joint is an event of which some parts have come.
type joint struct {
	notifier int
	id       []byte
	has      []bool // by group
	missing  int
	values   [][]byte
	since    time.Time
	size     int // bytes
}

// Our own choices: how many events wait to be joined, and for how long.
const (
	maxJoining = 1000
	joinWithin = 5 * time.Second
)

// join adds a part of an event, and returns the event once all its parts have come.
// Parts of several events with one EventId belong together in their order.
func (l *eventHandler) join(handle uint32, fields [][]byte, now time.Time) (complete []*joint) {
	n := len(l.layout.groups)
	number, group := int(handle)/n, int(handle)%n
	key := fields[0]
	if group == 0 {
		key = fields[l.layout.eventID]
	}
	at := slices.IndexFunc(l.joining, func(j *joint) bool {
		return j.notifier == number && !j.has[group] &&
			bytes.Equal(j.id, key)
	})
	if at < 0 {
		at = len(l.joining)
		j := &joint{notifier: number, id: bytes.Clone(key), has: make([]bool, n), missing: n,
			values: make([][]byte, len(l.table.Operands())), since: now}
		l.mu.Lock()
		for g := range j.has {
			if l.layout.absent[uint32(number*n+g)] {
				j.has[g] = true
				j.missing--
			}
		}
		l.mu.Unlock()
		l.joining = append(l.joining, j)
	}
	j := l.joining[at]
	j.has[group] = true
	j.missing--
	for i, operand := range l.layout.groups[group] {
		j.values[operand] = bytes.Clone(fields[i])
		j.size += len(fields[i])
		l.waiting += len(fields[i])
	}
	if j.missing == 0 {
		l.joining = slices.Delete(l.joining, at, at+1)
		l.waiting -= j.size
		complete = append(complete, j)
	}
	return complete
}

// overdue removes and returns what has waited too long, or is beyond the bounds.
func (l *eventHandler) overdue(now time.Time) (list []*joint) {
	for len(l.joining) > 0 && (len(l.joining) > maxJoining || l.waiting > maxHeld ||
		now.Sub(l.joining[0].since) >= joinWithin) {
		list = append(list, l.joining[0])
		l.waiting -= l.joining[0].size
		l.joining = slices.Delete(l.joining, 0, 1)
	}
	return list
}
