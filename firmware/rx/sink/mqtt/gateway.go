package mqtt

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// stateTopic is the will's, behind the gateway's prefix.
const stateTopic = "state"

const (
	online  = "online"
	offline = "offline" // the will
)

// slowRefresh is how often a topic is published whose figures alone may have changed: all
// but the two that say how the gateway stands.
const slowRefresh = 10 * time.Second

func slow(topic string) bool { return topic != "trust" && topic != "status" }

// willTopic is "" when there is no will.
func (s *Sink) willTopic() string {
	if s.deps.Gateway.Prefix == "" {
		return ""
	}
	return s.deps.Gateway.Prefix + stateTopic
}

// reserved reports whether a topic is the gateway's own, here or at another channel. What
// the plant publishes there is refused: it would pass for the gateway's word.
func (s *Sink) reserved(topic string) bool {
	return slices.ContainsFunc(s.deps.Gateway.Reserved, func(prefix string) bool {
		return strings.HasPrefix(topic, prefix)
	})
}

// own is what was published of the gateway's state on this connection.
type own struct {
	checked time.Time
	topics  map[string]published
}

type published struct {
	payload []byte
	at      time.Time
}

// publishOnline publishes that the gateway is connected.
func (p *publisher) publishOnline() error {
	if p.s.willTopic() == "" {
		return nil
	}
	return p.publishOwn(stateTopic, []byte(online))
}

// publishStatus publishes what has changed of the gateway's state, once each refresh.
func (p *publisher) publishStatus(ctx context.Context) error {
	state, now := p.s.deps.Gateway.State, time.Now()
	if state == nil || p.s.deps.Gateway.Prefix == "" || now.Sub(p.own.checked) < refresh || p.c.room() <= 0 {
		return nil
	}
	p.own.checked = now
	all := state()
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		before, ok := p.own.topics[topic]
		if bytes.Equal(before.payload, all[topic]) || ok && slow(topic) && now.Sub(before.at) < slowRefresh {
			continue
		}
		if err := p.makeRoom(ctx, flight{topic: p.s.deps.Gateway.Prefix + topic}); err != nil {
			return err
		}
		if p.own.topics == nil {
			p.own.topics = map[string]published{}
		}
		p.own.topics[topic] = published{all[topic], now}
		if err := p.publishOwn(topic, all[topic]); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) publishOwn(topic string, body []byte) error {
	p.msg = payload.Message{Topic: p.s.deps.Gateway.Prefix + topic, QoS: 1, Retain: true, Payload: body}
	f := flight{own: true, topic: p.msg.Topic}
	if p.leaveOut(f) {
		return nil
	}
	return p.publish(f)
}
