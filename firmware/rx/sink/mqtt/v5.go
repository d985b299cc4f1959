package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/cause"
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
	w, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn5{wire: w, box: newOutbox(), will: will, failed: make(chan struct{})}
	pinger := paho.NewDefaultPinger()
	w.progressed = pinger.PingResp // a PINGREQ waits for a long message to be written
	c.client = paho.NewClient(paho.ClientConfig{
		Conn: w, Session: c.box, PacketTimeout: dialTime, AuthHandler: stepless{}, PingHandler: pinger,
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){ignore},
		OnClientError:      c.fail,
		OnServerDisconnect: func(p *paho.Disconnect) { c.fail(disconnected(p)) },
	})
	connack, err := c.client.Connect(ctx, d.connectPacket(will))
	if err != nil {
		w.Close()
		return nil, d.refusal5(w, connack, err)
	}
	if p := connack.Properties; p != nil && p.AuthMethod != "" {
		w.Close()
		return nil, errAuthentication
	}
	c.setLimits(connack.Properties)
	return c, nil
}

// ignore is for messages, of which none comes: nothing is subscribed.
func ignore(paho.PublishReceived) (bool, error) { return true, nil }

// connectPacket returns the CONNECT.
func (d *dialer) connectPacket(will will) *paho.Connect {
	cfg := d.sink.cfg
	receive := uint16(16) // nothing is subscribed
	packet := &paho.Connect{
		ClientID: cfg.ClientID, KeepAlive: uint16(keepAlive / time.Second), CleanStart: true,
		Username: cfg.Username, UsernameFlag: cfg.Username != "", Password: cfg.Password,
		PasswordFlag: len(cfg.Password) > 0,
		Properties:   &paho.ConnectProperties{ReceiveMaximum: &receive, RequestProblemInfo: true},
	}
	if topic := d.sink.willTopic(); topic != "" {
		packet.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte(offline), QoS: will.qos,
			Retain: will.retain}
	}
	return packet
}

// setLimits notes what the broker takes by its CONNACK.
func (c *conn5) setLimits(p *paho.ConnackProperties) {
	c.lim = limits{qos: 2, retain: true, properties: true}
	c.max = window
	if p == nil {
		return
	}
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

// errAuthentication is returned for a broker that asks for enhanced authentication.
var errAuthentication = errors.New("the broker wants enhanced authentication, which is not supported; " +
	"use username and password, or a certificate")

// stepless is there because paho calls its handler, nil or not, when a CONNACK
// names an authentication method (MQTT 5.0 §4.12).
type stepless struct{}

func (stepless) Authenticate(*paho.Auth) *paho.Auth { return &paho.Auth{} }
func (stepless) Authenticated()                     {}

// refusal5 returns why a CONNECT was not accepted.
func (d *dialer) refusal5(w *wire, connack *paho.Connack, err error) error {
	switch {
	case w.refusesVersion():
		return errVersion
	case connack == nil && w.bad == nil && len(w.connack) == 0 && hungUp(err):
		return errHungUp
	case connack == nil:
		return err
	case connack.ReasonCode == packets.ConnackRetainNotSupported:
		return errRetain
	case connack.ReasonCode == packets.ConnackQoSNotSupported:
		return errQoS
	}
	return cause.New(refusedBecause(connack.ReasonCode),
		fmt.Errorf("refused: reason 0x%02x %s", connack.ReasonCode, inWords(connack.ReasonCode)))
}

// refusedBecause returns the cause of a code that a broker refuses a CONNECT with.
func refusedBecause(code byte) cause.Code {
	switch code {
	case packets.ConnackBadUsernameOrPassword, packets.ConnackNotAuthorized, packets.ConnackBadAuthenticationMethod:
		return cause.MQTTUser
	case packets.ConnackInvalidClientID:
		return cause.MQTTID
	case packets.ConnackUnsupportedProtocolVersion:
		return cause.MQTTVersion
	}
	return ""
}

// inWords explains the codes that an operator can do something about.
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
	return fmt.Errorf("%w: reason 0x%02x%s", errDisconnected, p.ReasonCode, text)
}

func (c *conn5) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = err
		close(c.failed)
	}
}

// err waits a moment for the cause, which the library reports after the end.
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

func (c *conn5) note() string          { return c.will.describe(c.lim) }
func (c *conn5) limits() limits        { return c.lim }
func (c *conn5) snapshotSent()         {}
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
	pb.PacketID = c.box.add(m.QoS)
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
	switch {
	case errors.Is(err, net.ErrClosed):
		<-c.client.Done() // the library closed it, and reports why
	case err != nil:
		c.fail(err)
	}
	return err
}

func (c *conn5) settled(wait time.Duration) ([]verdict, error) { return c.box.settled(wait), nil }

func (c *conn5) close(clean bool) {
	if clean {
		_ = c.client.Disconnect(&paho.Disconnect{ReasonCode: packets.DisconnectDisconnectWithWillMessage})
		return
	}
	c.wire.Close()
	<-c.client.Done()
}
