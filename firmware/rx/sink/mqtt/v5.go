package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	pahologger "github.com/eclipse/paho.golang/paho/log"
	pahosession "github.com/eclipse/paho.golang/paho/session"

	payload "heliograph/firmware/payload/mqtt"
)

// conn5 is a connection over MQTT 5. Connecting, keeping alive and reading is
// the library's; packets go out many at a time, and their acknowledgements
// come back through outbox.
type conn5 struct {
	client *paho.Client
	wire   *wire
	box    *outbox
	lim    limits
	max    int
	will   will
	buf    bytes.Buffer

	mu     sync.Mutex
	cause  error
	failed chan struct{} // closed once there is a cause
}

func (d *dialer) connect5(ctx context.Context, will will) (connection, error) {
	w, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn5{wire: w, box: newOutbox(), will: will, failed: make(chan struct{})}
	c.client = paho.NewClient(paho.ClientConfig{
		Conn: w, Session: c.box, PacketTimeout: dialTime, AuthHandler: stepless{},
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){func(paho.PublishReceived) (bool, error) { return true, nil }},
		OnClientError:      c.fail,
		OnServerDisconnect: func(p *paho.Disconnect) { c.fail(disconnected(p)) },
	})
	cfg := d.sink.cfg
	receive := uint16(16) // nothing is subscribed
	connack, err := c.client.Connect(ctx, &paho.Connect{
		ClientID: cfg.ClientID, KeepAlive: uint16(keepAlive / time.Second), CleanStart: true,
		Username: cfg.Username, UsernameFlag: cfg.Username != "", Password: cfg.Password, PasswordFlag: len(cfg.Password) > 0,
		Properties:  &paho.ConnectProperties{ReceiveMaximum: &receive, RequestProblemInfo: true},
		WillMessage: &paho.WillMessage{Topic: d.sink.willTopic(), Payload: []byte(offline), QoS: will.qos, Retain: will.retain},
	})
	if err != nil {
		w.Close()
		return nil, d.refusal5(w, connack, err)
	}
	if p := connack.Properties; p != nil && p.AuthMethod != "" {
		w.Close()
		return nil, errAuthentication
	}
	c.lim = limits{qos: 2, retain: true, properties: true}
	c.max = window
	if p := connack.Properties; p != nil {
		c.lim.retain = p.RetainAvailable
		if p.MaximumQoS != nil {
			c.lim.qos = *p.MaximumQoS
		}
		if p.MaximumPacketSize != nil {
			c.lim.bytes = int(min(*p.MaximumPacketSize, math.MaxInt32))
		}
		if p.ReceiveMaximum != nil {
			c.max = min(c.max, int(*p.ReceiveMaximum))
		}
	}
	return c, nil
}

// refusal5 says why a CONNECT was not accepted.
func (d *dialer) refusal5(w *wire, connack *paho.Connack, err error) error {
	switch {
	case w.refusesVersion():
		return errVersion
	case connack == nil && w.bad == nil && len(w.heard) == 0 && hungUp(err):
		return errHungUp
	case connack == nil:
		return err
	case connack.ReasonCode == packets.ConnackRetainNotSupported:
		return errRetain
	case connack.ReasonCode == packets.ConnackQoSNotSupported:
		return errQoS
	}
	return fmt.Errorf("refused: reason 0x%02x %s", connack.ReasonCode, inWords(connack.ReasonCode))
}

// inWords words the codes that an operator can do something about.
func inWords(code byte) string {
	switch code {
	case packets.ConnackBadUsernameOrPassword, packets.ConnackNotAuthorized:
		return "(not authorised: check username and password_file)"
	case packets.ConnackInvalidClientID:
		return "(client_id not accepted)"
	case packets.ConnackUnsupportedProtocolVersion:
		return "(protocol version not supported)"
	}
	return ""
}

func disconnected(p *paho.Disconnect) error {
	text := ""
	if p.Properties != nil {
		text = " " + p.Properties.ReasonString
	}
	return fmt.Errorf("the broker disconnected: reason 0x%02x%s", p.ReasonCode, text)
}

func (c *conn5) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = err
		close(c.failed)
	}
}

