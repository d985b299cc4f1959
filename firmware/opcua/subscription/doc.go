// Package subscription is the server's half of the MonitoredItem and Subscription
// service sets (OPC 10000-4 §5.13, §5.14; terms follow the standard, no conformance is
// claimed beyond what the tests show). It knows no sockets: decoded requests go in,
// encoded responses come out.
//
//	engine.go   requests in, values and events in, time in
//	limits.go   what clients may take
//	account.go  the bytes that they hold, of a subscription, of a session and of all
//	item.go     a monitored item; queue.go: what it has to report
//	monitor.go  the services of monitored items; filter.go, link.go: their parts
//	cycle.go    a subscription: its publishing cycle and its messages
//	publish.go  Publish requests that wait; service.go: the services of subscriptions
//	method.go   the methods that concern subscriptions
//	encode.go   what is written by hand
//
// Values exist once: an item's queue holds references to immutable DataValues. Filters
// decide before anything is queued, so what nobody wants costs no memory.
//
// It refuses to hold more for clients than it was configured to: items, filters, queues,
// messages for Republish and Publish requests that wait are counted in bytes, together. What
// does not fit is told by Overflow, and counted; a value that is too large for what is left
// becomes Bad_OutOfMemory. It refuses to block: a response is handed over, never waited for.
package subscription
