package mqtt

import (
	"fmt"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
)

// publishRecord publishes one record of the queue.
func (p *publisher) publishRecord(b []byte) error {
	r, ok := parseRecord(b)
	ok = ok && r.message(&p.msg)
	topic := p.s.cfg.TopicPrefix + p.msg.Topic
	switch {
	case !ok:
		p.s.unreadable.Add(1)
		if account := p.s.deps.Channel; account != nil {
			account.Refused(1)
		}
		p.skip()
		return nil
	case p.suspects.failures >= maxFailures && p.suspects.queued && p.queued == 0:
		p.s.refuse(&refusal{disconnects, fmt.Sprintf("%d bytes", len(p.msg.Payload))}, topic, true)
		if p.msg.Retain {
			p.s.left[topic] = p.s.clock()
		}
		*p.suspects = suspects{}
		p.s.deps.Queue.Done(1) // at once: were it on the queue when the connection breaks, it would count twice
		return nil
	case p.snap != nil && p.snap.covers(r, topic) && !p.s.isLeft(topic):
		p.s.superseded.Add(1)
		p.s.replaced[topic] = true
		p.skip()
		return nil
	}
	return p.publish(flight{queued: true, late: r.late()})
}

// mark changes a late message so that it can be distinguished from those of the present.
func (p *publisher) mark(m *payload.Message) {
	switch {
	case p.s.cfg.Late == config.LateSeparate:
		m.Topic = p.s.cfg.LatePrefix + m.Topic
	case p.lim.properties && len(m.User) < payload.MaxUserProperties:
		m.User = append(m.User, payload.Property{Name: lateProperty, Value: "1"})
	}
}

// lateProperty is the user property of late messages that are published to their own topic.
const lateProperty = "heliograph-late"

// skip has a record taken off the queue in its turn, unpublished.
func (p *publisher) skip() {
	p.flights = append(p.flights, flight{queued: true})
	p.queued++
}

// publish sends p.msg, if it may be sent at all.
func (p *publisher) publish(f flight) error {
	m := &p.msg
	if !f.own {
		m.Topic = p.s.cfg.TopicPrefix + m.Topic
	}
	if f.late {
		p.mark(m)
	}
	var err error
	left, expired := m.Left(p.s.deps.PlantTime())
	f.topic, f.alone = m.Topic, p.suspects.alone(f.queued, m.Topic)
	switch {
	case expired:
		p.s.expire(p.accounted(f))
	case !payload.ValidTopic(m.Topic):
		p.s.refuse(&refusal{badTopic, "not a topic of MQTT with its prefix"}, m.Topic, p.accounted(f))
	case !f.own && p.s.reserved(m.Topic):
		p.s.refuse(&refusal{badTopic, "the topics behind it are the gateway's own state: change topic_prefix, or " +
			"mqtt_prefix in [announce]"}, m.Topic, p.accounted(f))
	case p.lim.bytes > 0 && size(m) > p.lim.bytes:
		p.s.refuse(&refusal{tooLarge, fmt.Sprintf("%d bytes, it takes %d", size(m), p.lim.bytes)}, m.Topic,
			p.accounted(f))
	default:
		if f.alone && !f.queued && p.lim.qos > 0 {
			m.QoS = max(m.QoS, 1) // else nothing tells that the broker has it
		}
		p.fit(m)
		f.qos = m.QoS
		f.sent = true // also where the broker hangs up meanwhile
		began := time.Now()
		err = p.c.send(m, left)
		p.last = p.last.Add(time.Since(began)) // while it was written the broker could not acknowledge it
	}
	if len(p.flights) == 0 {
		p.last = time.Now()
	}
	p.flights = append(p.flights, f)
	if f.queued {
		p.queued++
	}
	return err
}

// fit lowers a message to what the broker takes.
func (p *publisher) fit(m *payload.Message) {
	if m.QoS > p.lim.qos || m.Retain && !p.lim.retain {
		m.QoS, m.Retain = min(m.QoS, p.lim.qos), m.Retain && p.lim.retain
		p.s.lowered.Add(1)
		p.s.warnOnce("broker offers less QoS or no retained messages; messages are lowered to that")
	}
	if !p.lim.properties && hasProperties(m) {
		p.s.stripped.Add(1)
		p.s.warnOnce("MQTT 3.1.1 carries no properties; messages are published without them")
	}
}
