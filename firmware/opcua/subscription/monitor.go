package subscription

import (
	"errors"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
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
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
	resp := &ua.CreateMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, r := range req.ItemsToCreate {
		resp.Results = append(resp.Results, k.createItem(s, r, req.TimestampsToReturn))
	}
	k.reply(resp)
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
	case len(s.items) >= k.cfg.Limits.ItemsPerSubscription || k.items.Load() >= int64(k.cfg.Limits.Items) || k.itemsOfSession() >= k.cfg.Limits.ItemsPerSession:
		result.StatusCode = ua.StatusBadTooManyMonitoredItems
	default:
		result.FilterResult, result.StatusCode = k.configure(it, r.RequestedParameters)
	}
	if result.StatusCode != ua.StatusOK {
		return result
	}
	it.id = k.lastItem.Add(1)
	k.enter(it)
	result.MonitoredItemID, result.RevisedSamplingInterval, result.RevisedQueueSize = it.id, milliseconds(it.sampling), uint32(it.size)
	return result
}

// itemsOfSession counts what the caller's session has.
func (k *call) itemsOfSession() (n int) {
	for _, s := range k.ofSession(k.client.Session) {
		n += len(s.items)
	}
	return n
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
	part, err := rawvalue.ParseRange(r.IndexRange)
	if err != nil || !part.Whole() && it.attribute != ua.AttributeIDValue {
		return ua.StatusBadIndexRangeInvalid
	}
	if !part.Whole() {
		it.part = &part
	}
	if e := r.DataEncoding; e != nil && e.Name != "" {
		switch {
		case it.attribute != ua.AttributeIDValue:
			return ua.StatusBadDataEncodingInvalid
		case e.NamespaceIndex != 0 || e.Name != "Default Binary" && e.Name != "Default XML" && e.Name != "Default JSON":
			return ua.StatusBadDataEncodingInvalid
		case e.Name != "Default Binary":
			return ua.StatusBadDataEncodingUnsupported
		}
	}
	dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute), rawvalue.Limits{})
	if err != nil {
		return ua.StatusBadInternalError
	}
	switch dv.Status {
	case ua.StatusBadNodeIDUnknown, ua.StatusBadAttributeIDInvalid, ua.StatusBadSecurityModeInsufficient, ua.StatusBadNotReadable, ua.StatusBadUserAccessDenied:
		return dv.Status // others are values that say what is wrong
	}
	it.events = it.attribute == ua.AttributeIDEventNotifier
	it.pushed = !it.events && k.cfg.Nodes.Pushed(it.node, it.attribute)
	return ua.StatusOK
}

// configure takes over an item's parameters, or leaves it as it was.
func (k *call) configure(it *item, p *ua.MonitoringParameters) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	if p == nil {
		return none, ua.StatusBadMonitoredItemFilterInvalid
	}
	var filter any
	if p.Filter != nil {
		filter = p.Filter.Value
		if filter == nil && p.Filter.TypeID != nil && p.Filter.TypeID.NodeID != nil && p.Filter.TypeID.NodeID.IntID() != 0 {
			return none, ua.StatusBadMonitoredItemFilterUnsupported
		}
	}
	if it.events {
		return k.configureEvents(it, p, filter)
	}
	made, code := k.dataFilter(it, filter)
	if code != ua.StatusOK {
		return none, code
	}
	it.filter, it.handle, it.discardOldest = made, p.ClientHandle, p.DiscardOldest
	it.size = int(min(max(p.QueueSize, 1), k.cfg.Limits.DataQueue))
	it.sampling = k.samplingOf(it, p.SamplingInterval)
	return none, ua.StatusOK
}

func (k *call) samplingOf(it *item, ms float64) time.Duration {
	if ms < 0 {
		return max(it.sub.interval, k.floor(it))
	}
	if ms == 0 && it.pushed {
		return 0
	}
	return max(interval(ms, k.cfg.Limits), k.floor(it))
}

func (k *call) floor(it *item) time.Duration {
	if it.attribute != ua.AttributeIDValue {
		return attributeSampling
	}
	return k.cfg.Limits.MinInterval
}

func (k *call) dataFilter(it *item, filter any) (rawvalue.Filter, ua.StatusCode) {
	trigger, kind, deadband := ua.DataChangeTriggerStatusValue, ua.DeadbandTypeNone, 0.0
	switch f := filter.(type) {
	case nil:
	case *ua.DataChangeFilter:
		if it.attribute != ua.AttributeIDValue {
			return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
		}
		trigger, kind, deadband = f.Trigger, ua.DeadbandType(f.DeadbandType), f.DeadbandValue
	case *ua.EventFilter:
		return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
	default:
		return rawvalue.Filter{}, ua.StatusBadMonitoredItemFilterUnsupported
	}
	var euRange rawvalue.Variant
	if kind != ua.DeadbandTypeNone {
		dv, err := rawvalue.SkimDataValue(k.cfg.Nodes.AppendAttribute(nil, k.client, it.node, it.attribute), rawvalue.Limits{})
		if err == nil && !dv.Value.IsNull() && !rawvalue.IsNumber(dv.Value.Type()) {
			return rawvalue.Filter{}, ua.StatusBadFilterNotAllowed
		}
		euRange = k.cfg.Nodes.EURange(it.node)
	}
	made, err := rawvalue.NewFilter(trigger, kind, deadband, euRange)
	var e *rawvalue.Error
	if errors.As(err, &e) {
		return made, e.Code
	}
	return made, ua.StatusOK
}

