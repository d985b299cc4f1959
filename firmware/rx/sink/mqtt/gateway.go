package mqtt

import (
	"bytes"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// The topics of the gateway itself, behind the prefix.
func (s *Sink) gatewayTopic(leaf string) string { return "heliograph/" + s.deps.Pair + "/" + leaf }

func (s *Sink) willTopic() string { return s.cfg.TopicPrefix + s.gatewayTopic("state") }

const (
	online  = "online"
	offline = "offline" // the will
)

func (p *publisher) online() error {
	p.msg = payload.Message{Topic: p.s.gatewayTopic("state"), QoS: 1, Retain: true, Payload: []byte(online)}
	return p.publish(flight{})
}

// status publishes the gateway's state when it has changed, from time to time.
func (p *publisher) status() error {
	if p.s.deps.Gateway == nil || !p.looked.IsZero() && time.Since(p.looked) < refresh || p.c.room() <= 0 {
		return nil
	}
	p.looked = time.Now()
	now := p.s.deps.Gateway()
	if now == nil || bytes.Equal(now, p.gateway) {
		return nil
	}
	p.gateway = bytes.Clone(now)
	p.msg = payload.Message{Topic: p.s.gatewayTopic("status"), QoS: 1, Retain: true, Payload: p.gateway}
	return p.publish(flight{})
}
