// Package subscription is the server's half of the MonitoredItem and Subscription
// service sets (OPC 10000-4 §5.13, §5.14; terms follow the standard, no conformance is
// claimed beyond what the tests show). It knows no sockets: decoded requests go in,
// encoded responses come out.
//
//	engine.go   requests in, values and events in, time in
//	item.go     a monitored item: its filter and its queue
//	monitor.go  the services of monitored items
//	cycle.go    a subscription: its publishing cycle and its messages
//	publish.go  Publish requests that wait, and the services of subscriptions
//	method.go   the methods that concern subscriptions
//	encode.go   what is written by hand
//
// Values exist once: an item's queue holds references to immutable DataValues. Filters
// decide before anything is queued, so what nobody wants costs no memory.
//
// It refuses to let a client's queues grow without bound (what does not fit is told by
// Overflow, and counted), to keep more than it was configured to, and to block: a
// response is handed over, never waited for.
package subscription
