package mqtt

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
	packets3 "github.com/eclipse/paho.mqtt.golang/packets"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/cause"
)

// window311 bounds the messages of QoS 2 in flight; mosquitto takes 20.
const window311 = 16

// conn311 is a connection over MQTT 3.1.1.
type conn311 struct {
	client paho3.Client
	wire   *wire
	gone   chan struct{}
	will   will
	topic  string // of the will; "": there is none
	sent   []sent311
	open   [3]int // of them by QoS
	handed uint64 // messages that the library was handed, which writes each by itself

	mu    sync.Mutex
	cause error
	once  sync.Once
}

// sent311 is a message that was sent and whose exchange is open.
type sent311 struct {
	token paho3.Token
	qos   byte
}

func (d *dialer) connect311(ctx context.Context, will will) (connection, error) {
	c := &conn311{gone: make(chan struct{}), will: will, topic: d.sink.willTopic()}
	cfg := d.sink.cfg
	o := paho3.NewClientOptions().AddBroker("tcp://" + d.address).SetProtocolVersion(4).SetClientID(cfg.ClientID).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(keepAlive).SetPingTimeout(
		dialTime).
		SetConnectTimeout(dialTime).SetWriteTimeout(writeTime).SetMessageChannelDepth(0).
		SetCustomOpenConnectionFn(func(*url.URL, paho3.ClientOptions) (net.Conn, error) {
			w, err := d.dial(ctx)
			if err != nil {
				return nil, err
			}
			c.wire = w
			return w, nil
		}).
		SetConnectionLostHandler(func(_ paho3.Client, err error) { c.fail(err) })
	if c.topic != "" {
		o.SetBinaryWill(c.topic, []byte(offline), will.qos, will.retain)
	}
	if cfg.Username != "" {
		o.SetUsername(cfg.Username).SetPassword(string(cfg.Password))
	}
	c.client = paho3.NewClient(o)
	token := c.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		c.client.Disconnect(0)
		return nil, ctx.Err()
	}
	if err := token.Error(); err != nil {
		c.client.Disconnect(0)
		if hungUp(err) {
			return nil, errHungUp
		}
		return nil, refusal311(err)
	}
	return c, nil
}

// refusal311 adds its cause to a broker's refusal.
func refusal311(err error) error {
	switch {
	case errors.Is(err, packets3.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets3.ErrorRefusedNotAuthorised):
		return cause.New(cause.MQTTUser, err)
	case errors.Is(err, packets3.ErrorRefusedIDRejected):
		return cause.New(cause.MQTTID, err)
	case errors.Is(err, packets3.ErrorRefusedBadProtocolVersion):
		return cause.New(cause.MQTTVersion, err)
	}
	return err
}

func (c *conn311) fail(err error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = err
	}
	c.mu.Unlock()
	c.once.Do(func() { close(c.gone) })
}

// err waits a moment for the cause, which the library reports after the end.
func (c *conn311) err() error {
	if !c.client.IsConnectionOpen() {
		select {
		case <-c.gone:
		case <-time.After(time.Second):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *conn311) note() string          { return c.will.describe(c.limits()) }
func (c *conn311) limits() limits        { return limits{qos: 2, retain: c.will.retain} }
func (c *conn311) snapshotSent()         {}
func (c *conn311) lost() <-chan struct{} { return c.gone }

// room: 3.1.1 has no Receive Maximum, and brokers lose what exceeds their own.
func (c *conn311) room() int { return min(window-c.open[1], window311-c.open[2]) }

// flush waits until what was sent is written: the library gives up what it cannot take from its
// caller within writeTime, however much is written meanwhile.
func (c *conn311) flush() error {
	for c.wire.published.Load() < c.handed {
		select {
		case <-c.wire.wrote:
		case <-c.gone:
			return c.err()
		}
	}
	return nil
}

func (c *conn311) send(m *payload.Message, _ uint32) error {
	if err := c.flush(); err != nil {
		return err
	}
	select {
	case t := <-c.hand(m.Topic, m.QoS, m.Retain, m.Payload):
		c.sent = append(c.sent, sent311{t, m.QoS})
	case <-c.gone:
		return c.err()
	}
	c.handed++
	c.open[m.QoS]++
	return nil
}

// hand hands a message to the library, which returns late when the connection breaks meanwhile.
func (c *conn311) hand(topic string, qos byte, retain bool, body []byte) <-chan paho3.Token {
	handed := make(chan paho3.Token, 1)
	go func() { handed <- c.client.Publish(topic, qos, retain, body) }()
	return handed
}

var errClosed = errors.New("the connection was closed")

func (c *conn311) settled(wait time.Duration) ([]verdict, error) {
	if len(c.sent) == 0 {
		return nil, nil
	}
	if wait > 0 {
		c.sent[0].token.WaitTimeout(wait)
	}
	var got []verdict
	for _, s := range c.sent {
		select {
		case <-s.token.Done():
		default:
			return c.shift(got), nil
		}
		if err := s.token.Error(); err != nil {
			return c.shift(got), err
		}
		if s.qos > 0 && !c.client.IsConnectionOpen() {
			return c.shift(got), errClosed // tokens end without an error, too, when the connection does
		}
		got = append(got, nil)
	}
	return c.shift(got), nil
}

// shift removes the oldest messages, on which got has the verdicts.
func (c *conn311) shift(got []verdict) []verdict {
	for _, s := range c.sent[:len(got)] {
		c.open[s.qos]--
	}
	c.sent = append(c.sent[:0], c.sent[len(got):]...)
	return got
}

func (c *conn311) close(clean bool) {
	if clean && c.topic != "" { // a broker discards the will at a DISCONNECT (3.1.1 §3.14.4)
		select {
		case t := <-c.hand(c.topic, c.will.qos, c.will.retain, []byte(offline)):
			t.WaitTimeout(time.Second)
		case <-c.gone:
		case <-time.After(time.Second):
		}
	}
	c.client.Disconnect(100)
}
