package subscription

import (
	"cmp"
	"log/slog"
	"time"

	"heliograph/firmware/opcua/addrspace"
)

// Limits bounds what clients may use. The zero value of each field means its default.
type Limits struct {
	Subscriptions           int           // in total, 1000
	SubscriptionsPerSession int           // 100
	Items                   int           // in total, 140 000
	ItemsPerSubscription    int           // 100 000
	ItemsPerSession         int           // five sevenths of Items
	ItemsPerAddress         int           // six sevenths of Items
	SubscriptionsPerAddress int           // three quarters of Subscriptions
	Operations              int           // in one request, 10 000
	PublishPerSession       int           // queued requests, 100
	ItemsPerNode            int           // of one session, 100; of all together twenty times as many
	EventItemsPerSession    int           // 100
	Sampled                 int           // items read at each interval, 10 000; of a session 5/7, an address 6/7
	Links                   int           // of one triggering item, 1000
	DataQueue               uint32        // values of one item, 10 000
	EventQueue              uint32        // events of one item, 10 000
	Held                    int64         // by all items, queues, filters, messages and queued requests, bytes, 60 MiB
	HeldPerSession          int64         // three quarters of Held
	HeldPerAddress          int64         // seven eighths of Held
	MinInterval             time.Duration // of publishing and sampling, 50 ms
	MaxInterval             time.Duration // 1 h
	Notifications           int           // in one message, 10 000
	MessageBytes            int           // after which a message ends, 1 MiB
	Retransmission          int           // messages of a subscription, 40
	RetransmissionBytes     int           // 4 MiB
	Conditions              int           // retained, 10 000
}

// Our own choices for the work of one Advance, which is called every 10 ms: 128 samples of small
// values, or 512 KiB of large ones, take about a millisecond.
const (
	sampleWork    = 4 << 10 // of a sample beside the bytes of its value
	maxSampleWork = 512 << 10
)

// Config sets up an Engine.
type Config struct {
	Nodes  Nodes
	Space  *addrspace.Space
	Limits Limits
	Now    func() time.Time // with a monotonic reading, as time.Now: the wall clock may be set
	Log    *slog.Logger
}

func (l Limits) withDefaults() Limits {
	l.Subscriptions = cmp.Or(l.Subscriptions, 1000)
	l.SubscriptionsPerSession = cmp.Or(l.SubscriptionsPerSession, 100)
	l.Items = cmp.Or(l.Items, 140_000)
	l.ItemsPerSession = cmp.Or(l.ItemsPerSession, max(1, l.Items*5/7))
	l.ItemsPerAddress = cmp.Or(l.ItemsPerAddress, max(1, l.Items*6/7))
	l.SubscriptionsPerAddress = cmp.Or(l.SubscriptionsPerAddress, max(1, l.Subscriptions*3/4))
	l.ItemsPerNode = cmp.Or(l.ItemsPerNode, 100)
	l.EventItemsPerSession = cmp.Or(l.EventItemsPerSession, 100)
	l.Sampled = cmp.Or(l.Sampled, 10_000)
	l.Links = cmp.Or(l.Links, 1000)
	l.ItemsPerSubscription = cmp.Or(l.ItemsPerSubscription, 100_000)
	l.RetransmissionBytes = cmp.Or(l.RetransmissionBytes, 4<<20)
	l.Operations = cmp.Or(l.Operations, 10_000)
	l.PublishPerSession = cmp.Or(l.PublishPerSession, 100)
	l.DataQueue = cmp.Or(l.DataQueue, 10_000)
	l.EventQueue = cmp.Or(l.EventQueue, 10_000)
	l.Held = cmp.Or(l.Held, 60<<20)
	l.HeldPerSession = cmp.Or(l.HeldPerSession, l.Held*3/4)
	l.HeldPerAddress = cmp.Or(l.HeldPerAddress, l.Held*7/8)
	l.MinInterval = cmp.Or(l.MinInterval, 50*time.Millisecond)
	l.MaxInterval = cmp.Or(l.MaxInterval, time.Hour)
	l.Notifications = cmp.Or(l.Notifications, 10_000)
	l.MessageBytes = cmp.Or(l.MessageBytes, 1<<20)
	l.Retransmission = cmp.Or(l.Retransmission, 40)
	l.Conditions = cmp.Or(l.Conditions, 10_000)
	return l
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
