package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/text"
)

// Protocol levels of CONNECT (MQTT 3.1.1 §3.1.2.2). The high bit marks a bridge for
// mosquitto, which passes retain flags on to it.
const (
	plainLevel  = 4
	bridgeLevel = 0x84
)

// client311 is a connection in MQTT 3.1.1.
type client311 struct {
	client paho.Client
	conn   *brokerConn
	resume bool
	once   sync.Once
	gone   chan struct{}
	err    error
}

func (s *Source) connect311(ctx context.Context, r role, level uint) (connection, error) {
	c := &client311{gone: make(chan struct{})}
	o := c.options(ctx, s, r).SetProtocolVersion(level)
	c.client = paho.NewClient(o)
	token := c.client.Connect()
	ctx, cancel := context.WithTimeoutCause(ctx, 2*dialTimeout, errAnswer)
	defer cancel()
	if err := waitToken(ctx, token); err != nil {
		c.client.Disconnect(0)
		if refusesVersion(err) {
			return nil, fmt.Errorf("%w: %v", errVersion, err)
		}
		return nil, refusal311(err)
	}
	if connected, ok := token.(*paho.ConnectToken); ok {
		c.resume = connected.SessionPresent()
	}
	go c.conn.ping(c.conn)
	return c, nil
}

// options returns how the library connects and hands over what comes.
func (c *client311) options(ctx context.Context, s *Source, r role) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(r.id).
		SetCleanSession(r.clean).SetAutoReconnect(false).SetConnectRetry(false).
		SetOrderMatters(true).SetAutoAckDisabled(true).
		SetKeepAlive(keepAlive).SetPingTimeout(never).SetConnectTimeout(dialTimeout).SetWriteTimeout(dialTimeout).
		SetUsername(s.cfg.Username).SetPassword(string(s.cfg.Password))
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		conn, err := s.dial(ctx, limits311(), r, c.fail)
		if err != nil {
			return nil, err
		}
		c.conn = conn
		return conn, nil
	})
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { c.fail(err) })
	o.SetDefaultPublishHandler(func(_ paho.Client, p paho.Message) {
		m := payload.Message{Topic: p.Topic(), QoS: p.Qos(), Retain: p.Retained(), Payload: p.Payload()}
		o := origin{id: p.MessageID(), dup: p.Duplicate()}
		if m.QoS > 0 {
			o.ack = p.Ack
		}
		r.message(&m, o)
	})
	return o
}

// refusesVersion reports whether an error is a broker's way to refuse the version.
func refusesVersion(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadProtocolVersion) || hungUp(err)
}

// refusal311 adds its cause to a broker's refusal.
func refusal311(err error) error {
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return cause.New(cause.MQTTUser, err)
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return cause.New(cause.MQTTID, err)
	}
	return err
}

// waitToken waits for a token until ctx ends.
func waitToken(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *client311) subscribe(ctx context.Context, filters []string, qos byte) error {
	ctx, cancel := c.conn.withAnswerTimeout(ctx, dialTimeout)
	defer cancel()
	wanted := map[string]byte{} // each once
	for _, t := range filters {
		wanted[t] = qos
	}
	c.conn.suback.Store(2 + int64(len(wanted)))
	token := c.client.SubscribeMultiple(wanted, nil)
	if err := waitToken(ctx, token); err != nil {
		return err
	}
	if granted, ok := token.(*paho.SubscribeToken); ok {
		for topic, qos := range granted.Result() {
			if qos >= 0x80 {
				return refusedTopic(fmt.Sprintf("the broker refuses %q", text.Shorten(topic, loggedTopic)))
			}
		}
	}
	return nil
}

func (c *client311) unsubscribe(ctx context.Context, filters []string) error {
	ctx, cancel := c.conn.withAnswerTimeout(ctx, dialTimeout)
	defer cancel()
	return waitToken(ctx, c.client.Unsubscribe(filters...))
}

func (c *client311) resumed() bool { return c.resume }

func (c *client311) barrier(ctx context.Context) error { return c.unsubscribe(ctx, []string{nowhere}) }

func (c *client311) fail(err error) {
	c.once.Do(func() { c.err = err; close(c.gone) })
}

func (c *client311) lost() <-chan struct{} { return c.gone }

func (c *client311) cause() error { return c.err }

// close ends the connection; the broker keeps the session. The library waits that
// many milliseconds for its DISCONNECT to leave.
func (c *client311) close() { c.client.Disconnect(250) }
