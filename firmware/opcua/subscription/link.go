package subscription

import (
	"slices"

	"github.com/gopcua/opcua/ua"
)

// linkCost is what a link holds, bytes, while its list grows.
const linkCost = 16

// link has another item reported when this one is. Both locks are held.
func (it *item) link(other *item, most int) ua.StatusCode {
	switch {
	case other == nil:
		return ua.StatusBadMonitoredItemIDInvalid
	case slices.Contains(it.links, other):
		return ua.StatusOK
	case len(it.links) >= most || !it.sub.account.take(linkCost):
		return ua.StatusBadTooManyMonitoredItems
	}
	it.sub.linked = true
	it.links = append(it.links, other)
	return ua.StatusOK
}

func (it *item) unlink(other *item) ua.StatusCode {
	i := slices.Index(it.links, other)
	if other == nil || i < 0 {
		return ua.StatusBadMonitoredItemIDInvalid
	}
	it.links = slices.Delete(it.links, i, i+1)
	it.sub.account.force(-linkCost)
	return ua.StatusOK
}

// unlinkGone ends the links to items that are gone.
func (s *subscription) unlinkGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		before := len(it.links)
		it.links = slices.DeleteFunc(it.links, func(o *item) bool { return o.gone })
		s.account.force(int64(len(it.links)-before) * linkCost)
	}
}

func (k *call) setTriggering(req *ua.SetTriggeringRequest) {
	if !k.count(len(req.LinksToAdd) + len(req.LinksToRemove)) {
		return
	}
	k.on(req.SubscriptionID, func(s *subscription) {
		s.mu.Lock()
		defer s.mu.Unlock()
		it := s.items[req.TriggeringItemID]
		if it == nil {
			k.fault(ua.StatusBadMonitoredItemIDInvalid)
			return
		}
		resp := &ua.SetTriggeringResponse{
			ResponseHeader: k.header(), AddDiagnosticInfos: []*ua.DiagnosticInfo{}, RemoveDiagnosticInfos: []*ua.DiagnosticInfo{},
			AddResults: []ua.StatusCode{}, RemoveResults: []ua.StatusCode{},
		}
		for _, n := range req.LinksToRemove {
			resp.RemoveResults = append(resp.RemoveResults, it.unlink(s.items[n]))
		}
		for _, n := range req.LinksToAdd {
			resp.AddResults = append(resp.AddResults, it.link(s.items[n], k.cfg.Limits.Links))
		}
		k.reply(resp)
	})
}
