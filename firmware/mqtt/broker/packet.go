package broker

import (
	"encoding/binary"
	"strings"
	"time"

	"heliograph/firmware/mqtt/packet"
)

func appendUint32(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }

// Packet handles a packet that came after CONNECT, from its first byte and its
// body, which it does not keep. It returns false when the connection ends.
func (c *Conn) Packet(now time.Time, header byte, body []byte) bool {
	if c.ending || c.session == nil {
		return false
	}
	if err := c.handle(now, header, body); err != nil {
		c.Fail(err)
	}
	return !c.ending
}

func (c *Conn) handle(now time.Time, header byte, body []byte) error {
	kind, flags := header>>4, header&0x0f
	want := byte(0)
	if kind == packet.Pubrel || kind == packet.Subscribe || kind == packet.Unsubscribe {
		want = 2
	}
	if kind != packet.Publish && flags != want {
		return Malformed // section 2.1.3
	}
	switch kind {
	case packet.Publish:
		return c.handlePublish(now, header, body)
	case packet.Puback, packet.Pubrec, packet.Pubcomp, packet.Pubrel:
		return c.handleAck(kind, body)
	case packet.Subscribe:
		return c.handleSubscribe(body)
	case packet.Unsubscribe:
		return c.handleUnsubscribe(body)
	case packet.Pingreq:
		if len(body) > 0 {
			return Malformed
		}
		c.answer([]byte{packet.Pingresp << 4, 0})
		return nil
	case packet.Disconnect:
		return c.handleDisconnect(now, body)
	}
	return ProtocolError
}

func (c *Conn) handlePublish(now time.Time, header byte, body []byte) error {
	m, id, err := decodePublish(c.version, header, body, now)
	if err != nil {
		return err
	}
	if !c.b.cfg.Writable {
		return c.refusePublish(m, id)
	}
	m.from = c.session.id
	switch m.qos {
	case 1:
		c.answer(appendAck(nil, c.version, packet.Puback, id, 0))
	case 2:
		s := c.session
		if s.received == nil {
			s.received = map[uint16]struct{}{}
		}
		_, again := s.received[id]
		if !again && len(s.received) >= maxReceived {
			return tooManyReceived
		}
		s.received[id] = struct{}{}
		c.answer(appendAck(nil, c.version, packet.Pubrec, id, 0))
		if again {
			return nil
		}
	}
	c.b.Publish(m)
	return nil
}

// aboutBridges begins the topic on which a bridge publishes its state.
const aboutBridges = "$SYS/broker/connection/"

// refusePublish answers a PUBLISH that is not published.
func (c *Conn) refusePublish(m *Message, id uint16) error {
	c.b.stats.NotPublished++
	switch {
	case m.qos == 0:
	case c.version != 5 && !(c.bridge && strings.HasPrefix(m.topic, aboutBridges)):
		return notAuthorized
	case m.qos == 1:
		c.answer(appendAck(nil, c.version, packet.Puback, id, byte(notAuthorized)))
	default:
		c.answer(appendAck(nil, c.version, packet.Pubrec, id, byte(notAuthorized)))
	}
	return nil
}

// handleAck follows the exchanges of section 4.3.
func (c *Conn) handleAck(kind byte, body []byte) error {
	id, reason, err := decodeAck(c.version, body)
	if err != nil {
		return err
	}
	s := c.session
	f, known := s.flights[id]
	known = known && f.here
	switch {
	case kind == packet.Pubrel:
		code := byte(0)
		if _, there := s.received[id]; !there {
			code = byte(unknownID)
		}
		delete(s.received, id)
		c.answer(appendAck(nil, c.version, packet.Pubcomp, id, code))
	case kind == packet.Pubrec && reason < 0x80 && known && f.qos == 2:
		if !f.released {
			s.releaseFlight(&f)
			s.flights[id] = f
		}
		c.answer(appendAck(nil, c.version, packet.Pubrel, id, 0))
	case kind == packet.Pubrec && !known:
		c.answer(appendAck(nil, c.version, packet.Pubrel, id, byte(unknownID)))
	case known && kind == packet.Puback && f.qos == 1,
		known && kind == packet.Pubrec && f.qos == 2,
		known && kind == packet.Pubcomp && f.released:
		s.acknowledged(id, f)
	}
	return nil
}

const sharePrefix = "$share/"

func (c *Conn) handleSubscribe(body []byte) error {
	p, err := decodeSubscribe(c.version, body)
	if err != nil {
		return err
	}
	codes := make([]byte, 0, len(p.filters))
	for _, f := range p.filters {
		if c.bridge {
			f.retainAsPublished, f.noLocal = true, true
		}
		code := byte(reasonGranted) + f.qos
		if refusal := c.session.refusal(f); refusal != 0 {
			code = byte(refusal)
			if c.version != 5 {
				code = 0x80
			}
		} else {
			c.session.subscribe(f, p.identifier)
		}
		codes = append(codes, code)
	}
	c.answer(appendSubscriptionAck(nil, c.version, packet.Suback, p.id, codes))
	c.b.bound()
	return nil
}

// refusal is why a filter cannot be subscribed to, or 0.
func (s *session) refusal(f filterOptions) Fault {
	switch {
	case strings.HasPrefix(f.filter, sharePrefix):
		return noShared
	case !validFilter(f.filter):
		return badFilter
	case s.subs[f.filter] == nil && (len(s.subs) >= s.b.cfg.Subscriptions || s.charge > s.b.cfg.Share):
		return quotaExceeded
	}
	return 0
}

func (c *Conn) handleUnsubscribe(body []byte) error {
	id, filters, err := decodeUnsubscribe(c.version, body)
	if err != nil {
		return err
	}
	var codes []byte
	for _, f := range filters {
		code := byte(reasonGranted)
		if !c.session.unsubscribe(f) {
			code = reasonNoSubscription
		}
		if c.version == 5 {
			codes = append(codes, code)
		}
	}
	c.answer(appendSubscriptionAck(nil, c.version, packet.Unsuback, id, codes))
	return nil
}

func (c *Conn) handleDisconnect(now time.Time, body []byte) error {
	p, err := decodeDisconnect(c.version, body)
	if err != nil {
		return err
	}
	s := c.session
	if p.has(propSessionExpiry) {
		expiry := time.Duration(p.number(propSessionExpiry)) * time.Second
		if s.expiry == 0 && expiry > 0 {
			return ProtocolError // section 3.14.2.2.2
		}
		s.expiry = min(expiry, c.b.cfg.SessionExpiry)
	}
	c.detach(now)
	c.ending = true
	c.notify(true)
	return nil
}
