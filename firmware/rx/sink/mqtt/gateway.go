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

// publishOnline publishes that the gateway is connected.
func (p *publisher) publishOnline() error {
	p.msg = payload.Message{Topic: p.s.gatewayTopic("state"), QoS: 1, Retain: true, Payload: []byte(online)}
	return p.publish(flight{})
}

// publishStatus publishes the gateway's state when it has changed, once each refresh.
func (p *publisher) publishStatus() error {
	if p.s.deps.Gateway == nil || !p.gatewayAt.IsZero() && time.Since(p.gatewayAt) < refresh || p.c.room() <= 0 {
		return nil
	}
	p.gatewayAt = time.Now()
	now := p.s.deps.Gateway()
	if now == nil || bytes.Equal(now, p.gateway) {
		return nil
	}
	p.gateway = bytes.Clone(now)
	p.msg = payload.Message{Topic: p.s.gatewayTopic("status"), QoS: 1, Retain: true, Payload: p.gateway}
	return p.publish(flight{})
}
