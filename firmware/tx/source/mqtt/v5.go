package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/log"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/text"
)

// session5 keeps what MQTT 5 remembers between connections: which QoS 2
// messages were received.
type session5 struct{ state *state.State }

func newSession5() *session5 { return &session5{state: state.NewInMemory()} }

func (s *session5) close() { _ = s.state.Close() }

// client5 is a connection in MQTT 5.
type client5 struct {
	client *paho.Client
	conn   *brokerConn
	role   role
	resume bool
	once   sync.Once
	gone   chan struct{}
	err    error
}

// ackEvery is how often the library sends acknowledgements that are due.
const ackEvery = 5 * time.Millisecond

// reasonVersion is Unsupported Protocol Version (MQTT 5.0 §3.2.2.2).
const reasonVersion = 0x84

func (s *Source) connect5(ctx context.Context, r role) (connection, error) {
	c := &client5{role: r, gone: make(chan struct{})}
	conn, err := s.dial(ctx, limits5(), r, c.fail)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	conn.unread.bound()
	locked := packets.NewThreadSafeConn(conn)
	c.client = paho.NewClient(c.library(locked, s.session))
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	answer, err := c.client.Connect(ctx, s.connectPacket(r))
	if refusal := refusal5(answer, err); refusal != nil {
		if err == nil { // the library takes the answer for success
			c.close()
		}
		return nil, refusal
	}
	c.resume = answer.SessionPresent
	go conn.ping(locked)
	return c, nil
}

// library returns how the library reads and writes conn and hands over what comes.
func (c *client5) library(conn net.Conn, kept *session5) paho.ClientConfig {
	var session session.SessionManager
	if !c.role.clean {
		session = kept.state
	}
	return paho.ClientConfig{
		Conn: conn, Session: session, PingHandler: silent{}, AuthHandler: stepless{},
		EnableManualAcknowledgment: true, SendAcksInterval: ackEvery, PacketTimeout: never,
		OnClientError: c.fail,
		OnServerDisconnect: func(d *paho.Disconnect) {
			c.fail(fmt.Errorf("the broker disconnected with reason %#x", d.ReasonCode))
		},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.received},
	}
}

// received hands a message over.
func (c *client5) received(p paho.PublishReceived) (bool, error) {
	defer c.conn.unread.handedOver(p.Packet.QoS, p.Packet.Duplicate())
	m := message5(p.Packet)
	o := origin{id: p.Packet.PacketID, dup: p.Packet.Duplicate()}
	if m.QoS > 0 {
		o.ack = func() { _ = c.client.Ack(p.Packet) } // of a lost connection: the broker sends it again
	}
	c.role.message(&m, o)
	return true, nil
}

// hungUp reports whether a broker closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// code311Version is the return code of MQTT 3.1.1 for an unacceptable protocol
// version (§3.2.2.3).
const code311Version = 1

// refusedBecause returns the cause of a code that a broker refuses a CONNECT with (MQTT 5.0
// §3.2.2.2, and the codes 2, 4 and 5 of MQTT 3.1.1 §3.2.2.3).
func refusedBecause(code byte) cause.Code {
	switch code {
	case packets.ConnackBadUsernameOrPassword, packets.ConnackNotAuthorized, packets.ConnackBadAuthenticationMethod,
		4, 5:
		return cause.MQTTUser
	case packets.ConnackInvalidClientID, 2:
		return cause.MQTTID
	}
	return ""
}

// refusal5 returns why a CONNECT was not accepted, nil when it was.
func refusal5(answer *paho.Connack, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errAnswer
	case err == nil && answer.Properties != nil && answer.Properties.AuthMethod != "":
		return errAuthentication
	case err == nil && answer.ReasonCode == 0:
		return nil
	case err == nil && answer.ReasonCode != code311Version: // an answer of MQTT 3.1.1
		return cause.New(refusedBecause(answer.ReasonCode),
			fmt.Errorf("the broker refuses the connection with code %d", answer.ReasonCode))
	case err == nil:
		return fmt.Errorf("%w: it does not answer as MQTT 5 does", errVersion)
	case answer != nil && (answer.ReasonCode == reasonVersion || answer.ReasonCode == code311Version),
		answer == nil && hungUp(err):
		return fmt.Errorf("%w: %v", errVersion, err)
	case answer != nil:
		return cause.New(refusedBecause(answer.ReasonCode),
			fmt.Errorf("the broker refuses the connection with reason %#x: %v", answer.ReasonCode, err))
	}
	return err
}

