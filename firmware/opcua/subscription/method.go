package subscription

import (
	"crypto/rand"
	"maps"
	"slices"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
)

// Method answers a method that concerns the caller's own subscriptions; ours is false
// for every other.
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
	r = &ua.CallMethodResult{InputArgumentResults: []ua.StatusCode{}, InputArgumentDiagnosticInfos: []*ua.DiagnosticInfo{}, OutputArguments: []*ua.Variant{}}
	args, code := arguments(m.InputArguments, wanted)
	if code != ua.StatusOK {
		r.StatusCode = code
		return r, true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := &call{Engine: e, client: c}
	s := k.own(args[0])
	if s == nil {
		r.StatusCode = ua.StatusBadSubscriptionIDInvalid
		return r, true
	}
	switch number {
	case id.ConditionType_ConditionRefresh:
		k.refresh(s, nil)
	case id.ConditionType_ConditionRefresh2:
		it := s.item(args[1])
		if it == nil || !it.events {
			r.StatusCode = ua.StatusBadMonitoredItemIDInvalid
		} else {
			k.refresh(s, it)
		}
	case id.Server_GetMonitoredItems:
		r.OutputArguments = s.handles()
	case id.Server_ResendData:
		s.resend(e)
	}
	return r, true
}

// arguments reads UInt32s.
func arguments(in []*ua.Variant, wanted int) (out []uint32, code ua.StatusCode) {
	switch {
	case len(in) < wanted:
		return nil, ua.StatusBadArgumentsMissing
	case len(in) > wanted:
		return nil, ua.StatusBadTooManyArguments
	}
	for _, v := range in {
		n, ok := v.Value().(uint32)
		if !ok {
			return nil, ua.StatusBadInvalidArgument
		}
		out = append(out, n)
	}
	return out, ua.StatusOK
}

// handles answers GetMonitoredItems (OPC 10000-5 §9.1).
func (s *subscription) handles() []*ua.Variant {
	s.mu.Lock()
	defer s.mu.Unlock()
	servers, clients := []uint32{}, []uint32{}
	for _, n := range slices.Sorted(maps.Keys(s.items)) {
		servers, clients = append(servers, n), append(clients, s.items[n].handle)
	}
	return []*ua.Variant{ua.MustVariant(servers), ua.MustVariant(clients)}
}

// refresh sends the state of all retained conditions to the event items of a
// subscription, or to one of them (OPC 10000-9 §5.5.7). The events around it pass every
// filter.
func (k *call) refresh(s *subscription, only *item) {
	start, end := k.stamp(), k.stamp()
	k.conditionsMu.Lock()
	var list []*event.Event
	for ev := range k.conditions.Refresh(start, end) {
		list = append(list, ev)
	}
	k.conditionsMu.Unlock()
	k.cfg.Space.View(func(v addrspace.View) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, it := range s.items {
			if !it.events || only != nil && it != only {
				continue
			}
			for i, ev := range list {
				around := i == 0 || i == len(list)-1
				if around || it.hears(ev) {
					it.notice(k.Engine, ev, v, around)
				}
			}
		}
	})
}

func (k *call) stamp() event.Stamp {
	st := event.Stamp{Time: ticks(k.cfg.Now())}
	_, _ = rand.Read(st.ID[:]) // never fails
	return st
}
