package opcua

import (
	"errors"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

var errUnknownNode = errors.New("a late value of a node that is not known")

// applyLate keeps a record that was missed when it happened. It goes into the history alone:
// clients that monitor the node have seen what came later. There must be one.
func (m *mirror) applyLate(u *sink.Update) error {
	if u.Key == nil {
		return m.events.keepLate(u)
	}
	k, err := payload.ParseKey(u.Key)
	switch {
	case err != nil:
		return err
	case k.Kind == payload.Condition:
		return m.events.keepLate(u)
	case k.Kind == payload.Table && !u.Delete:
		t, err := event.ParseTable(u.Payload)
		if err == nil {
			m.history.addTable(t)
		}
		return err
	case k.Kind != payload.Value || u.Delete:
		return nil // the structure as it was has no history
	case k.Generation != m.current.Generation || !m.announced:
		return errGeneration
	case m.nodes[k.Number] == nil || m.nodes[k.Number].node == (rawvalue.NodeID{}):
		return errUnknownNode
	}
	raw, err := payload.ParseValue(make([]byte, 0, len(u.Payload)+16), u.Payload, u.Time)
	if err != nil {
		return err
	}
	return m.history.addValue(m.nodes[k.Number].historyName, raw, u.Time)
}

// keepLate keeps an event that was missed when it happened.
func (e *events) keepLate(u *sink.Update) error {
	if len(u.Payload) == 0 {
		return nil // a condition that ended without an event
	}
	generation, _, err := payload.ParseEvent(u.Payload)
	if err != nil {
		return err
	}
	if !e.history.readable(generation) {
		return errGeneration // nor would the history know its nodes
	}
	ev, err := e.parse(u)
	if ev != nil {
		return e.history.addEvent(u.Payload, ev, u.Time)
	}
	return err
}
