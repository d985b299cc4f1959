package server

import (
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

func TestEventHistoryIsRead(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	for i := range 10 {
		k.events = append(k.events, happened(t, second(i), uint16(100*i)))
	}
	k.events[4].Notifiers = []rawvalue.NodeID{ns0(id.Server)}
	literal := ua.NewExtensionObject(&ua.LiteralOperand{Value: ua.MustVariant(uint16(400))})
	above := &ua.ContentFilterElement{FilterOperator: ua.FilterOperatorGreaterThan,
		FilterOperands: []*ua.ExtensionObject{ua.NewExtensionObject(severityOperand()), literal}}
	for name, tc := range map[string]struct {
		node    rawvalue.NodeID
		details ua.ReadEventDetails
		code    ua.StatusCode
		want    []uint16
		more    bool
	}{
		"forward": {named("line"), ua.ReadEventDetails{StartTime: second(2), EndTime: second(6),
			Filter: severities()}, ua.StatusOK,
			[]uint16{200, 300, 500}, false},
		"backward": {named("line"), ua.ReadEventDetails{StartTime: second(6), EndTime: second(2),
			Filter: severities()}, ua.StatusOK,
			[]uint16{600, 500, 300}, false},
		"of the server": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(3), EndTime: second(6),
			Filter: severities()},
			ua.StatusOK, []uint16{300, 400, 500}, false},
		"where": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(0), EndTime: second(7),
			Filter: severities(above)},
			ua.StatusOK, []uint16{500, 600}, false},
		"limited": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(0), EndTime: second(9), NumValuesPerNode: 2,
			Filter: severities(above)},
			ua.StatusOK, []uint16{500, 600}, true},
		"the newest": {ns0(id.Server), ua.ReadEventDetails{EndTime: second(20), NumValuesPerNode: 2,
			Filter: severities()}, ua.StatusOK,
			[]uint16{900, 800}, false},
		"none": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(20), EndTime: second(30), Filter: severities()},
			ua.StatusGoodNoData, nil, false},
		"no filter": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(0), EndTime: second(30),
			Filter: &ua.EventFilter{
				WhereClause: &ua.ContentFilter{}}}, ua.StatusBadEventFilterInvalid, nil, false},
		"one time alone": {ns0(id.Server), ua.ReadEventDetails{StartTime: second(0), Filter: severities()},
			ua.StatusBadHistoryOperationInvalid, nil, false},
		"no notifier": {named("press"), ua.ReadEventDetails{StartTime: second(0), EndTime: second(30),
			Filter: severities()},
			ua.StatusBadHistoryOperationUnsupported, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := historyRequestOf(token, &tc.details, tc.node)
			req.TimestampsToReturn = ua.TimestampsToReturnNeither // events have none
			r := readHistory(t, c, req)[0]
			if r.StatusCode != tc.code || len(r.ContinuationPoint) > 0 != tc.more {
				t.Fatalf("got %v, continuation point %x; want %v, more %v", r.StatusCode, r.ContinuationPoint,
					tc.code, tc.more)
			}
			if r.StatusCode&0x80000000 == 0 {
				if got := severitiesOf(t, r); !slices.Equal(got, tc.want) {
					t.Errorf("got %v, want %v", got, tc.want)
				}
			}
		})
	}
}

// TestEventsThatNoFilterPassesAreBounded: a filter that nothing passes does not make the server
// read all events for one request.
func TestEventsThatNoFilterPassesAreBounded(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	ev := happened(t, second(1), 1)
	for range maxExamined + 10 {
		k.events = append(k.events, ev)
	}
	last := happened(t, second(2), 900)
	k.events = append(k.events, last)
	literal := ua.NewExtensionObject(&ua.LiteralOperand{Value: ua.MustVariant(uint16(400))})
	above := &ua.ContentFilterElement{FilterOperator: ua.FilterOperatorGreaterThan,
		FilterOperands: []*ua.ExtensionObject{ua.NewExtensionObject(severityOperand()), literal}}
	req := historyRequestOf(token, &ua.ReadEventDetails{StartTime: second(0), EndTime: second(9),
		Filter: severities(above)}, ns0(id.Server))
	r := readHistory(t, c, req)[0]
	if r.StatusCode != ua.StatusOK || r.ContinuationPoint == nil || k.scanned > maxExamined+1 {
		t.Fatalf("got %v, point %x after %d events; want a continuation point", r.StatusCode, r.ContinuationPoint,
			k.scanned)
	}
	point := r.ContinuationPoint
	req.NodesToRead[0].ContinuationPoint = point
	req.HistoryReadDetails = ua.NewExtensionObject(&ua.ReadEventDetails{StartTime: second(0), EndTime: second(9),
		Filter: severities()})
	if r = readHistory(t, c, req)[0]; r.StatusCode != ua.StatusBadContinuationPointInvalid {
		t.Errorf("with another filter: got %v, want Bad_ContinuationPointInvalid", r.StatusCode)
	}
}

// Events that cannot be read, as those of other namespaces, are work as well.
func TestEventsThatCannotBeReadEndARequest(t *testing.T) {
	k, _, url := historic(t, nil)
	c, token := newSession(t, url)
	k.events, k.torn = slices.Repeat([]*event.Event{happened(t, second(1), 1)}, maxExamined+10), true
	req := historyRequestOf(token, &ua.ReadEventDetails{StartTime: second(0), EndTime: second(9),
		Filter: severities()}, ns0(id.Server))
	r := readHistory(t, c, req)[0]
	if r.StatusCode != ua.StatusOK || r.ContinuationPoint == nil || k.scanned > maxExamined+1 {
		t.Errorf("got %v, point %x after %d events; want a continuation point", r.StatusCode, r.ContinuationPoint,
			k.scanned)
	}
}
