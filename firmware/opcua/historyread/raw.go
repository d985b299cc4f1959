package historyread

import (
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Raw reads raw values (OPC 10000-11 §6.5.3.2).
// With its exported fields set it is ready to begin; a copy is a continuation point.
type Raw struct {
	Domain
	Bounds bool // bounding values too

	stage    stage
	position position
	returned uint32 // entries so far
	last     int64  // time of the last one
}

// stage is what comes next.
type stage uint8

const (
	atStart stage = iota
	atValues
	atEnd
	done
)

// boundDistance is how far behind the last value an end that is not specified is (OPC 10000-11
// Table 1, notes).
const boundDistance = int64(time.Second / 100)

// Emit is given the entries of a response one by one, and reports whether there is room for
// another one.
type Emit func(at int64, dataValue []byte) bool

// Read emits values until the response is full or the domain ends. more is true if there are
// more of them; without any, the domain was empty.
func (r *Raw) Read(each Source, emit Emit) (more bool, err error) {
	w := rawWalk{Raw: r, each: each, emit: emit, room: true}
	for r.stage != done && err == nil {
		switch r.stage {
		case atStart:
			err = w.readStart()
		case atValues:
			more, err = w.readValues()
		case atEnd:
			more, err = w.readEnd()
		}
		if more {
			break
		}
	}
	return more && err == nil, err
}

// rawWalk is one response.
type rawWalk struct {
	*Raw
	each  Source
	emit  Emit
	count uint32 // entries in it
	room  bool
}

// full reports whether no other entry is returned now.
func (w *rawWalk) full() bool {
	if w.Limit == 0 || w.open() {
		return !w.room
	}
	return !w.room || w.count >= w.Limit
}

// complete reports whether the limit ends the domain.
func (w *rawWalk) complete() bool { return w.open() && w.returned >= w.Limit }

func (w *rawWalk) put(at int64, dataValue []byte) {
	w.room = w.emit(at, dataValue)
	w.count++
	w.returned++
	w.last = at
}

// putMissing puts what stands for a bound that was not found.
func (w *rawWalk) putMissing(at int64) {
	w.put(at, rawvalue.AppendStatus(nil, ua.StatusBadBoundNotFound, rawvalue.Answer{}))
}

// nearest calls use with the entry that comes first from a time towards another.
func (w *rawWalk) nearest(from, to int64, use func(at int64, dataValue []byte)) (found bool, err error) {
	err = w.each(clamp(from), clamp(to), func(t time.Time, dataValue []byte) bool {
		found = true
		use(uabinary.Ticks(t), dataValue)
		return false
	})
	return found, err
}

func ignore(int64, []byte) {}

// readStart puts the value before the first, unless there is one at its time.
func (w *rawWalk) readStart() error {
	first := w.first()
	w.stage, w.position = atValues, position{at: first}
	if !w.Bounds {
		return nil
	}
	exact, err := w.nearest(first, first, ignore)
	if exact || err != nil {
		return err
	}
	ahead, behind := w.horizon()
	found, err := w.nearest(w.ahead(first, -1), behind, w.put)
	if found || err != nil {
		return err
	}
	if found, err = w.nearest(first, ahead, ignore); err != nil {
		return err
	}
	if !found {
		w.stage = done // there is no value at all
		return nil
	}
	w.putMissing(first)
	return nil
}

func (w *rawWalk) readValues() (more bool, err error) {
	ended, err := walk(w.each, &w.position, w.lastIncluded(), func(at int64, dataValue []byte) bool {
		if w.complete() || w.full() {
			return false
		}
		w.put(at, dataValue)
		return true
	})
	switch {
	case err != nil:
		return false, err
	case w.complete():
		w.stage = done
	case !ended:
		return true, nil
	case w.Bounds:
		w.stage = atEnd
	default:
		w.stage = done
	}
	return false, nil
}

// readEnd puts the value at the end, or the first one behind it.
func (w *rawWalk) readEnd() (more bool, err error) {
	if w.full() {
		return true, nil
	}
	w.stage = done
	if w.open() {
		w.putMissing(w.ahead(w.last, boundDistance))
		return false, nil
	}
	from := w.End
	if w.Start == w.End {
		from = w.ahead(from, 1)
	}
	ahead, _ := w.horizon()
	found, err := w.nearest(from, ahead, w.put)
	if !found && err == nil {
		w.putMissing(w.End)
	}
	return false, err
}
