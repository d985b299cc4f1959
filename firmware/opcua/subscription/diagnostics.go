package subscription

import (
	"cmp"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Diagnostics are those of all subscriptions and sessions, at most a second old.
type Diagnostics struct {
	Subscriptions []SubscriptionDiagnostics     // by SubscriptionId
	Sessions      map[uint32]SessionDiagnostics // by session number
	Intervals     int                           // distinct publishing intervals
}

// SubscriptionDiagnostics are those of one subscription. The SessionId in Data is not set.
type SubscriptionDiagnostics struct {
	Session uint32
	Data    ua.SubscriptionDiagnosticsDataType
}

// SessionDiagnostics counts what a session has.
type SessionDiagnostics struct{ Subscriptions, Items, Waiting int }

// diagnosticsEvery is how often diagnostics are collected.
const diagnosticsEvery = time.Second

// tally holds the counters of a subscription (OPC 10000-5 §12.15). The engine's lock
// guards it, except where the subscription's is named.
type tally struct {
	modified, enabled, disabled                   uint32
	republishes, republished                      uint32
	transfers, transfersToSame                    uint32
	publishRequests, latePublishes, discarded     uint32
	dataNotifications, eventNotifications         uint32
	disabledItems, dataOverflows, eventsOverflows uint32 // guarded by the subscription's lock
}

func (c *tally) countNotification(event bool) {
	if event {
		c.eventNotifications++
	} else {
		c.dataNotifications++
	}
}

func (c *tally) countOverflow(event bool) {
	if event {
		c.eventsOverflows++
	} else {
		c.dataOverflows++
	}
}

// Diagnostics returns those collected last. It takes no lock, so that Nodes may call it.
func (e *Engine) Diagnostics() *Diagnostics {
	if d := e.diagnostics.Load(); d != nil {
		return d
	}
	return &Diagnostics{}
}

// updateDiagnostics collects diagnostics when they are due. The engine's lock is held.
func (e *Engine) updateDiagnostics(now time.Time) {
	if now.Before(e.diagnosticsDue) {
		return
	}
	e.diagnosticsDue = now.Add(diagnosticsEvery)
	d := &Diagnostics{Sessions: map[uint32]SessionDiagnostics{}}
	intervals := map[time.Duration]bool{}
	for n, se := range e.sessions {
		d.Sessions[n] = SessionDiagnostics{Waiting: len(se.publishQueue)}
	}
	for _, s := range e.subs {
		data := s.diagnostics()
		d.Subscriptions = append(d.Subscriptions, SubscriptionDiagnostics{Session: s.session, Data: data})
		held := d.Sessions[s.session]
		held.Subscriptions++
		held.Items += int(data.MonitoredItemCount)
		d.Sessions[s.session] = held
		intervals[s.interval] = true
	}
	slices.SortFunc(d.Subscriptions, func(a, b SubscriptionDiagnostics) int {
		return cmp.Compare(a.Data.SubscriptionID, b.Data.SubscriptionID)
	})
	d.Intervals = len(intervals)
	e.diagnostics.Store(d)
}

func (s *subscription) diagnostics() ua.SubscriptionDiagnosticsDataType {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.tally
	return ua.SubscriptionDiagnosticsDataType{
		SubscriptionID: s.id, Priority: s.priority, PublishingInterval: milliseconds(s.interval),
		MaxKeepAliveCount: s.keepAlive, MaxLifetimeCount: s.lifetime,
		MaxNotificationsPerPublish: uint32(s.maxNotifications), PublishingEnabled: s.publishingEnabled,
		ModifyCount: c.modified, EnableCount: c.enabled, DisableCount: c.disabled,
		RepublishRequestCount: c.republishes, RepublishMessageRequestCount: c.republishes,
		RepublishMessageCount: c.republished,
		TransferRequestCount:  c.transfers, TransferredToSameClientCount: c.transfersToSame,
		PublishRequestCount: c.publishRequests, DataChangeNotificationsCount: c.dataNotifications,
		EventNotificationsCount: c.eventNotifications, NotificationsCount: c.dataNotifications + c.eventNotifications,
		LatePublishRequestCount: c.latePublishes, CurrentKeepAliveCount: s.keepAliveCounter,
		CurrentLifetimeCount: s.lifetimeCounter, UnacknowledgedMessageCount: uint32(len(s.sent)),
		DiscardedMessageCount: c.discarded, MonitoredItemCount: uint32(len(s.items)),
		DisabledMonitoredItemCount:   c.disabledItems,
		MonitoringQueueOverflowCount: c.dataOverflows, NextSequenceNumber: next(s.sequence),
		EventQueueOverFlowCount: c.eventsOverflows,
	}
}
