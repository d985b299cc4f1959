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
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	payload "heliograph/firmware/payload/mqtt"
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
	resume bool
	once   sync.Once
	gone   chan struct{}
	err    error
}

func (s *Source) connect3(ctx context.Context, f *feed, level uint) (connection, error) {
	c := &client3{source: s, gone: make(chan struct{})}
	o := paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(s.cfg.ClientID).SetProtocolVersion(level).
		SetCleanSession(false).SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).SetAutoAckDisabled(true).
		SetKeepAlive(keepAlive).SetPingTimeout(pingPatience).SetConnectTimeout(dialPatience).SetWriteTimeout(dialPatience).
		SetUsername(s.cfg.Username).SetPassword(string(s.cfg.Password))
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		return dial(ctx, s.cfg, limit3(len(c.filters())), &f.traffic, c.fail)
	})
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { c.fail(err) })
	o.SetDefaultPublishHandler(func(_ paho.Client, p paho.Message) {
		m := payload.Message{Topic: p.Topic(), QoS: p.Qos(), Retain: p.Retained(), Payload: p.Payload()}
		o := origin{id: p.MessageID(), dup: p.Duplicate()}
		if m.QoS > 0 {
			o.ack = p.Ack
		}
		f.message(&m, o)
	})
	c.client = paho.NewClient(o)
	token := c.client.Connect()
	if err := finish(ctx, token); err != nil {
		c.client.Disconnect(0)
		if refusesVersion(err) {
			return nil, fmt.Errorf("%w: %v", errVersion, err)
		}
		return nil, err
	}
	if connected, ok := token.(*paho.ConnectToken); ok {
		c.resume = connected.SessionPresent()
	}
	return c, nil
}

func refusesVersion(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadProtocolVersion) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// finish waits for a token, but not for ever.
func finish(ctx context.Context, t paho.Token) error {
	timer := time.NewTimer(2 * dialPatience)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errAnswer
	}
}

// filters are the topics, each once.
func (c *client3) filters() map[string]byte {
	filters := map[string]byte{}
	for _, t := range c.source.cfg.Topics {
		filters[t] = 2
	}
	return filters
}

func (c *client3) subscribe(ctx context.Context) error {
	token := c.client.SubscribeMultiple(c.filters(), nil)
	if err := finish(ctx, token); err != nil {
		return err
	}
	if granted, ok := token.(*paho.SubscribeToken); ok {
		for topic, qos := range granted.Result() {
			if qos >= 0x80 {
				return fmt.Errorf("the broker refuses %q", topic)
			}
		}
	}
	return nil
}

func (c *client3) resumed() bool { return c.resume }

func (c *client3) barrier(ctx context.Context) error {
	return finish(ctx, c.client.Unsubscribe(nowhere))
}

func (c *client3) fail(err error) {
	c.once.Do(func() { c.err = err; close(c.gone) })
}

func (c *client3) lost() <-chan struct{} { return c.gone }

func (c *client3) cause() error { return c.err }

// close ends the connection; the broker keeps the session. The library takes
// the time, in milliseconds, to say so.
func (c *client3) close() { c.client.Disconnect(250) }
