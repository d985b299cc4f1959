package subscription

import (
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// attributeSampling is the shortest sampling interval of attributes other than Value, which
// hardly ever change.
const attributeSampling = time.Second

func (k *call) createItems(req *ua.CreateMonitoredItemsRequest) {
	if !k.checkCount(len(req.ItemsToCreate)) {
		return
	}
	if req.TimestampsToReturn > ua.TimestampsToReturnNeither {
		k.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	}
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		resp := &ua.CreateMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
		for _, r := range req.ItemsToCreate {
			resp.Results = append(resp.Results, k.createItem(s, r, req.TimestampsToReturn))
		}
		k.reply(resp)
	})
}

func (k *call) createItem(s *subscription, r *ua.MonitoredItemCreateRequest,
	stamps ua.TimestampsToReturn) *ua.MonitoredItemCreateResult {
	result := &ua.MonitoredItemCreateResult{FilterResult: ua.NewExtensionObject(nil)}
	it := &item{sub: s, timestamps: stamps, mode: r.MonitoringMode}
	result.StatusCode = k.setTarget(it, r.ItemToMonitor)
	if result.StatusCode != ua.StatusOK {
		return result
	}
	switch {
	case r.MonitoringMode > ua.MonitoringModeReporting:
		result.StatusCode = ua.StatusBadMonitoringModeInvalid
	case !k.hasRoom(it):
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
	default:
		result.FilterResult, result.StatusCode = k.setParameters(it, r.RequestedParameters)
	}
	if result.StatusCode != ua.StatusOK {
		return result
	}
	if !s.account.reserve(it.cost()) {
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
		return result
	}
	it.id = k.lastItem.Add(1)
	k.addItem(it)
	result.MonitoredItemID, result.RevisedSamplingInterval, result.RevisedQueueSize = it.id,
		milliseconds(it.samplingInterval), uint32(it.queueSize)
	return result
}

// hasRoom reports whether another item may be created. Items on one node, event items and those that
// are sampled have lower limits, because each costs time with every change, event or interval.
func (k *call) hasRoom(it *item) bool {
	l := k.cfg.Limits
	if len(it.sub.items) >= l.ItemsPerSubscription || k.items.Load() >= int64(l.Items) {
		return false
	}
	mine, events := 0, 0
	for _, s := range k.subscriptionsOf(k.client.Session) {
		mine += len(s.items)
		events += s.events
	}
	if _, all := k.countOf(k.client.Address); all >= l.ItemsPerAddress {
		return false
	}
	if mine >= l.ItemsPerSession || it.events && events >= l.EventItemsPerSession {
		return false
	}
	if it.isSampled() && !k.maySample() {
		return false
	}
	const others = 20
	same, all := 0, k.indexOf(it).items(it.node)
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

// maySample reports whether another item may be sampled.
func (k *call) maySample() bool {
	mine, near := 0, 0
	for _, s := range k.subs {
		if s.session == k.client.Session {
			mine += s.sampled
		}
		if s.client.Address == k.client.Address {
			near += s.sampled
		}
	}
	most := k.cfg.Limits.Sampled
	return k.samples.Len() < most && mine < max(1, most*5/7) &&
		(near < max(1, most*6/7) || !k.client.Address.IsValid())
}

// setTarget checks and sets what an item monitors.
func (k *call) setTarget(it *item, r *ua.ReadValueID) ua.StatusCode {
	if r == nil {
		return ua.StatusBadNodeIDInvalid
	}
	var err error
	if it.node, err = rawvalue.FromUA(r.NodeID); err != nil {
		return ua.StatusBadNodeIDInvalid
	}
	it.attribute = r.AttributeID
	dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute),
		rawvalue.Limits{})
	if err != nil {
		return ua.StatusBadInternalError
	}
	switch dv.Status {
	case ua.StatusBadNodeIDUnknown, ua.StatusBadAttributeIDInvalid, ua.StatusBadSecurityModeInsufficient,
		ua.StatusBadNotReadable, ua.StatusBadUserAccessDenied:
		return dv.Status // any other status is a value to report
	}
	part, err := rawvalue.ParseRange(r.IndexRange)
	if err != nil || !part.Whole() && it.attribute != ua.AttributeIDValue {
		return ua.StatusBadIndexRangeInvalid
	}
	if !part.Whole() {
		it.indexRange = &part
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

// notifies reports whether an EventNotifier lets clients subscribe to events (OPC 10000-3
// §8.59).
func notifies(v rawvalue.Variant) bool {
	const subscribeToEvents = 1
	return v.Type() == ua.TypeIDByte && !v.IsArray() && v.Raw[1]&subscribeToEvents != 0
}

// addItem adds an item to its subscription and index, and queues its first value.
func (k *call) addItem(it *item) {
	k.items.Add(1)
	if it.events {
		it.sub.events++
	}
	it.sub.mu.Lock()
	it.sub.items[it.id] = it
	if it.mode == ua.MonitoringModeDisabled {
		it.sub.tally.disabledItems++
	}
	it.sub.mu.Unlock()
	k.indexOf(it).add(it)
	if it.isSampled() {
		it.sub.sampled++
		it.sample = &sample{it: it}
		k.samples.schedule(it.sample, k.cfg.Now().Add(it.samplingInterval))
	}
	it.offerInitialValue(k.Engine, it.readValue(k.Engine), false)
}

// itemByID returns an item, nil if there is none with that id.
func (s *subscription) itemByID(n uint32) *item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[n]
}

