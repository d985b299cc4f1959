package overload

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/tools/plant"
)

// The pace of honest traffic: far below what the pair can do, so that what is
// missing was taken by the flood.
const (
	linesPerSecond   = 2000
	linesPerSender   = 100 // then a new connection
	eventsPerSecond  = 200
	scrapesPerSecond = 50
	readersPerSecond = 20
)

// paced calls f n times a second until ctx ends, and returns how often f did it.
func paced(ctx context.Context, n int, f func() bool) (done uint64) {
	ticker := time.NewTicker(time.Second / time.Duration(n))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return done
		case <-ticker.C:
			if f() {
				done++
			}
		}
	}
}

// collector is IT's syslog collector; it counts the lines of honest senders.
type collector struct {
	listener net.Listener
	lines    atomic.Uint64
}

func collect() (*collector, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("overload: %v", err)
	}
	c := &collector{listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					var n int64 // octet counting, RFC 6587
					if _, err := fmt.Fscanf(in, "%d ", &n); err != nil {
						return
					}
					if _, err := io.CopyN(io.Discard, in, n); err != nil {
						return
					}
					c.lines.Add(1)
				}
			}()
		}
	}()
	return c, nil
}

func (c *collector) address() string { return c.listener.Addr().String() }

func (c *collector) close() { _ = c.listener.Close() }

// senders are devices that send a few lines over TCP and hang up; the result is
// how many lines the collector got meanwhile.
func senders(ctx context.Context, r *testbed) (uint64, error) {
	before := r.collector.lines.Load()
	address := fmt.Sprintf("127.0.0.1:%d", r.ports.honest)
	paced(ctx, linesPerSecond/linesPerSender, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		for i := range linesPerSender {
			if _, err := fmt.Fprintf(conn, "<13>1 - plant press - - - honest line %d\n", i); err != nil {
				return false
			}
		}
		return true
	})
	return r.collector.lines.Load() - before, nil
}

// scrapers read the status page of RX, each over a connection of its own.
func scrapers(ctx context.Context, r *testbed) (uint64, error) {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return paced(ctx, scrapesPerSecond, func() bool {
		a, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", r.ports.rxStatus))
		if err != nil {
			return false
		}
		defer a.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<16))
		return err == nil && a.StatusCode == http.StatusOK
	}), nil
}

// readers connect to the mirror, read all tags and leave.
func readers(ctx context.Context, r *testbed) (uint64, error) {
	items := make([]client.ReadItem, tags)
	for i := range items {
		items[i] = client.ReadItem{Node: plant.Tag(i), Attribute: ua.AttributeIDValue}
	}
	return paced(ctx, readersPerSecond, func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		s, err := client.Connect(ctx, client.Config{Endpoint: fmt.Sprintf("opc.tcp://127.0.0.1:%d", r.ports.mirror)})
		if err != nil {
			return false
		}
		defer s.Close()
		n := 0
		err = s.Read(ctx, items, 0, func(int, rawvalue.DataValue) { n++ })
		return err == nil && n == tags
	}), nil
}

// publisher publishes events of QoS 1 in the plant; the result is how many a
// subscriber of RX's embedded broker got meanwhile.
func publisher(ctx context.Context, r *testbed) (uint64, error) {
	var got atomic.Uint64
	topic := fmt.Sprintf("honest/%d", time.Now().UnixNano()) // what a run before left on its way does not count
	reader, err := connect(ctx, r.ports.reader, "reader", func(m *autopaho.ConnectionManager) error {
		_, err := m.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 1}}})
		return err
	}, func() { got.Add(1) })
	if err != nil {
		return 0, err
	}
	defer func() { _ = reader.Disconnect(context.Background()) }()
	writer, err := connect(ctx, r.ports.broker, "writer", nil, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = writer.Disconnect(context.Background()) }()
	paced(ctx, eventsPerSecond, func() bool {
		_, err := writer.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Payload: make([]byte, 200)})
		return err == nil
	})
	return got.Load(), nil
}

// connect returns an MQTT 5 client that is connected, and subscribed.
func connect(ctx context.Context, port int, id string, subscribe func(*autopaho.ConnectionManager) error,
	received func()) (*autopaho.ConnectionManager, error) {
	subscribed := make(chan error, 1)
	m, err := autopaho.NewConnection(context.WithoutCancel(ctx), autopaho.ClientConfig{
		ServerUrls: []*url.URL{{Scheme: "mqtt", Host: fmt.Sprintf("127.0.0.1:%d", port)}}, KeepAlive: 30,
		CleanStartOnInitialConnection: true,
		ReconnectBackoff:              autopaho.NewConstantBackoff(100 * time.Millisecond),
		OnConnectionUp: func(m *autopaho.ConnectionManager, _ *paho.Connack) {
			var err error
			if subscribe != nil {
				err = subscribe(m)
			}
			select {
			case subscribed <- err:
			default:
			}
		},
		ClientConfig: paho.ClientConfig{ClientID: id, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(paho.PublishReceived) (bool, error) {
				if received != nil {
					received()
				}
				return true, nil
			},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("overload: %v", err)
	}
	select {
	case err = <-subscribed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = m.Disconnect(context.Background())
		return nil, fmt.Errorf("overload: client %s of port %d: %v", id, port, err)
	}
	return m, nil
}
