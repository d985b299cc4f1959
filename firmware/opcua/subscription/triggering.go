package subscription

import (
	"slices"

	"github.com/gopcua/opcua/ua"
)

// linkCost is the memory of a link, bytes, with the spare room of a growing list.
const linkCost = 16

// addLink adds another item to those that this one triggers. Both locks are held.
func (it *item) addLink(other *item, most int) ua.StatusCode {
	switch {
	case other == nil:
		return ua.StatusBadMonitoredItemIDInvalid
	case slices.Contains(it.triggered, other):
		return ua.StatusOK
	case len(it.triggered) >= most || !it.sub.account.reserve(linkCost):
		return ua.StatusBadTooManyMonitoredItems
	}
	it.sub.hasLinks = true
	it.triggered = append(it.triggered, other)
	return ua.StatusOK
}

func (it *item) removeLink(other *item) ua.StatusCode {
	i := slices.Index(it.triggered, other)
	if other == nil || i < 0 {
		return ua.StatusBadMonitoredItemIDInvalid
	}
	it.triggered = slices.Delete(it.triggered, i, i+1)
	it.sub.account.add(-linkCost)
	return ua.StatusOK
}

// removeDeadLinks removes links to deleted items.
func (s *subscription) removeDeadLinks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		before := len(it.triggered)
		it.triggered = slices.DeleteFunc(it.triggered, func(o *item) bool { return o.deleted })
		s.account.add(int64(len(it.triggered)-before) * linkCost)
	}
}

func (k *call) setTriggering(req *ua.SetTriggeringRequest) {
	if !k.checkCount(len(req.LinksToAdd) + len(req.LinksToRemove)) {
		return
	}
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		s.mu.Lock()
		defer s.mu.Unlock()
		it := s.items[req.TriggeringItemID]
		if it == nil {
			k.fault(ua.StatusBadMonitoredItemIDInvalid)
			return
		}
		resp := &ua.SetTriggeringResponse{
			ResponseHeader: k.header(), AddDiagnosticInfos: []*ua.DiagnosticInfo{},
			RemoveDiagnosticInfos: []*ua.DiagnosticInfo{},
			AddResults:            []ua.StatusCode{}, RemoveResults: []ua.StatusCode{},
		}
		for _, n := range req.LinksToRemove {
			resp.RemoveResults = append(resp.RemoveResults, it.removeLink(s.items[n]))
		}
		for _, n := range req.LinksToAdd {
			resp.AddResults = append(resp.AddResults, it.addLink(s.items[n], k.cfg.Limits.Links))
		}
		k.reply(resp)
	})
}