// err waits a moment for the cause: the library tells it after the end.
func (c *conn5) err() error {
	select {
	case <-c.client.Done():
		select {
		case <-c.failed:
		case <-time.After(time.Second):
		}
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *conn5) note() string          { return c.will.words(c.lim) }
func (c *conn5) limits() limits        { return c.lim }
func (c *conn5) filled()               {}
func (c *conn5) lost() <-chan struct{} { return c.client.Done() }
func (c *conn5) room() int             { return c.max - c.box.open() }

func (c *conn5) send(m *payload.Message, expiry uint32) error {
	pb := &packets.Publish{QoS: m.QoS, Retain: m.Retain, Topic: m.Topic, Payload: m.Payload}
	pb.Properties = &packets.Properties{
		PayloadFormat: m.PayloadFormat, ResponseTopic: m.ResponseTopic, CorrelationData: m.CorrelationData,
	}
	if m.Expires {
		pb.Properties.MessageExpiry = &expiry
	}
	if m.ContentType != nil {
		pb.Properties.ContentType = *m.ContentType
	}
	for _, u := range m.User {
		pb.Properties.User = append(pb.Properties.User, packets.User{Key: u.Name, Value: u.Value})
	}
	pb.PacketID = c.box.push(m.QoS)
	if _, err := pb.WriteTo(&c.buf); err != nil {
		return err
	}
	if c.buf.Len() >= writeBytes {
		return c.flush()
	}
	return nil
}

func (c *conn5) flush() error {
	if c.buf.Len() == 0 {
		return nil
	}
	c.wire.Lock()
	_, err := c.wire.Write(c.buf.Bytes())
	c.wire.Unlock()
	c.buf.Reset()
	if err != nil {
		c.fail(err)
	}
	return err
}

func (c *conn5) settled(wait time.Duration) ([]verdict, error) { return c.box.settled(wait), nil }

func (c *conn5) close(polite bool) {
	if polite {
		_ = c.client.Disconnect(&paho.Disconnect{ReasonCode: packets.DisconnectDisconnectWithWillMessage})
		return
	}
	c.wire.Close()
	<-c.client.Done()
}

// outbox is the library's session, reduced to messages that are on their way
// out, in order: nothing outlives a connection.
type outbox struct {
	wake chan struct{}

	mu    sync.Mutex
	conn  io.Writer
	sent  []*outgoing
	byID  map[uint16]*outgoing
	last  uint16
	spare []verdict
}

type outgoing struct {
	id      uint16 // 0: QoS 0
	done    bool
	verdict verdict
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), byID: map[uint16]*outgoing{}}
}

// push notes a message and returns its packet identifier.
func (o *outbox) push(qos byte) uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if qos == 0 {
		o.sent = append(o.sent, &outgoing{done: true})
		return 0
	}
	for {
		o.last++
		if o.last != 0 && o.byID[o.last] == nil {
			break
		}
	}
	out := &outgoing{id: o.last}
	o.byID[out.id] = out
	o.sent = append(o.sent, out)
	return out.id
}

func (o *outbox) open() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID)
}

func (o *outbox) settled(wait time.Duration) []verdict {
	got := o.take()
	if len(got) > 0 || wait == 0 {
		return got
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-o.wake:
	case <-t.C:
	}
	return o.take()
}

func (o *outbox) take() []verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = o.spare[:0]
	for len(o.sent) > len(o.spare) && o.sent[len(o.spare)].done {
		o.spare = append(o.spare, o.sent[len(o.spare)].verdict)
	}
	o.sent = append(o.sent[:0], o.sent[len(o.spare):]...)
	return o.spare
}

// end closes the exchange of a message.
func (o *outbox) end(id uint16, v verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if out := o.byID[id]; out != nil {
		out.done, out.verdict = true, v
		delete(o.byID, id)
		if len(o.sent) > 0 && o.sent[0].done {
			signal(o.wake)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var errSubscribes = errors.New("mqtt: nothing is subscribed here")

// ConAckReceived implements the library's session.
func (o *outbox) ConAckReceived(w io.Writer, _ *packets.Connect, _ *packets.Connack) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conn = w
	return nil
}

// ConnectionLost implements the library's session.
func (o *outbox) ConnectionLost(*packets.Disconnect) error { signal(o.wake); return nil }

// AddToSession implements the library's session.
func (o *outbox) AddToSession(context.Context, pahosession.Packet, chan<- packets.ControlPacket) error {
	return errSubscribes
}

// PacketReceived implements the library's session.
func (o *outbox) PacketReceived(p *packets.ControlPacket, _ chan<- *packets.Publish) error {
	switch c := p.Content.(type) {
	case *packets.Puback:
		o.end(c.PacketID, refused(c.ReasonCode, c.Reason()))
	case *packets.Pubrec:
		if c.ReasonCode >= 0x80 {
			o.end(c.PacketID, refused(c.ReasonCode, c.Reason()))
			return nil
		}
		_, err := (&packets.Pubrel{PacketID: c.PacketID}).WriteTo(o.conn)
		return err
	case *packets.Pubcomp:
		o.end(c.PacketID, nil)
	}
	return nil
}

// Ack implements the library's session.
func (o *outbox) Ack(*packets.Publish) error { return nil }

// Close implements the library's session.
func (o *outbox) Close() error { return nil }

// SetErrorLogger implements the library's session.
func (o *outbox) SetErrorLogger(pahologger.Logger) {}

// SetDebugLogger implements the library's session.
func (o *outbox) SetDebugLogger(pahologger.Logger) {}