func (k *call) configureEvents(it *item, p *ua.MonitoringParameters, filter any) (*ua.ExtensionObject, ua.StatusCode) {
	none := ua.NewExtensionObject(nil)
	f, ok := filter.(*ua.EventFilter)
	if !ok {
		return none, ua.StatusBadFilterNotAllowed
	}
	weight := weigh(f, p.Filter)
	if k.filters.Load()+weight > k.cfg.Limits.FilterBytes {
		return none, ua.StatusBadTooManyMonitoredItems
	}
	var made *event.Filter
	var result *ua.EventFilterResult
	var code ua.StatusCode
	k.cfg.Space.View(func(v addrspace.View) {
		if made, result, code = event.NewFilter(f, v, event.Limits{}); code == ua.StatusOK {
			it.overflow = made.AppendFields(nil, event.QueueOverflow(k.stamp()), v)
		}
	})
	if result != nil {
		if result.SelectClauseDiagnosticInfos == nil {
			result.SelectClauseDiagnosticInfos = []*ua.DiagnosticInfo{}
		}
		none = ua.NewExtensionObject(result)
	}
	if code != ua.StatusOK {
		return none, code
	}
	it.select_, it.weight, it.handle, it.discardOldest = made, weight, p.ClientHandle, p.DiscardOldest
	it.size = int(k.cfg.Limits.EventQueue)
	if p.QueueSize > 0 {
		it.size = int(min(p.QueueSize, k.cfg.Limits.EventQueue))
	}
	it.sampling = 0
	return none, ua.StatusOK
}

// weigh estimates what a filter holds, bytes: each clause and operand as such, and what
// was sent, literals above all.
func weigh(f *ua.EventFilter, sent *ua.ExtensionObject) int64 {
	const clause = 512
	n := len(f.SelectClauses)
	if f.WhereClause != nil {
		for _, e := range f.WhereClause.Elements {
			if n++; e != nil {
				n += len(e.FilterOperands)
			}
		}
	}
	raw, err := sent.Encode()
	if err != nil { // it came in encoded
		return math.MaxInt32
	}
	return int64(n*clause + 2*len(raw))
}

// enter begins to feed an item.
func (k *call) enter(it *item) {
	k.items.Add(1)
	k.filters.Add(it.weight)
	it.sub.mu.Lock()
	it.sub.items[it.id] = it
	it.sub.mu.Unlock()
	if x := k.feeds(it); x != nil {
		x.add(it)
	} else {
		k.sampled.again(it, k.cfg.Now().Add(it.sampling))
	}
	it.begin(k.Engine, it.read(k.Engine))
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
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
	resp := &ua.ModifyMonitoredItemsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, r := range req.ItemsToModify {
		result := &ua.MonitoredItemModifyResult{FilterResult: ua.NewExtensionObject(nil), StatusCode: ua.StatusBadMonitoredItemIDInvalid}
		if it := s.item(r.MonitoredItemID); it != nil {
			k.modifyItem(it, r.RequestedParameters, req.TimestampsToReturn, result)
		}
		resp.Results = append(resp.Results, result)
	}
	k.reply(resp)
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
	it.timestamps, it.filter, it.select_, it.handle = stamps, changed.filter, changed.select_, changed.handle
	k.filters.Add(changed.weight - it.weight)
	it.weight = changed.weight
	it.discardOldest, it.sampling, it.size, it.overflow = changed.discardOldest, changed.sampling, changed.size, changed.overflow
	if n := len(it.queue) - it.size; n > 0 {
		for i := range it.queue[:n] {
			k.queued.Add(-it.queue[i].cost())
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
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
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
	it.mode = mode
	if mode == ua.MonitoringModeDisabled {
		it.clear(k.Engine)
		it.last = rawvalue.DataValue{}
	}
	it.list()
	it.sub.mu.Unlock()
	it.begin(k.Engine, first)
}

func (k *call) setTriggering(req *ua.SetTriggeringRequest) {
	if !k.count(len(req.LinksToAdd) + len(req.LinksToRemove)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
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
		resp.AddResults = append(resp.AddResults, it.link(s.items[n], k.cfg.Limits.ItemsPerSubscription))
	}
	k.reply(resp)
}
