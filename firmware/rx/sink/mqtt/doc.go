// Package mqtt publishes what crossed to a broker on the IT side, theirs or an
// embedded one: the same topic behind a prefix, the same payload, QoS, retain
// flag and properties, in order.
//
// A record leaves the queue once the broker acknowledged it (QoS 0: once it was
// written). After every connect the order is: what was queued before the
// connect, then a snapshot of all retained messages as of the connect, then what
// came since. So an emptied broker fills, and no older value ever follows a
// newer one. A connection that breaks leaves open what the broker has: those
// messages are published again, regardless of QoS, hence at least once.
//
// The package refuses to subscribe to anything, to interpret a payload, and to
// change a message, except where the broker leaves no choice: on 3.1.1
// properties are left out, and a broker that offers less QoS gets less; both are counted.
//
// A broker that drops the connection over a message does not say over which. What was on its
// way each time is sent by itself after some connections, what is repeated with QoS 1, and the
// one that is found is dropped; what is retained of its topic is left out for an hour, or until
// the broker takes a newer message to it, and then published. A broker that stalls, so that we
// end the connection, proves nothing of a message.
//
// The gateway's own state is published beside it, retained, to topics that nothing else is
// published to: package announce says which. It is checked every 3 seconds; topics of figures
// follow at most every 10.
//
// A record in the queue is
//
//	kind(1): 0 message, 1 state, 2 deletion, 3 late message or state, 4 late deletion
//	run(8)      the process that queued it, by the time it began
//	number(8)   rises by one per record of a run
//	message, or the key of a deletion
//
// A late record is one that an outage delayed. It is published as the configuration
// says, and never retained: it changes no topic's newest value.
package mqtt
