package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// Protocol levels of CONNECT (MQTT 3.1.1 §3.1.2.2). The high bit is mosquitto's
// way to say that a bridge connects, to which retain flags are passed on.
const (
	plainLevel  = 4
	bridgeLevel = 0x84
)

// client3 is a connection in MQTT 3.1.1.
type client3 struct {
	source *Source
	client paho.Client
	guard  *guard
	resume bool
	once   sync.Once
	gone   chan struct{}
	err    error
}

func (s *Source) connect3(ctx context.Context, r role, level uint) (connection, error) {
	c := &client3{source: s, gone: make(chan struct{})}
	o := paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(r.id).SetProtocolVersion(level).
		SetCleanSession(r.clean).SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).SetAutoAckDisabled(true).
		SetKeepAlive(keepAlive).SetPingTimeout(never).SetConnectTimeout(dialPatience).SetWriteTimeout(dialPatience).
		SetUsername(s.cfg.Username).SetPassword(string(s.cfg.Password))
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		g, err := dial(ctx, s.cfg, limit3(), r.traffic, c.fail)
		if err != nil {
			return nil, err
		}
		g.skim = r.skim
		c.guard = g
		return g, nil
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
	c.client = paho.NewClient(o)
	token := c.client.Connect()
	connecting, cancel := context.WithTimeoutCause(ctx, 2*dialPatience, errAnswer)
	defer cancel()
	if err := finish(connecting, token); err != nil {
		c.client.Disconnect(0)
		if refusesVersion(err) {
			return nil, fmt.Errorf("%w: %v", errVersion, err)
		}
		return nil, err
	}
	if connected, ok := token.(*paho.ConnectToken); ok {
		c.resume = connected.SessionPresent()
	}
	go c.guard.ping(c.guard)
	return c, nil
}

func refusesVersion(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadProtocolVersion) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// finish waits for a token, but not for ever.
func finish(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *client3) subscribe(ctx context.Context, filters []string, qos byte) error {
	ctx, cancel := c.guard.patience(ctx, dialPatience)
	defer cancel()
	wanted := map[string]byte{} // each once
	for _, t := range filters {
		wanted[t] = qos
	}
	c.guard.suback.Store(2 + int64(len(wanted)))
	token := c.client.SubscribeMultiple(wanted, nil)
	if err := finish(ctx, token); err != nil {
		return err
	}
	if granted, ok := token.(*paho.SubscribeToken); ok {
		for topic, qos := range granted.Result() {
			if qos >= 0x80 {
				return fmt.Errorf("the broker refuses %q", clip(topic))
			}
		}
	}
	return nil
}

func (c *client3) unsubscribe(ctx context.Context, filters []string) error {
	ctx, cancel := c.guard.patience(ctx, dialPatience)
	defer cancel()
	return finish(ctx, c.client.Unsubscribe(filters...))
}

func (c *client3) resumed() bool { return c.resume }

func (c *client3) barrier(ctx context.Context) error { return c.unsubscribe(ctx, []string{nowhere}) }

func (c *client3) fail(err error) {
	c.once.Do(func() { c.err = err; close(c.gone) })
}

func (c *client3) lost() <-chan struct{} { return c.gone }

func (c *client3) cause() error { return c.err }

// close ends the connection; the broker keeps the session. The library takes
// the time, in milliseconds, to say so.
func (c *client3) close() { c.client.Disconnect(250) }
