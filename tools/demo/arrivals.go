package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/tools/plant"
)

// arrivals checks what comes out of one channel.
type arrivals struct {
	mu         sync.Mutex
	last       uint64
	arrived    uint64
	altered    uint64
	outOfOrder uint64
	latencies  []time.Duration // of the newest, a ring
	recent     string
}

// keptLatencies bounds what percentiles are made of.
const keptLatencies = 20_000

func (a *arrivals) take(text string, now time.Time) {
	n, sent, ok := plant.Parse(text)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.recent = text; !ok {
		a.altered++
		return
	}
	if n <= a.last {
		a.outOfOrder++
	}
	a.last = max(a.last, n)
	if a.arrived++; len(a.latencies) < keptLatencies {
		a.latencies = append(a.latencies, now.Sub(sent))
	} else {
		a.latencies[a.arrived%keptLatencies] = now.Sub(sent)
	}
}

// message checks an MQTT message: its topic, and with flags also its retain
// flag and its content type, which not every plant's broker passes on.
func (a *arrivals) message(p *paho.Publish, flags bool) {
	a.take(string(p.Payload), time.Now())
	n, _, ok := plant.Parse(string(p.Payload))
	if !ok {
		return // counted
	}
	contentType := ""
	if !plant.Retained(n) {
		contentType = plant.ContentType
	}
	if p.Topic != plant.Topic(n) || flags && (p.Retain != plant.Retained(n) ||
		p.Properties.ContentType != contentType) {
		a.mu.Lock()
		a.altered++
		a.mu.Unlock()
	}
}

// subscribe checks what a broker on IT's side gives its clients, from before
// the plant sends until all ends.
func subscribe(ctx, all context.Context, address string, a *arrivals, flags bool) error {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return fmt.Errorf("demo: %v", err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			a.message(p.Packet, flags)
			return true, nil
		},
	}})
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	if _, err := c.Connect(ctx, &paho.Connect{ClientID: "demo", KeepAlive: 30, CleanStart: true}); err != nil {
		return fmt.Errorf("demo: connecting to IT's broker: %v", err)
	}
	if _, err := c.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: "plant/#", QoS: 1, RetainAsPublished: true}}}); err != nil {
		return fmt.Errorf("demo: subscribing to IT's broker: %v", err)
	}
	context.AfterFunc(all, func() { _ = c.Disconnect(&paho.Disconnect{}) })
	return nil
}

// listenSyslog is the collector of both syslog channels, which it tells apart
// by the form of their lines.
func listenSyslog(ctx context.Context, rfc5424, rfc3164 *arrivals) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %v", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			go collect(conn, rfc5424, rfc3164)
		}
	}()
	return l.Addr().String(), nil
}

// maxLine bounds a line of the demo's own devices.
const maxLine = 64 << 10

func collect(conn net.Conn, rfc5424, rfc3164 *arrivals) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var n int
		if _, err := fmt.Fscanf(r, "%d ", &n); err != nil || n <= 0 || n > maxLine {
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		line, to := string(b), rfc3164
		if _, rest, ok := strings.Cut(line, ">"); ok && strings.HasPrefix(rest, "1 ") {
			to = rfc5424
		}
		to.take(line, time.Now())
	}
}
