// Package plant simulates what stands behind a transmitter: a press line whose
// controllers publish to two brokers, whose devices send syslog, and whose tags an
// OPC UA server shows. It is for the demo and for tests, and refuses to listen
// anywhere but on loopback.
package plant

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/broker"
	"heliograph/firmware/mqtt/server"
)

// tags are what the press line measures: retained, the newest value counts.
var tags = []string{"press/temperature", "press/force", "press/stroke", "oven/temperature", "oven/door", "belt/speed",
	"belt/load", "robot/axis1", "robot/axis2"}

// Broker is a simulated broker with a controller that publishes to it.
type Broker struct {
	Address string // host:port
	server  *server.Server
	ended   chan error
	sent    atomic.Uint64
}

// NewBroker starts a broker on a port of loopback, to which clients may publish too.
func NewBroker() (*Broker, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("plant: starting a broker: %v", err)
	}
	b := &Broker{Address: ln.Addr().String(), ended: make(chan error, 1)}
	b.server = server.New(ln, server.Config{
		Log:    slog.New(slog.DiscardHandler),
		Broker: broker.Config{Writable: true, Share: plantShare, Budget: 2 * plantShare},
	})
	go func() { b.ended <- b.server.Serve() }()
	return b, nil
}

// plantShare is what a session of a simulated broker may hold, in bytes: the
// transmitter may be slow to acknowledge.
const plantShare = 128 << 20

// Sent returns how many messages were published.
func (b *Broker) Sent() uint64 { return b.sent.Load() }

// Close ends the broker.
func (b *Broker) Close() error {
	b.server.Close()
	return <-b.ended
}

// publish sends the next message: every other one is a retained value, the
// others are events with the properties that such events carry.
func (b *Broker) publish(at time.Time) error {
	n := b.sent.Load() + 1
	m := payload.Message{QoS: 1, Retain: Retained(n), Topic: Topic(n),
		Payload: []byte(Message(n, at, tagOf(n), value(n)))}
	if !m.Retain {
		kind := ContentType
		m.ContentType, m.User = &kind, []payload.Property{{Name: "line", Value: "1"}}
	}
	b.server.Publish(&m, 0)
	b.sent.Store(n)
	return nil
}

// ContentType is what events say of themselves.
const ContentType = "application/json"

func tagOf(n uint64) string { return tags[n/2%uint64(len(tags))] }

// Retained reports whether a broker's nth message is a retained value.
func Retained(n uint64) bool { return n%2 == 0 }

// Topic returns the topic of a broker's nth message.
func Topic(n uint64) string {
	if Retained(n) {
		return "plant/line-1/" + tagOf(n)
	}
	return "plant/line-1/events/part"
}

// value swings slowly, as measured values do.
func value(n uint64) float64 { return 50 + 40*math.Sin(float64(n)/40) }

// Devices send syslog lines to one address.
type Devices struct {
	conn net.Conn
	tcp  bool
	sent atomic.Uint64
}

// NewDevices connects to a syslog listener, network being "udp" or "tcp".
func NewDevices(network, address string) (*Devices, error) {
	c, err := net.DialTimeout(network, address, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("plant: %v", err)
	}
	return &Devices{conn: c, tcp: network == "tcp"}, nil
}

// Sent returns how many lines were sent.
func (d *Devices) Sent() uint64 { return d.sent.Load() }

// Close ends the devices.
func (d *Devices) Close() error { return d.conn.Close() }

// timestamp is that of RFC 5424 §6.2.3, which allows six digits of a second.
const timestamp = "2006-01-02T15:04:05.000000Z07:00"

// line sends the next line: RFC 5424 over TCP (RFC 6587 octet counting), RFC
// 3164 over UDP.
func (d *Devices) line(at time.Time) error {
	n := d.sent.Load() + 1
	body := Message(n, at, "plc", value(n))
	text := fmt.Sprintf("<%d>%s plc-%d press: %s", 13+n%3, at.Format(time.Stamp), n%4, body)
	if d.tcp {
		text = fmt.Sprintf("<%d>1 %s plc-%d press - - - %s", 13+n%3, at.UTC().Format(timestamp), n%4, body)
		text = fmt.Sprintf("%d %s", len(text), text)
	}
	if err := d.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return fmt.Errorf("plant: %v", err)
	}
	if _, err := d.conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("plant: sending a line: %v", err)
	}
	d.sent.Store(n)
	return nil
}

// Run has every broker's controller, all devices and all servers send rate times a
// second until ctx ends. The first error ends it.
func Run(parent context.Context, rate float64, brokers []*Broker, devices []*Devices, servers []*Server) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var all sync.WaitGroup
	every := func(send func(time.Time) error) {
		all.Go(func() {
			tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if err := send(time.Now()); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, b := range brokers {
		every(b.publish)
	}
	for _, d := range devices {
		every(d.line)
	}
	for _, s := range servers {
		every(s.change)
	}
	all.Wait()
	if parent.Err() != nil {
		return nil // asked to end: a signal is not a fault
	}
	return context.Cause(ctx)
}
