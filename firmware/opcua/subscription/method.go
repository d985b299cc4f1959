package subscription

import (
	"maps"
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Method answers a method about the caller's own subscriptions; ours is false for every
// other method.
func (e *Engine) Method(c *Client, m *ua.CallMethodRequest) (r *ua.CallMethodResult, ours bool) {
	if m.MethodID == nil || m.MethodID.Namespace() != 0 {
		return nil, false
	}
	number := m.MethodID.IntID()
	wanted := 1
	switch number {
	case id.ConditionType_ConditionRefresh2:
		wanted = 2
	case id.ConditionType_ConditionRefresh, id.Server_GetMonitoredItems, id.Server_ResendData:
	default:
		return nil, false
	}
	r = &ua.CallMethodResult{InputArgumentResults: []ua.StatusCode{},
		InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{}}
	args, results, code := arguments(m.InputArguments, wanted)
	if code != ua.StatusOK {
		r.InputArgumentResults, r.StatusCode = results, code
		return r, true
	}
	k := &call{Engine: e, client: c}
	var refresh []*item
	e.mu.Lock()
	s := k.ownSubscription(args[0])
	switch {
	case s == nil:
		r.StatusCode = ua.StatusBadSubscriptionIDInvalid
	case number == id.Server_GetMonitoredItems:
		r.OutputArguments = s.itemHandles()
	case number == id.Server_ResendData:
		s.resendValues(e)
	case s.refreshing:
		r.StatusCode = ua.StatusBadRefreshInProgress
	default:
		refresh, r.StatusCode = s.eventItems(args[1:])
		s.refreshing = len(refresh) > 0
	}
	e.mu.Unlock()
	if len(refresh) > 0 {
		k.refresh(s, refresh, e.snapshot(k.stamp(), k.stamp()))
	}
	return r, true
}

// eventItems returns the event items of a subscription, or the one named.
func (s *subscription) eventItems(only []uint32) (list []*item, code ua.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		if it.events && (len(only) == 0 || it.id == only[0]) {
			list = append(list, it)
		}
	}
	if len(only) > 0 && len(list) == 0 {
		return nil, ua.StatusBadMonitoredItemIDInvalid
	}
	return list, ua.StatusOK
}

// arguments reads UInt32 arguments; results has a code for each.
func arguments(in []*ua.Variant, wanted int) (out []uint32, results []ua.StatusCode, code ua.StatusCode) {
	switch {
	case len(in) < wanted:
		return nil, []ua.StatusCode{}, ua.StatusBadArgumentsMissing
	case len(in) > wanted:
		return nil, []ua.StatusCode{}, ua.StatusBadTooManyArguments
	}
	results = make([]ua.StatusCode, len(in))
	for i, v := range in {
		n, ok := v.Value().(uint32)
		if !ok {
			results[i], code = ua.StatusBadTypeMismatch, ua.StatusBadInvalidArgument
		}
		out = append(out, n)
	}
	return out, results, code
}

// itemHandles returns the output arguments of GetMonitoredItems (OPC 10000-5 §9.1).
func (s *subscription) itemHandles() []*ua.Variant {
	s.mu.Lock()
	defer s.mu.Unlock()
	servers, clients := []uint32{}, []uint32{}
	for _, n := range slices.Sorted(maps.Keys(s.items)) {
		servers, clients = append(servers, n), append(clients, s.items[n].handle)
	}
	return []*ua.Variant{ua.MustVariant(servers), ua.MustVariant(clients)}
}
