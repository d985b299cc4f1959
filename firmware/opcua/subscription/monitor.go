package subscription

import (
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// attributeSampling is how often attributes are looked at that nobody pushes: they
// hardly ever change.
const attributeSampling = time.Second

func (k *call) createItems(req *ua.CreateMonitoredItemsRequest) {
	if !k.count(len(req.ItemsToCreate)) {
		return
	}
	if req.TimestampsToReturn > ua.TimestampsToReturnNeither {
		k.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	}
	k.on(req.SubscriptionID, func(s *subscription) {
		resp := &ua.CreateMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
		for _, r := range req.ItemsToCreate {
			resp.Results = append(resp.Results, k.createItem(s, r, req.TimestampsToReturn))
		}
		k.reply(resp)
	})
}

func (k *call) createItem(s *subscription, r *ua.MonitoredItemCreateRequest, stamps ua.TimestampsToReturn) *ua.MonitoredItemCreateResult {
	result := &ua.MonitoredItemCreateResult{FilterResult: ua.NewExtensionObject(nil)}
	it := &item{sub: s, timestamps: stamps, mode: r.MonitoringMode}
	result.StatusCode = k.target(it, r.ItemToMonitor)
	if result.StatusCode != ua.StatusOK {
		return result
	}
	switch {
	case r.MonitoringMode > ua.MonitoringModeReporting:
		result.StatusCode = ua.StatusBadMonitoringModeInvalid
	case !k.room(it):
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
	default:
		result.FilterResult, result.StatusCode = k.configure(it, r.RequestedParameters)
	}
	if result.StatusCode != ua.StatusOK {
		return result
	}
	if !s.account.take(it.cost()) {
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
		return result
	}
	it.id = k.lastItem.Add(1)
	k.enter(it)
	result.MonitoredItemID, result.RevisedSamplingInterval, result.RevisedQueueSize = it.id, milliseconds(it.sampling), uint32(it.size)
	return result
}

// room tells whether there may be another item. Of those on one node, and of those that
// events are compared with, there are fewer: each costs time whenever something happens.
func (k *call) room(it *item) bool {
	l := k.cfg.Limits
	if len(it.sub.items) >= l.ItemsPerSubscription || k.items.Load() >= int64(l.Items) {
		return false
	}
	mine, events := 0, 0
	for _, s := range k.ofSession(k.client.Session) {
		mine += len(s.items)
		events += s.events
	}
	if _, all := k.ofAddress(k.client.Address); all >= l.ItemsPerAddress {
		return false
	}
	if mine >= l.ItemsPerSession || it.events && events >= l.EventItemsPerSession {
		return false
	}
	x := k.feeds(it)
	if x == nil {
		return true
	}
	const others = 20
	same, all := 0, x.of(it.node)
	if len(all) < l.ItemsPerNode {
		return true
	}
	for _, o := range all {
		if o.sub.session == k.client.Session {
			same++
		}
	}
	return same < l.ItemsPerNode && len(all) < others*l.ItemsPerNode
}

// target finds what an item is to monitor.
func (k *call) target(it *item, r *ua.ReadValueID) ua.StatusCode {
	if r == nil {
		return ua.StatusBadNodeIDInvalid
	}
	var err error
	if it.node, err = rawvalue.FromUA(r.NodeID); err != nil {
		return ua.StatusBadNodeIDInvalid
	}
	it.attribute = r.AttributeID
	dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute), rawvalue.Limits{})
	if err != nil {
		return ua.StatusBadInternalError
	}
	switch dv.Status {
	case ua.StatusBadNodeIDUnknown, ua.StatusBadAttributeIDInvalid, ua.StatusBadSecurityModeInsufficient, ua.StatusBadNotReadable, ua.StatusBadUserAccessDenied:
		return dv.Status // others are values that say what is wrong
	}
	part, err := rawvalue.ParseRange(r.IndexRange)
	if err != nil || !part.Whole() && it.attribute != ua.AttributeIDValue {
		return ua.StatusBadIndexRangeInvalid
	}
	if !part.Whole() {
		it.part = &part
	}
	if code := uabinary.CheckDataEncoding(r.DataEncoding, it.attribute); code != ua.StatusOK {
		return code
	}
	if it.events = it.attribute == ua.AttributeIDEventNotifier; it.events && !notifies(dv.Value) {
		return ua.StatusBadNotSupported
	}
	it.pushed = !it.events && k.cfg.Nodes.Pushed(it.node, it.attribute)
	return ua.StatusOK
}

// notifies tells whether an EventNotifier lets clients subscribe to events (OPC 10000-3
// §8.59).
func notifies(v rawvalue.Variant) bool {
	const subscribeToEvents = 1
	return v.Type() == ua.TypeIDByte && !v.IsArray() && v.Raw[1]&subscribeToEvents != 0
}

