// Package broker is an MQTT broker for clients that read: what its owner
// publishes goes to every session that subscribed to it, on MQTT 5.0 and 3.1.1,
// with QoS 0 to 2, retained messages, wildcards and sessions that outlive a
// connection. It is the state machine alone: packets go in, bytes come out, time
// is an argument. Package server next to it has the sockets.
//
// It refuses what a client publishes, unless it is Writable (MQTT 5: reason 0x87;
// 3.1.1: the connection ends, for QoS 0 the message is ignored), and refuses
// shared subscriptions, topic aliases and enhanced authentication. A will is
// accepted, counted, and never published.
//
// A bridge on 3.1.1 connects with protocol level 0x84 instead of 4, as mosquitto's
// do. Its live messages keep their retain flag, and what it published does not come
// back to it: each of its subscriptions has
// the options Retain As Published and No Local of MQTT 5. It begins by publishing
// its state below $SYS/broker/connection/, and would try for ever if that
// ended the connection: that is acknowledged, counted with the refused ones, and
// not published.
//
// # Memory
//
// Every message exists once, however many sessions wait for it. What sessions
// hold is bounded three times: a session by its share, which ends the session
// and its connection; all sessions together by a budget, for which the address
// that holds most loses its oldest abandoned session, or else the fullest one;
// and a client's QoS 0 messages are dropped once half of its share is used.
// A session that ended this way is counted, and its client sees Session Present 0.
//
// Retained messages are sent to a new subscriber straight from the store, at the
// client's pace: a session keeps a position, not a copy.
//
// # Order
//
// Messages to a session leave in the order of Publish, a retained message for a
// new subscription never after a newer one of its topic that is retained, too.
//
// # Wire format
//
// The packets are those of MQTT 5.0 section 3 and MQTT 3.1.1 section 3:
//
//	packet    type(4 bits) flags(4 bits) remaining length(varint, 1 to 4) body
//	varint    7 bits a byte, least significant first, bit 7: more follow
//	string    length(2, big-endian) UTF-8 without NUL
//	PUBLISH   topic(string) [packet identifier(2), QoS > 0] [properties, 5] payload
//	properties length(varint), each: identifier(1) value
//
// The decoder takes what a client may send and nothing else: an undefined flag,
// a property twice or in the wrong packet, and a byte too many are malformed. A
// length is compared with what arrived before it is used.
package broker
