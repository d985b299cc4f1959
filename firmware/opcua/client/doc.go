// Package client is the client's half of one OPC UA session (OPC 10000-4; terms follow
// the standard, no conformance is claimed beyond what the tests show): it finds the
// endpoint, opens the channel, creates and activates the session, browses, reads, and
// receives data changes and events, and reads the history of values and events.
//
// What it reads of values it hands on as the bytes they arrived in (package rawvalue).
// One odd value costs that value: a Read batch that cannot be read is halved until the
// value is alone, and a notification is delivered up to the value that cannot be read.
//
// It refuses to reconnect: a session that has ended stays ended, and has an error that
// says why, so that its caller makes the subscriptions again with the next session. It
// refuses to wait for a dead subscription: one that sends neither notification nor
// keep-alive in the time that the server granted ends the session. It refuses to write,
// to call any method but ConditionRefresh, to change history and to manage nodes: there
// is no code for it. It refuses to send anything, a password above all, to a server
// whose certificate the store does not trust.
//
// What a server can make it hold is bounded: messages by the transport, array lengths
// by what was asked for, references by number, queues by length. While a handler is busy,
// notifications stay in the server's queues.
package client