// enter begins to feed an item.
func (k *call) enter(it *item) {
	k.items.Add(1)
	if it.events {
		it.sub.events++
	}
	it.sub.mu.Lock()
	it.sub.items[it.id] = it
	if it.mode == ua.MonitoringModeDisabled {
		it.sub.tally.itemsDisabled++
	}
	it.sub.mu.Unlock()
	if x := k.feeds(it); x != nil {
		x.add(it)
	} else {
		it.turn = &turn{it: it}
		k.sampled.again(it.turn, k.cfg.Now().Add(it.sampling))
	}
	it.begin(k.Engine, it.read(k.Engine), false)
}

// item returns an item of a subscription that is the caller's.
func (s *subscription) item(n uint32) *item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[n]
}

func (k *call) modifyItems(req *ua.ModifyMonitoredItemsRequest) {
	if !k.count(len(req.ItemsToModify)) {
		return
	}
	if req.TimestampsToReturn > ua.TimestampsToReturnNeither {
		k.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	}
	k.on(req.SubscriptionID, func(s *subscription) {
		resp := &ua.ModifyMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
		for _, r := range req.ItemsToModify {
			result := &ua.MonitoredItemModifyResult{FilterResult: ua.NewExtensionObject(nil), StatusCode: ua.StatusBadMonitoredItemIDInvalid}
			if it := s.item(r.MonitoredItemID); it != nil {
				k.modifyItem(it, r.RequestedParameters, req.TimestampsToReturn, result)
			}
			resp.Results = append(resp.Results, result)
		}
		k.reply(resp)
	})
}

func (k *call) modifyItem(it *item, p *ua.MonitoringParameters, stamps ua.TimestampsToReturn, result *ua.MonitoredItemModifyResult) {
	changed := item{ // what never changes; configure asks the server, which must not happen under the lock
		sub: it.sub, node: it.node, attribute: it.attribute, part: it.part, pushed: it.pushed, events: it.events,
	}
	if result.FilterResult, result.StatusCode = k.configure(&changed, p); result.StatusCode != ua.StatusOK {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if !it.sub.account.take(changed.choice.bytes() - it.choice.bytes()) {
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
		return
	}
	it.timestamps, it.filter, it.choice, it.handle = stamps, changed.filter, changed.choice, changed.handle
	it.discardOldest, it.sampling, it.size = changed.discardOldest, changed.sampling, changed.size
	if n := len(it.queue) - it.size; n > 0 {
		for i := range it.queue[:n] {
			k.letGo(it.sub, it.queue[i].raw)
		}
		k.dropped.Add(uint64(n))
		it.queue = append([]entry(nil), it.queue[n:]...)
		it.queue[0].overflow = it.size > 1
	}
	result.RevisedSamplingInterval, result.RevisedQueueSize = milliseconds(it.sampling), uint32(it.size)
}

func (k *call) deleteItems(req *ua.DeleteMonitoredItemsRequest) {
	if !k.count(len(req.MonitoredItemIDs)) {
		return
	}
	k.on(req.SubscriptionID, func(s *subscription) {
		codes := make([]ua.StatusCode, len(req.MonitoredItemIDs))
		var items []*item
		seen := map[uint32]bool{}
		for i, n := range req.MonitoredItemIDs {
			if it := s.item(n); it != nil && !seen[n] {
				seen[n] = true
				items = append(items, it)
			} else {
				codes[i] = ua.StatusBadMonitoredItemIDInvalid
			}
		}
		k.leave(items)
		k.reply(&ua.DeleteMonitoredItemsResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
	})
}

func (k *call) setMonitoringMode(req *ua.SetMonitoringModeRequest) {
	if !k.count(len(req.MonitoredItemIDs)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	switch {
	case s == nil:
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	case req.MonitoringMode > ua.MonitoringModeReporting:
		k.fault(ua.StatusBadMonitoringModeInvalid)
		return
	}
	s.unheard = 0
	codes := make([]ua.StatusCode, len(req.MonitoredItemIDs))
	for i, n := range req.MonitoredItemIDs {
		if it := s.item(n); it != nil {
			k.setMode(it, req.MonitoringMode)
		} else {
			codes[i] = ua.StatusBadMonitoredItemIDInvalid
		}
	}
	k.reply(&ua.SetMonitoringModeResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
}

func (k *call) setMode(it *item, mode ua.MonitoringMode) {
	first := it.read(k.Engine)
	it.sub.mu.Lock()
	if it.mode == ua.MonitoringModeDisabled {
		it.sub.tally.itemsDisabled--
	}
	if mode == ua.MonitoringModeDisabled {
		it.sub.tally.itemsDisabled++
	}
	it.mode = mode
	if mode == ua.MonitoringModeDisabled {
		it.clear(k.Engine)
	}
	it.list()
	it.sub.mu.Unlock()
	it.begin(k.Engine, first, false)
}
