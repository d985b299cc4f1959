// Package mqtt subscribes to a broker in the plant: every message of the configured
// topics becomes a record, and retained messages become state.
//
// MQTT 5.0 goes through paho.golang and MQTT 3.1.1 through paho.mqtt.golang. The
// package refuses to publish, and to subscribe to anything that is not configured.
// A record's payload is a message as package conduit/payload/mqtt encodes it; its
// key, if it has one, is the topic.
//
// # Retained messages
//
// A retained message is the newest value of its topic, and live ones are
// events besides. To keep the flag on live messages, MQTT 5
// subscribes with Retain As Published (§3.8.3.1), and 3.1.1 connects as a bridge
// does (protocol level 0x84, which mosquitto honours). From a broker that refuses
// that, retained messages are read again each minute, and the channel's reason
// says so: a message that is retained then crosses twice, as an event when it
// comes, and as state once it was read, for nothing else shows that it is
// retained. What is read again unchanged does not cross.
//
// What the broker retains is read over a connection of its own, whose client
// identifier ends in "-reader" (reader.go): a broker queues so many messages
// for a session (mosquitto as Debian ships it 1,000) and drops the others of a
// large set without notice, and there a retained message cannot be mistaken
// for a live one. A topic is deleted when a message clears it, or when the broker
// has no answer to a subscription to that very topic; never because a subscription
// with wildcards did not bring it. The topics that crossed are remembered over
// restarts (remembered.go).
//
// A retained message that the link refuses, for it is larger than a record or than
// the channel's state may be, is counted, and its topic is deleted if the link knows
// an earlier value: MQTT has no quality that could say that the value is outdated.
// The topic comes back with the next message that crosses.
//
// What a broker can have this package remember is bounded: 500,000 topics and 32 MB of them that
// its filters bring, and hashes of as many that are live while they are read. Beyond that a read
// fails, and /readyz says why.
//
// The session asks for no retained messages on MQTT 5 (Retain Handling 2). On
// 3.1.1 its subscription brings them, and their flags are those of live
// ones. So a window is open from that subscription until no new topic has come
// for a second and the newest is acknowledged. In it a topic's first retained
// message is state, a message that equals the topic's newest is skipped, and
// every other one is live, as one marked DUP always is. If the connection is lost
// with the window open, the next one subscribes again. What a broker kept for
// the session comes before: the source subscribes, and reads what is retained,
// once that is drained (for 5 s at most).
//
// # Acknowledgement and back-pressure
//
// A QoS 1 or 2 message is acknowledged once it and its parity have left, in
// the order of arrival (§4.6). While the link has no room for one, nothing is
// read from the broker, which keeps what it has; pings go out all the same, and
// only a broker that is being read, and sends nothing on the reader's connection
// either, can be silent. A QoS 0 message waits for nothing: the link drops the
// oldest, and counts it. If a message never leaves,
// because the link has ended, the broker sends it again. Within a session QoS 2 is
// exactly once, over lost connections too; after a restart of this program a
// message that had left before the broker got its acknowledgement crosses again.
package mqtt
