package opcua

import (
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/rx/sink"
)

const (
	fullService   = 255 // OPC 10000-4 §6.6.2.4.2, "healthy" begins at 200
	degradedLevel = 199 // "degraded": the snapshot is not complete, or lacks values
	noDataLevel   = 1   // "no data": values are not updated
	swapTimeout   = 2 * time.Minute
)

// quality is the state that decides with which status values are served.
type quality struct {
	overlay       ua.StatusCode // of all values, StatusOK when they are as the source gave them
	wasComplete   bool          // the snapshot was complete once, in this generation
	lossPending   bool          // a loss is not repaired yet: unconfirmed values are Uncertain
	reloadPending bool          // apply the complete state again
	lastCheck     time.Time     // when unconfirmed values were last searched
	sourceLevel   byte          // the source's own ServiceLevel
}

// status returns the status of uncertain values.
func (q *quality) status() ua.StatusCode {
	if q.overlay != ua.StatusOK {
		return q.overlay
	}
	return ua.StatusUncertainLastUsableValue
}

// updateQuality updates the status of all values and returns why the mirror is not ready, "" if
// it is.
func (m *mirror) updateQuality(ch Channel, h sink.Health, now time.Time) (why string) {
	q := &m.quality
	if m.nextIsDue(h, now) {
		q.wasComplete = false
		m.swapGeneration(ch)
	}
	if q.reloadPending {
		q.reloadPending = false
		m.reload(ch)
	}
	m.updateTypes(now)
	q.wasComplete = q.wasComplete || h.Complete && m.announced && m.next == nil
	overlay, why := m.currentOverlay(h)
	lost := !h.Complete || h.Valueless
	due := overlay == ua.StatusOK && (q.lossPending || lost) && now.Sub(q.lastCheck) >= confirmEvery
	if overlay != q.overlay || due {
		q.overlay, q.lossPending, q.lastCheck = overlay, lost, now
		m.updateValues(ch)
	}
	m.setServerState(h)
	return why
}

// nextIsDue reports whether the next generation is to be put in force: when it is complete, by totals
// that came after it was announced, as those before it are of the generation in force.
func (m *mirror) nextIsDue(h sink.Health, now time.Time) bool {
	if m.next == nil {
		return false
	}
	if m.nextSince.IsZero() {
		m.nextSince, m.nextTotals = now, h.Totals
	}
	accounted := h.Totals > 0 && h.Totals != m.nextTotals
	return accounted && h.Complete || now.Sub(m.nextSince) > swapTimeout
}

// currentOverlay returns the status of all values, StatusOK for none, and why the mirror is not
// ready.
func (m *mirror) currentOverlay(h sink.Health) (overlay ua.StatusCode, why string) {
	switch {
	case h.Stale:
		overlay, why = ua.StatusUncertainLastUsableValue, "the link is silent"
	case h.State != sink.Up:
		overlay, why = ua.StatusUncertainNoCommunicationLastUsableValue, "the source is "+h.State.String()+": "+h.Reason
	case h.Totals == 0:
		overlay, why = ua.StatusUncertainLastUsableValue, "the link was silent; what was lost then is not known yet"
	case m.next != nil:
		overlay, why = ua.StatusUncertainLastUsableValue, "the source's namespaces have changed; "+
			"its nodes as they are now are not complete yet"
	case !m.announced:
		why = "no snapshot yet"
	case !h.Complete:
		why = "the snapshot is not complete"
	}
	return overlay, why
}

// updateValues serves the values whose quality has changed.
func (m *mirror) updateValues(ch Channel) {
	q := &m.quality
	var key []byte
	for h, v := range m.nodes {
		worse := q.overlay != ua.StatusOK
		if !worse && q.lossPending && v.value != nil {
			key = payload.Key{Kind: payload.Value, Generation: m.current.Generation, Number: h}.Append(key[:0])
			worse = !ch.Confirmed(key)
		}
		if worse || v.uncertain {
			v.uncertain = worse
			if !v.isMetadata() {
				m.serve(v)
			}
		}
	}
}

// setServerState sets ServerState, ServiceLevel and the status of missing values.
func (m *mirror) setServerState(h sink.Health) {
	q := &m.quality
	state, level, missing := ua.ServerStateRunning, byte(fullService), ua.StatusBadWaitingForInitialData
	switch {
	case q.overlay != ua.StatusOK:
		state, level = ua.ServerStateCommunicationFault, noDataLevel
		if q.wasComplete {
			missing = ua.StatusBadNoCommunication
		}
	case !h.Complete || h.Valueless:
		level = degradedLevel
	}
	m.server.SetMissing(missing)
	m.server.SetState(state, min(level, q.sourceLevel))
}