func (s *Source) connectPacket(r role) *paho.Connect {
	expiry, most, size := uint32(sessionExpiry.Seconds()), r.window, uint32(maxPacket)
	if r.clean {
		expiry = 0
	}
	return &paho.Connect{
		ClientID: r.id, KeepAlive: uint16(keepAlive.Seconds()), CleanStart: r.clean,
		Username: s.cfg.Username, UsernameFlag: s.cfg.Username != "",
		Password: s.cfg.Password, PasswordFlag: len(s.cfg.Password) > 0,
		Properties: &paho.ConnectProperties{
			SessionExpiryInterval: &expiry, ReceiveMaximum: &most, MaximumPacketSize: &size, RequestProblemInfo: true,
		},
	}
}

// retainNone is the Retain Handling of a subscription that brings no retained
// messages (MQTT 5.0 §3.8.3.1): the session's does not, the reader asks for them.
const retainNone = 2

func (c *client5) subscribe(ctx context.Context, filters []string, qos byte) error {
	ctx, cancel := c.conn.withAnswerTimeout(ctx, dialTimeout)
	defer cancel()
	options := make([]paho.SubscribeOptions, len(filters))
	for i, t := range filters {
		options[i] = paho.SubscribeOptions{Topic: t, QoS: qos}
		if !c.role.clean || c.role.probe {
			options[i].RetainAsPublished, options[i].RetainHandling = true, retainNone
		}
	}
	answer, err := c.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: options})
	if answer != nil {
		if len(answer.Reasons) != len(options) {
			return fmt.Errorf("the broker answers for %d topics, not for the %d that were asked for",
				len(answer.Reasons), len(options))
		}
		for i, reason := range answer.Reasons {
			if reason >= 0x80 {
				return refusedTopic(fmt.Sprintf("the broker refuses %q with reason %#x",
					text.Shorten(filters[i], loggedTopic), reason))
			}
		}
	}
	return causeOf(ctx, err)
}

// refusedTopic is a subscription that the broker does not grant.
func refusedTopic(words string) error {
	return cause.With(cause.Cause{Code: cause.MQTTAccess, Detail: words}, errors.New(words))
}

func (c *client5) resumed() bool { return c.resume }

func (c *client5) barrier(ctx context.Context) error { return c.unsubscribe(ctx, []string{nowhere}) }

func (c *client5) unsubscribe(ctx context.Context, filters []string) error {
	ctx, cancel := c.conn.withAnswerTimeout(ctx, dialTimeout)
	defer cancel()
	answer, err := c.client.Unsubscribe(ctx, &paho.Unsubscribe{Topics: filters})
	if answer != nil {
		return nil // its codes do not matter
	}
	return causeOf(ctx, err)
}

var errAuthentication = errors.New("the broker wants enhanced authentication, which is not supported; " +
	"use username and password, or a certificate")

// stepless keeps the library from calling a handler that is not there when a
// broker answers as if it had been asked for enhanced authentication
// (MQTT 5.0 §4.12). brokerConn lets no AUTH through.
type stepless struct{}

func (stepless) Authenticate(*paho.Auth) *paho.Auth { return &paho.Auth{} }
func (stepless) Authenticated()                     {}

// silent keeps the library from sending pings and waiting for their answers:
// brokerConn does both.
type silent struct{}

func (silent) Run(ctx context.Context, _ net.Conn, _ uint16) error { <-ctx.Done(); return nil }
func (silent) PacketSent()                                         {}
func (silent) PacketReceived()                                     {}
func (silent) PingResp()                                           {}
func (silent) SetDebug(log.Logger)                                 {}

func (c *client5) fail(err error) {
	c.once.Do(func() { c.err = err; close(c.gone) })
}

func (c *client5) lost() <-chan struct{} { return c.gone }

func (c *client5) cause() error { return c.err }

// close ends the connection, and waits for its handlers. The broker keeps the
// session, without what the library has yet to acknowledge.
func (c *client5) close() {
	select {
	case <-c.gone:
	case <-time.After(4 * ackEvery):
	}
	_ = c.client.Disconnect(&paho.Disconnect{})
	<-c.client.Done()
}

// message5 takes a message with all its properties.
func message5(p *paho.Publish) payload.Message {
	m := payload.Message{Topic: p.Topic, QoS: p.QoS, Retain: p.Retain, Payload: p.Payload}
	props := p.Properties
	if props == nil {
		return m
	}
	m.PayloadFormat, m.ResponseTopic, m.CorrelationData = props.PayloadFormat, props.ResponseTopic,
		props.CorrelationData
	if props.ContentType != "" {
		m.ContentType = &props.ContentType
	}
	if props.MessageExpiry != nil {
		m.Expires, m.Expiry, m.Received = true, *props.MessageExpiry, time.Now()
	}
	for _, u := range props.User {
		m.User = append(m.User, payload.Property{Name: u.Key, Value: u.Value})
	}
	return m
}
