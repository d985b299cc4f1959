package subscription

import (
	"cmp"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Diagnostics is what there is of subscriptions, as it was at most a second ago.
type Diagnostics struct {
	Subscriptions []Told          // by their numbers
	Sessions      map[uint32]Held // by the sessions' numbers
	Intervals     int             // different publishing intervals
}

// Told is one subscription. The SessionId is left out.
type Told struct {
	Session uint32
	Told    ua.SubscriptionDiagnosticsDataType
}

// Held is what a session has.
type Held struct{ Subscriptions, Items, Waiting int }

// lookEvery is how often diagnostics are looked for.
const lookEvery = time.Second

// tally counts what became of a subscription (OPC 10000-5 §12.15). The engine's lock
// guards it, but for what is said to be the subscription's.
type tally struct {
	modified, enabled, disabled                   uint32
	republishes, republished                      uint32
	transfers, toSame                             uint32
	published, late, discarded                    uint32
	dataTold, eventsTold                          uint32
	itemsDisabled, dataOverflows, eventsOverflows uint32 // the subscription's lock
}

func (c *tally) tell(event bool) {
	if event {
		c.eventsTold++
	} else {
		c.dataTold++
	}
}

func (c *tally) overflow(event bool) {
	if event {
		c.eventsOverflows++
	} else {
		c.dataOverflows++
	}
}

// Diagnostics tells of all subscriptions. It takes no lock: Nodes may ask for them.
func (e *Engine) Diagnostics() *Diagnostics {
	if d := e.diagnostics.Load(); d != nil {
		return d
	}
	return &Diagnostics{}
}

// look takes diagnostics down, now and then. The engine's lock is held.
func (e *Engine) look(now time.Time) {
	if now.Before(e.lookAt) {
		return
	}
	e.lookAt = now.Add(lookEvery)
	d := &Diagnostics{Sessions: map[uint32]Held{}}
	intervals := map[time.Duration]bool{}
	for n, se := range e.sessions {
		d.Sessions[n] = Held{Waiting: len(se.waiting)}
	}
	for _, s := range e.subs {
		told := s.tell()
		d.Subscriptions = append(d.Subscriptions, Told{Session: s.session, Told: told})
		held := d.Sessions[s.session]
		held.Subscriptions++
		held.Items += int(told.MonitoredItemCount)
		d.Sessions[s.session] = held
		intervals[s.interval] = true
	}
	slices.SortFunc(d.Subscriptions, func(a, b Told) int { return cmp.Compare(a.Told.SubscriptionID, b.Told.SubscriptionID) })
	d.Intervals = len(intervals)
	e.diagnostics.Store(d)
}

func (s *subscription) tell() ua.SubscriptionDiagnosticsDataType {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.tally
	return ua.SubscriptionDiagnosticsDataType{
		SubscriptionID: s.id, Priority: s.priority, PublishingInterval: milliseconds(s.interval), MaxKeepAliveCount: s.keepAlive, MaxLifetimeCount: s.lifetime,
		MaxNotificationsPerPublish: uint32(s.most), PublishingEnabled: s.enabled, ModifyCount: c.modified, EnableCount: c.enabled, DisableCount: c.disabled,
		RepublishRequestCount: c.republishes, RepublishMessageRequestCount: c.republishes, RepublishMessageCount: c.republished,
		TransferRequestCount: c.transfers, TransferredToSameClientCount: c.toSame,
		PublishRequestCount: c.published, DataChangeNotificationsCount: c.dataTold, EventNotificationsCount: c.eventsTold, NotificationsCount: c.dataTold + c.eventsTold,
		LatePublishRequestCount: c.late, CurrentKeepAliveCount: s.quiet, CurrentLifetimeCount: s.unheard, UnacknowledgedMessageCount: uint32(len(s.sent)),
		DiscardedMessageCount: c.discarded, MonitoredItemCount: uint32(len(s.items)), DisabledMonitoredItemCount: c.itemsDisabled,
		MonitoringQueueOverflowCount: c.dataOverflows, NextSequenceNumber: next(s.sequence), EventQueueOverFlowCount: c.eventsOverflows,
	}
}
