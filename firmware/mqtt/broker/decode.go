package broker

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"heliograph/firmware/mqtt/packet"
)

// bridgeLevel is the protocol level of a bridge on 3.1.1, as mosquitto uses it.
const bridgeLevel = 0x84

// ConnectHeader is the first byte of a connection.
const ConnectHeader = packet.Connect << 4

// Fault is why a connection ends: a reason code of MQTT 5.0 section 2.4.
type Fault byte

// The reasons that a packet's framing may give.
const (
	Malformed     Fault = 0x81
	ProtocolError Fault = 0x82
	TooLarge      Fault = 0x95
)

// Other reason codes.
const (
	reasonGranted              = 0x00
	reasonNoSubscription       = 0x11
	badVersion           Fault = 0x84
	badClientID          Fault = 0x85
	badPassword          Fault = 0x86
	notAuthorized        Fault = 0x87
	shuttingDown         Fault = 0x8b
	badMethod            Fault = 0x8c
	takenOver            Fault = 0x8e
	badFilter            Fault = 0x8f
	unknownID            Fault = 0x92
	tooManyReceived      Fault = 0x93
	badAlias             Fault = 0x94
	quotaExceeded        Fault = 0x97
	noShared             Fault = 0x9e
)

// Error implements error.
func (f Fault) Error() string {
	switch f {
	case Malformed:
		return "malformed packet"
	case ProtocolError:
		return "protocol error"
	case TooLarge:
		return "packet too large"
	}
	return "refused"
}

// reader reads the body of a packet. After a fault everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

// next returns the next n bytes.
func (r *reader) next(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad, r.b = true, nil
		return nil
	}
	got := r.b[:n]
	r.b = r.b[n:]
	return got
}

func (r *reader) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.next(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.next(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint reads a variable byte integer (section 1.5.5).
func (r *reader) varint() (v uint32) {
	for shift := 0; shift < 28; shift += 7 {
		b := r.byte()
		v |= uint32(b&0x7f) << shift
		if b&0x80 == 0 {
			return v
		}
	}
	r.bad = true
	return 0
}

// binary reads binary data, a part of the packet.
func (r *reader) binary() []byte { return r.next(int(r.uint16())) }

// string reads a UTF-8 string and copies it.
func (r *reader) string() string {
	s := string(r.binary())
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		r.bad = true
	}
	return s
}

// end returns a fault when something was missing, or is left.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return Malformed
	}
	return nil
}

// Connect is a CONNECT packet.
type Connect struct {
	Version            byte // 4 or 5; anything else is answered and refused
	Bridge             bool // 3.1.1 with the protocol level of a bridge
	ClientID           string
	Username, Password string
	Clean              bool
	KeepAlive          uint16 // seconds

	will       bool
	properties properties
}

// DecodeConnect reads the packet that opens a connection, from its first byte
// and its body. Nothing behind the version is read when that is not 4 or 5, or 4
// of a bridge.
func DecodeConnect(header byte, body []byte) (*Connect, error) {
	if header != ConnectHeader {
		return nil, ProtocolError
	}
	r := reader{b: body}
	name := r.string()
	c := &Connect{Version: r.byte()}
	if r.bad || name != "MQTT" && name != "MQIsdp" {
		return nil, Malformed
	}
	if c.Version == bridgeLevel && name == "MQTT" {
		c.Version, c.Bridge = 4, true
	}
	if c.Version != 4 && c.Version != 5 || name != "MQTT" {
		c.Version = max(c.Version, 1)
		if name != "MQTT" {
			c.Version = 3
		}
		return c, nil
	}
	flags := r.byte()
	c.Clean, c.will = flags&2 != 0, flags&4 != 0
	if flags&1 != 0 || flags>>3&3 == 3 || !c.will && flags&0x38 != 0 || c.Version == 4 && flags&0xc0 == 0x40 {
		return nil, Malformed // MQTT 3.1.1 and 5.0 section 3.1.2
	}
	c.KeepAlive = r.uint16()
	if c.Version == 5 {
		c.properties.read(&r, propertiesOfConnect)
	}
	c.ClientID = r.string()
	if c.will {
		c.readWill(&r)
	}
	if flags&0x80 != 0 {
		c.Username = r.string()
	}
	if flags&0x40 != 0 {
		c.Password = string(r.binary())
	}
	return c, r.end()
}

func (c *Connect) readWill(r *reader) {
	if c.Version == 5 {
		var ignored properties
		ignored.read(r, propertiesOfWill)
	}
	_, _ = r.string(), r.binary()
}

// filterOptions is one filter of a SUBSCRIBE.
type filterOptions struct {
	filter            string
	qos               byte
	noLocal           bool
	retainAsPublished bool
	retainHandling    byte
}

// subscribe is a SUBSCRIBE.
type subscribe struct {
	id         uint16
	identifier uint32 // of the subscriptions; 0: none
	filters    []filterOptions
}

// decodeSubscribe reads a SUBSCRIBE.
func decodeSubscribe(version byte, body []byte) (s subscribe, err error) {
	r := reader{b: body}
	s.id = r.uint16()
	var p properties
	if version == 5 {
		p.read(&r, propertiesOfSubscribe)
	}
	for len(r.b) > 0 && !r.bad {
		f := filterOptions{filter: r.string()}
		o := r.byte()
		f.qos, f.noLocal, f.retainAsPublished, f.retainHandling = o&3, o&4 != 0, o&8 != 0, o>>4&3
		if f.qos == 3 || f.retainHandling == 3 || o&0xc0 != 0 || version == 4 && o > 2 {
			r.bad = true
		}
		s.filters = append(s.filters, f)
	}
	s.identifier = p.number(propSubscription)
	if err = r.end(); err == nil && (s.id == 0 || len(s.filters) == 0 || p.has(propSubscription) && s.identifier == 0) {
		err = ProtocolError
	}
	return s, err
}

// decodeUnsubscribe reads an UNSUBSCRIBE.
func decodeUnsubscribe(version byte, body []byte) (id uint16, filters []string, err error) {
	r := reader{b: body}
	id = r.uint16()
	if version == 5 {
		var p properties
		p.read(&r, propertiesOfUnsubscribe)
	}
	for len(r.b) > 0 && !r.bad {
		filters = append(filters, r.string())
	}
	if err = r.end(); err == nil && (id == 0 || len(filters) == 0) {
		err = ProtocolError
	}
	return id, filters, err
}

// decodeAck reads PUBACK, PUBREC, PUBREL and PUBCOMP.
func decodeAck(version byte, body []byte) (id uint16, reason byte, err error) {
	r := reader{b: body}
	id = r.uint16()
	if version == 5 && len(r.b) > 0 {
		reason = r.byte()
		if len(r.b) > 0 {
			var p properties
			p.read(&r, propertiesOfAck)
		}
	}
	if err = r.end(); err == nil && id == 0 {
		err = ProtocolError
	}
	return id, reason, err
}

// decodeDisconnect reads a DISCONNECT of a client.
func decodeDisconnect(version byte, body []byte) (p properties, err error) {
	r := reader{b: body}
	if version == 5 && len(body) > 0 {
		r.byte() // the reason
		if len(r.b) > 0 {
			p.read(&r, propertiesOfDisconnect)
		}
	}
	return p, r.end()
}
