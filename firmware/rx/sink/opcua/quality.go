package opcua

import (
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/rx/sink"
)

const (
	fullService  = 255 // OPC 10000-4 §6.6.2.4.2, "healthy" begins at 200
	lesserLevel  = 199 // "degraded": the picture is not complete
	noDataLevel  = 1   // "no data": nothing newer can be had
	swapPatience = 2 * time.Minute
)

// quality is how much of what is served may be out of date.
type quality struct {
	overlay     ua.StatusCode // of all values, StatusOK when they are as the source gave them
	whole       bool          // the picture was complete once, in this generation
	shaken      bool          // a loss is not made good yet: unconfirmed values are told as Uncertain
	again       bool          // take the whole picture over once more
	confirmed   time.Time     // when unconfirmed values were last looked for
	sourceLevel byte          // the source's own ServiceLevel
}

// code is what a value that is worse than it was is told with.
func (q *quality) code() ua.StatusCode {
	if q.overlay != ua.StatusOK {
		return q.overlay
	}
	return ua.StatusUncertainLastUsableValue
}

// judge brings the quality of everything up to date and returns why the mirror is
// not ready, if it is not.
func (m *mirror) judge(p Channel, h sink.Health, now time.Time) (why string) {
	q := &m.quality
	if m.next != nil {
		if m.since.IsZero() {
			m.since = now
		}
		if h.Complete || now.Sub(m.since) > swapPatience {
			q.whole = false
			m.swap(p)
		}
	}
	if q.again {
		q.again = false
		m.reload(p)
	}
	m.types(now)
	q.whole = q.whole || h.Complete && m.begun && m.next == nil
	overlay, why := m.verdict(h)
	if overlay != q.overlay {
		q.overlay = overlay
		m.reshow(p)
	} else if q.whole && (q.shaken || !h.Complete) && now.Sub(q.confirmed) >= confirmEach {
		q.shaken = !h.Complete
		q.confirmed = now
		m.reshow(p)
	}
	m.tell(h)
	return why
}

// verdict returns what all values are to be told with, and why the mirror is not ready.
func (m *mirror) verdict(h sink.Health) (overlay ua.StatusCode, why string) {
	switch {
	case h.Stale:
		overlay, why = ua.StatusUncertainLastUsableValue, "the link is silent"
	case h.State != sink.Up:
		overlay, why = ua.StatusUncertainNoCommunicationLastUsableValue, "the source is "+h.State.String()+": "+h.Reason
	case !m.begun:
		why = "no snapshot yet"
	case !h.Complete:
		why = "the snapshot is not complete"
	}
	return overlay, why
}

// reshow gives every value the quality it has now.
func (m *mirror) reshow(p Channel) {
	q := &m.quality
	var key []byte
	for h := range m.nodes {
		v := &m.nodes[h]
		worse := q.overlay != ua.StatusOK
		if !worse && q.shaken && v.value != nil {
			key = payload.Key{Kind: payload.Value, Generation: m.current.Generation, Number: uint32(h)}.Append(key[:0])
			worse = !p.Confirmed(key)
		}
		if worse || v.worse {
			v.worse = worse
			if !v.describes() {
				m.show(v)
			}
		}
	}
}

// tell sets the state of the server itself.
func (m *mirror) tell(h sink.Health) {
	q := &m.quality
	state, level, missing := ua.ServerStateRunning, byte(fullService), ua.StatusBadWaitingForInitialData
	switch {
	case q.overlay != ua.StatusOK:
		state, level = ua.ServerStateCommunicationFault, noDataLevel
		if q.whole {
			missing = ua.StatusBadNoCommunication
		}
	case !h.Complete:
		level = lesserLevel
	}
	m.server.SetMissing(missing)
	m.server.SetState(state, min(level, q.sourceLevel))
}
