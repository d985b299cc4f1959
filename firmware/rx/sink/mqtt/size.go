package mqtt

import payload "heliograph/firmware/conduit/payload/mqtt"

// hasProperties reports whether a message has what MQTT 3.1.1 cannot carry.
func hasProperties(m *payload.Message) bool {
	return m.PayloadFormat != nil || m.Expires || m.ContentType != nil || m.ResponseTopic != "" ||
		m.CorrelationData != nil || len(m.User) > 0
}

// size is the size of the message's PUBLISH on MQTT 5 (section 3.3).
func size(m *payload.Message) int {
	properties := 0
	if m.PayloadFormat != nil {
		properties += 2
	}
	if m.Expires {
		properties += 5
	}
	if m.ContentType != nil && *m.ContentType != "" {
		properties += 3 + len(*m.ContentType)
	}
	if m.ResponseTopic != "" {
		properties += 3 + len(m.ResponseTopic)
	}
	if len(m.CorrelationData) > 0 {
		properties += 3 + len(m.CorrelationData)
	}
	for _, u := range m.User {
		properties += 5 + len(u.Name) + len(u.Value)
	}
	n := 2 + len(m.Topic) + varint(properties) + properties + len(m.Payload)
	if m.QoS > 0 {
		n += 2
	}
	return 1 + varint(n) + n
}

// varint is the length of a variable byte integer (section 1.5.5).
func varint(n int) int {
	length := 1
	for ; n > 0x7f; n >>= 7 {
		length++
	}
	return length
}
