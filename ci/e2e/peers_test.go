package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"heliograph/ci/await"
)

// message is what the tests compare of an MQTT message.
type message struct {
	topic, payload string
	qos            byte
	retain         bool
}

// inbox collects messages in the order they come.
type inbox struct {
	mu  sync.Mutex
	got []message
}

func (b *inbox) add(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m)
}

func (b *inbox) all() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// topics returns how many topics have had a message.
func (b *inbox) topics() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := map[string]bool{}
	for _, m := range b.got {
		known[m.topic] = true
	}
	return len(known)
}

// client5 is an MQTT 5 client of a broker, reconnecting by itself. Its keep-alive is so
// long that a busy machine keeps to it.
func client5(t *testing.T, port int, id string, filter string, in *inbox) *autopaho.ConnectionManager {
	t.Helper()
	if in == nil {
		return subscriber5(t, port, id, filter, nil)
	}
	return subscriber5(t, port, id, filter, func(p *paho.Publish) {
		in.add(message{p.Topic, string(p.Payload), p.QoS, p.Retain})
	})
}

// subscriber5 is client5 with a function that takes what arrives; nil does not subscribe.
func subscriber5(t *testing.T, port int, id, filter string, take func(*paho.Publish)) *autopaho.ConnectionManager {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c := autopaho.ClientConfig{
		ServerUrls: []*url.URL{{Scheme: "mqtt", Host: fmt.Sprintf("127.0.0.1:%d", port)}},
		KeepAlive:  300, ReconnectBackoff: autopaho.NewConstantBackoff(200 * time.Millisecond),
		CleanStartOnInitialConnection: true,
		SessionExpiryInterval:         3600,
		ClientConfig:                  paho.ClientConfig{ClientID: id},
	}
	subscribed := make(chan struct{}, 16)
	if take != nil {
		c.OnConnectionUp = func(m *autopaho.ConnectionManager, _ *paho.Connack) {
			if _, err := m.Subscribe(ctx, &paho.Subscribe{
				Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 2, RetainAsPublished: true}}}); err == nil {
				subscribed <- struct{}{}
			}
		}
		c.OnPublishReceived = []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			take(p.Packet)
			return true, nil
		}}
	} else {
		subscribed <- struct{}{}
	}
	m, err := autopaho.NewConnection(ctx, c)
	if err == nil {
		err = m.AwaitConnection(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	await.Receive(t, "a subscription", subscribed)
	return m
}

func publish5(t *testing.T, m *autopaho.ConnectionManager, msg message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Bound)
	defer cancel()
	if _, err := m.Publish(ctx, &paho.Publish{Topic: msg.topic, Payload: []byte(msg.payload), QoS: msg.qos,
		Retain: msg.retain}); err != nil {
		t.Fatal(err)
	}
}

// client3 is an MQTT 3.1.1 client of a broker.
func client3(t *testing.T, port int, id string, filter string, in *inbox) paho3.Client {
	t.Helper()
	o := paho3.NewClientOptions().AddBroker(fmt.Sprintf("tcp://127.0.0.1:%d",
		port)).SetClientID(id).SetProtocolVersion(4)
	c := paho3.NewClient(o)
	wait3(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	if in != nil {
		wait3(t, c.Subscribe(filter, 2, func(_ paho3.Client, m paho3.Message) {
			in.add(message{m.Topic(), string(m.Payload()), m.Qos(), m.Retained()})
		}))
	}
	return c
}

func wait3(t *testing.T, token paho3.Token) {
	t.Helper()
	if !token.WaitTimeout(await.Bound) || token.Error() != nil {
		t.Fatalf("MQTT 3.1.1 client: %v", token.Error())
	}
}

// collector is a syslog collector that takes octet-counted lines over TCP (RFC 6587).
type collector struct {
	port  int
	mu    sync.Mutex
	lines []string
}

// newCollector listens on a port of loopback until the test ends.
func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{port: await.FreePort(t)}
	if err := c.listen(t); err != nil {
		t.Fatal(err)
	}
	return c
}

// listen listens in the network namespace of the calling thread.
func (c *collector) listen(t *testing.T) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return nil
}

func (c *collector) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var n int
		if _, err := fmt.Fscanf(r, "%d ", &n); err != nil || n > 1<<20 {
			return
		}
		line := make([]byte, n)
		if _, err := io.ReadFull(r, line); err != nil {
			return
		}
		c.mu.Lock()
		c.lines = append(c.lines, string(line))
		c.mu.Unlock()
	}
}

func (c *collector) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lines)
}

// has waits until n lines have come.
func (c *collector) has(t *testing.T, n int) {
	t.Helper()
	await.NoError(t, "lines at the collector", func() error {
		if got := c.count(); got < n {
			return fmt.Errorf("got %d of %d", got, n)
		}
		return nil
	})
}

// sameInOrder compares what arrived with what was sent.
func sameInOrder[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s %d: got %.120v, want %.120v (link seed 42)", what, i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: got %d, want %d (link seed 42)", what, len(got), len(want))
	}
}

// sameButLate is sameInOrder for what a busy machine may lose from its socket buffers,
// and replay heal: at most healed of got came later than newer ones. key tells one from
// another; all else of one that came late may differ.
func sameButLate[T comparable](t *testing.T, what string, got, want []T, healed uint64, key func(T) string) {
	t.Helper()
	places := map[string]int{}
	for i, w := range want {
		places[key(w)] = i
	}
	highest, late, seen := -1, uint64(0), map[string]bool{}
	for _, x := range got {
		at, known := places[key(x)]
		switch {
		case !known || seen[key(x)]:
			t.Fatalf("%s: got %.120v again, or it was never sent (link seed 42)", what, x)
		case at < highest:
			late++
		case x != want[at]:
			t.Fatalf("%s %d: got %.120v, want %.120v (link seed 42)", what, at, x, want[at])
		}
		highest, seen[key(x)] = max(highest, at), true
	}
	if len(got) != len(want) || late > healed {
		t.Fatalf("%s: got %d, %d of them late, want %d, at most %d late (link seed 42)", what, len(got), late,
			len(want), healed)
	}
}

// itself is the key of what has no more than a text.
func itself(text string) string { return text }

func longLine(i int) string {
	return fmt.Sprintf("<%d>1 2026-01-01T00:00:00Z plc app - - - line %06d %s", 8+i%100, i, strings.Repeat("x", i%150))
}