func (k *call) modifyItems(req *ua.ModifyMonitoredItemsRequest) {
	if !k.checkCount(len(req.ItemsToModify)) {
		return
	}
	if req.TimestampsToReturn > ua.TimestampsToReturnNeither {
		k.fault(ua.StatusBadTimestampsToReturnInvalid)
		return
	}
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		resp := &ua.ModifyMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
		for _, r := range req.ItemsToModify {
			result := &ua.MonitoredItemModifyResult{FilterResult: ua.NewExtensionObject(nil),
				StatusCode: ua.StatusBadMonitoredItemIDInvalid}
			if it := s.itemByID(r.MonitoredItemID); it != nil {
				k.modifyItem(it, r.RequestedParameters, req.TimestampsToReturn, result)
			}
			resp.Results = append(resp.Results, result)
		}
		k.reply(resp)
	})
}

func (k *call) modifyItem(it *item, p *ua.MonitoringParameters, stamps ua.TimestampsToReturn,
	result *ua.MonitoredItemModifyResult) {
	// the fields that never change; setParameters calls the server, which must not happen under the lock
	changed := item{
		sub: it.sub, node: it.node, attribute: it.attribute, indexRange: it.indexRange, pushed: it.pushed,
		events: it.events,
	}
	if result.FilterResult, result.StatusCode = k.setParameters(&changed, p); result.StatusCode != ua.StatusOK {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if !it.sub.account.reserve(changed.selection.bytes() - it.selection.bytes()) {
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
		return
	}
	it.timestamps, it.filter, it.selection, it.handle = stamps, changed.filter, changed.selection, changed.handle
	if it.sample != nil && changed.samplingInterval != it.samplingInterval {
		k.samples.schedule(it.sample, k.cfg.Now().Add(changed.samplingInterval))
	}
	it.discardOldest, it.samplingInterval, it.queueSize = changed.discardOldest, changed.samplingInterval,
		changed.queueSize
	it.shorten(k.Engine)
	result.RevisedSamplingInterval, result.RevisedQueueSize = milliseconds(it.samplingInterval), uint32(it.queueSize)
}

func (k *call) deleteItems(req *ua.DeleteMonitoredItemsRequest) {
	if !k.checkCount(len(req.MonitoredItemIDs)) {
		return
	}
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		codes := make([]ua.StatusCode, len(req.MonitoredItemIDs))
		var items []*item
		seen := map[uint32]bool{}
		for i, n := range req.MonitoredItemIDs {
			if it := s.itemByID(n); it != nil && !seen[n] {
				seen[n] = true
				items = append(items, it)
			} else {
				codes[i] = ua.StatusBadMonitoredItemIDInvalid
			}
		}
		k.removeItems(items)
		k.reply(&ua.DeleteMonitoredItemsResponse{ResponseHeader: k.header(), Results: codes,
			DiagnosticInfos: []*ua.DiagnosticInfo{}})
	})
}

func (k *call) setMonitoringMode(req *ua.SetMonitoringModeRequest) {
	if !k.checkCount(len(req.MonitoredItemIDs)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.ownSubscription(req.SubscriptionID)
	switch {
	case s == nil:
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	case req.MonitoringMode > ua.MonitoringModeReporting:
		k.fault(ua.StatusBadMonitoringModeInvalid)
		return
	}
	s.lifetimeCounter = 0
	codes := make([]ua.StatusCode, len(req.MonitoredItemIDs))
	for i, n := range req.MonitoredItemIDs {
		if it := s.itemByID(n); it != nil {
			k.setMode(it, req.MonitoringMode)
		} else {
			codes[i] = ua.StatusBadMonitoredItemIDInvalid
		}
	}
	k.reply(&ua.SetMonitoringModeResponse{ResponseHeader: k.header(), Results: codes,
		DiagnosticInfos: []*ua.DiagnosticInfo{}})
}

func (k *call) setMode(it *item, mode ua.MonitoringMode) {
	it.sub.mu.Lock()
	if it.mode == ua.MonitoringModeDisabled {
		it.sub.tally.disabledItems--
	}
	if mode == ua.MonitoringModeDisabled {
		it.sub.tally.disabledItems++
	}
	it.mode = mode
	if mode == ua.MonitoringModeDisabled {
		it.clearValues(k.Engine)
	}
	it.markReady()
	it.sub.mu.Unlock()
	// Read only now: a disabled item takes no change, and so would not replace a value read before.
	it.offerInitialValue(k.Engine, it.readValue(k.Engine), false)
}
