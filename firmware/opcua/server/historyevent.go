package server

import (
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/historyread"
	"heliograph/firmware/opcua/rawvalue"
)

// checkEvents reads the details of ReadEventDetails.
func (h *historyRequest) checkEvents(d *ua.ReadEventDetails, c *rawvalue.Cursor) {
	h.kind, h.fresh.kind = readEvents, readEvents
	c.Skip(4)
	domain := &h.fresh.events.Domain
	domain.Start, domain.End, domain.Limit = dateTime(c), dateTime(c), d.NumValuesPerNode
	if !domain.Valid() {
		h.invalid = ua.StatusBadHistoryOperationInvalid
		return
	}
	h.server.cfg.Space.View(func(v addrspace.View) {
		h.filter, _, h.invalid = event.NewFilter(d.Filter, v, event.Limits{})
	})
}

// checkNotifier checks that the events of a node are kept, and that the client may read them.
func (h *historyRequest) checkNotifier(v addrspace.View, ref addrspace.Ref) ua.StatusCode {
	if v.ID(ref) != (rawvalue.NodeID{Number: id.Server}) &&
		!hasBits(v, ref, ua.AttributeIDEventNotifier, historyReadBit) {
		return ua.StatusBadHistoryOperationUnsupported
	}
	return h.server.checkRestrictions(v, ref, &h.client, false)
}

// readEvents reads the events that a notifier reports.
func (h *historyRequest) readEvents(node rawvalue.NodeID, state *historyState, e *historyEntries) (bool, error) {
	examine := func(_ int64, ev *event.Event) (verdict historyread.Verdict) {
		if !e.examine() {
			return historyread.Stop
		}
		if ev == nil {
			return historyread.Pass
		}
		h.server.cfg.Space.View(func(v addrspace.View) {
			if slices.Contains(ev.Notifiers, node) && h.filter.Match(ev, v) {
				verdict = historyread.Take
				e.addEvent(h.filter, ev, v)
			}
		})
		return verdict
	}
	return historyread.ReadEvents(&state.events, h.server.cfg.Historian.Events, examine)
}
