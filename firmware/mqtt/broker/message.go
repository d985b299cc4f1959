package broker

import (
	"bytes"
	"strings"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// messageOverhead is about what a message takes beside its own bytes.
const messageOverhead = 200

// Message is published once and does not change.
type Message struct {
	topic      string
	qos        byte
	retain     bool
	payload    []byte
	properties []byte    // encoded, without the expiry
	expires    time.Time // zero: never

	from   string // the client that published it; "": the owner
	number uint64 // of the publication
	refs   int    // deliveries that hold it
}

// NewMessage copies a message. left is how many seconds it lives from
// now on; it counts when m.Expires.
func NewMessage(m *payload.Message, left uint32, now time.Time) *Message {
	out := &Message{topic: strings.Clone(m.Topic), qos: m.QoS, retain: m.Retain, payload: bytes.Clone(m.Payload)}
	if m.Expires {
		out.expires = now.Add(time.Duration(left) * time.Second)
	}
	var p []byte
	if m.PayloadFormat != nil {
		p = append(p, propFormat, *m.PayloadFormat)
	}
	if m.ContentType != nil {
		p = appendString(append(p, propContentType), *m.ContentType)
	}
	if m.ResponseTopic != "" {
		p = appendString(append(p, propResponse), m.ResponseTopic)
	}
	if m.CorrelationData != nil {
		p = appendString(append(p, propCorrelation), m.CorrelationData)
	}
	for _, u := range m.User {
		p = appendString(appendString(append(p, propUser), u.Name), u.Value)
	}
	out.properties = p
	return out
}

// decodePublish reads a client's PUBLISH.
func decodePublish(version, header byte, body []byte, now time.Time) (m *Message, id uint16, err error) {
	r := reader{b: body}
	in := payload.Message{Topic: r.string(), QoS: header >> 1 & 3, Retain: header&1 != 0}
	if in.QoS > 0 {
		id = r.uint16()
		r.bad = r.bad || id == 0
	}
	var p properties
	if version == 5 {
		p.read(&r, propertiesOfPublish)
	}
	if r.bad || in.QoS == 3 || in.QoS == 0 && header&8 != 0 {
		return nil, id, Malformed
	}
	if p.has(propAlias) {
		return nil, id, badAlias
	}
	if !payload.ValidTopic(in.Topic) {
		return nil, id, Malformed
	}
	in.Payload, in.User, in.ResponseTopic, in.Expires = r.b, p.user, p.texts[propResponse], p.has(propExpiry)
	if p.has(propFormat) {
		format := byte(p.number(propFormat))
		in.PayloadFormat = &format
	}
	if text, ok := p.texts[propContentType]; ok {
		in.ContentType = &text
	}
	if data, ok := p.texts[propCorrelation]; ok {
		in.CorrelationData = []byte(data)
	}
	return NewMessage(&in, p.number(propExpiry), now), id, nil
}

// size is about what the message takes in memory.
func (m *Message) size() int64 {
	return messageOverhead + int64(len(m.topic)+len(m.payload)+len(m.properties))
}

func (m *Message) expired(now time.Time) bool { return !m.expires.IsZero() && !now.Before(m.expires) }
