package historyread

// Events reads events (OPC 10000-11 §6.5.2).
// With its exported fields set it is ready to begin; a copy is a continuation point.
type Events struct {
	Domain

	begun    bool
	position position
	returned uint32
}

// Verdict is what becomes of an event.
type Verdict uint8

// The verdicts: the event is not of those that are asked for, it is returned, or it is left for
// the next response, because this one is full or examined enough.
const (
	Pass Verdict = iota
	Take
	Stop
)

// ReadEvents calls judge with events until it stops or the domain ends. more is true if there may
// be more of them.
func ReadEvents[E any](r *Events, each Each[E], judge func(at int64, event E) Verdict) (more bool, err error) {
	if !r.begun {
		r.begun, r.position = true, position{at: r.first()}
	}
	count := uint32(0)
	complete := func() bool { return r.open() && r.returned >= r.Limit }
	ended, err := walk(each, &r.position, r.lastIncluded(), func(at int64, event E) bool {
		if complete() || r.Limit != 0 && !r.open() && count >= r.Limit {
			return false
		}
		switch judge(at, event) {
		case Stop:
			return false
		case Take:
			count++
			r.returned++
		}
		return true
	})
	return !ended && !complete() && err == nil, err
}
