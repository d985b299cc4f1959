// Package mqtt encodes an MQTT message for the link: topic, flags, properties and payload.
//
// It is pure and does not implement MQTT: it refuses to connect, to interpret a payload
// and to check a topic beyond what a PUBLISH may carry (MQTT 5.0 §3.3.2.1,
// §4.7). Integers are big-endian, "uvarint" is the base-128 form of
// encoding/binary in its shortest form.
//
//	message   version(1): 1, flags(1), topiclen(uvarint) topic
//	          [properties, flag 16] payload(rest)
//	flags     QoS (low 2 bits), 4 retain, 16 properties
//
//	properties  have(1)
//	          [payload format(1): 0 or 1, have 1]
//	          [expiry(4): seconds left, received(8): ms since 1970, have 2]
//	          [content type: len(uvarint) bytes, have 4]
//	          [response topic: len(uvarint) bytes, have 8]
//	          [correlation data: len(uvarint) bytes, have 16]
//	          [user properties: count(uvarint), each len(uvarint) name
//	           len(uvarint) value, have 32]
//
// Expiry is sent as received, with the time of reception in the plant, so that the IT side
// counts it down from there.
package mqtt

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Message is an application message (MQTT 5.0 §1.2).
type Message struct {
	Topic   string
	QoS     byte // 0, 1, 2
	Retain  bool
	Payload []byte

	PayloadFormat   *byte  // 0 bytes, 1 UTF-8; nil: absent
	Expires         bool   // Expiry is present
	Expiry          uint32 // seconds from Received on
	Received        time.Time
	ContentType     *string // nil: absent
	ResponseTopic   string
	CorrelationData []byte
	User            []Property // in order, with duplicates
}

// Property is a user property.
type Property struct{ Name, Value string }

// MaxUserProperties bounds the user properties of one message.
const MaxUserProperties = 1024

// maxString bounds a UTF-8 string or binary data (MQTT 5.0 §1.5.4).
const maxString = 1<<16 - 1

// ErrMalformed is returned for malformed bytes, and for a message that no PUBLISH can carry.
var ErrMalformed = errors.New("mqtt: malformed message")

const (
	version = 1

	flagRetain     = 4
	flagProperties = 16

	haveFormat      = 1
	haveExpiry      = 2
	haveContentType = 4
	haveResponse    = 8
	haveCorrelation = 16
	haveUser        = 32
)

// Valid reports whether a PUBLISH can carry the message.
func (m *Message) Valid() bool {
	return m.QoS <= 2 && ValidTopic(m.Topic) && (m.ContentType == nil || len(*m.ContentType) <= maxString) &&
		len(m.CorrelationData) <= maxString && len(m.User) <= MaxUserProperties &&
		(m.ResponseTopic == "" || ValidTopic(m.ResponseTopic)) && (m.PayloadFormat == nil || *m.PayloadFormat <= 1)
}

// ValidTopic reports whether t may be a topic name: not empty, at most 65,535
// bytes of UTF-8 without NUL and without wildcards.
func ValidTopic(t string) bool {
	return t != "" && len(t) <= maxString && utf8.ValidString(t) && !strings.ContainsAny(t, "#+\x00")
}

// Left returns the seconds until the message expires, and whether it has expired at now. A
// message without expiry has 0 left and does not expire, nor does one received with 0.
func (m *Message) Left(now time.Time) (seconds uint32, expired bool) {
	if !m.Expires || m.Expiry == 0 {
		return 0, false
	}
	passed := max(now.Sub(m.Received), 0)
	left := time.Duration(m.Expiry)*time.Second - passed
	if left <= 0 {
		return 0, true
	}
	return uint32((left + time.Second - 1) / time.Second), false
}

func (m *Message) have() byte {
	return flag(m.PayloadFormat != nil, haveFormat) | flag(m.Expires, haveExpiry) |
		flag(m.ContentType != nil, haveContentType) | flag(m.ResponseTopic != "", haveResponse) |
		flag(m.CorrelationData != nil, haveCorrelation) | flag(len(m.User) > 0, haveUser)
}

// flag returns bit if it is set.
func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// Append appends the encoded message to dst.
func (m *Message) Append(dst []byte) []byte {
	have := m.have()
	flags := m.QoS
	if m.Retain {
		flags |= flagRetain
	}
	if have != 0 {
		flags |= flagProperties
	}
	dst = appendString(append(dst, version, flags), m.Topic)
	if have != 0 {
		dst = m.appendProperties(append(dst, have))
	}
	return append(dst, m.Payload...)
}

func (m *Message) appendProperties(dst []byte) []byte {
	if m.PayloadFormat != nil {
		dst = append(dst, *m.PayloadFormat)
	}
	if m.Expires {
		dst = binary.BigEndian.AppendUint32(dst, m.Expiry)
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.Received.UnixMilli()))
	}
	if m.ContentType != nil {
		dst = appendString(dst, *m.ContentType)
	}
	if m.ResponseTopic != "" {
		dst = appendString(dst, m.ResponseTopic)
	}
	if m.CorrelationData != nil {
		dst = binary.AppendUvarint(dst, uint64(len(m.CorrelationData)))
		dst = append(dst, m.CorrelationData...)
	}
	if len(m.User) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(m.User)))
		for _, p := range m.User {
			dst = appendString(appendString(dst, p.Name), p.Value)
		}
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
