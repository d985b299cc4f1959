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
	last       uint64 // the highest number
	lastLate   uint64 // that of the newest late one
	missing    missing
	arrived    uint64
	healed     uint64 // of arrived, those that were missing before
	altered    uint64
	outOfOrder uint64          // or twice
	latencies  []time.Duration // of the newest, a ring
	recent     string
}

// keptLatencies bounds what percentiles are made of.
const keptLatencies = 20_000

// How a text came: as a new one, as a late one, or so that it may be either.
type arrival int

const (
	asNew arrival = iota
	asLate
	asEither
)

func (a *arrivals) add(text string, how arrival, now time.Time) {
	n, sent, ok := plant.Parse(text)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.recent = text; !ok {
		a.altered++
		return
	}
	if n <= a.last {
		a.fill(n, how)
		return
	}
	if n > a.last+1 {
		a.missing.add(a.last+1, n-1)
	}
	a.arrived++
	if a.last = n; how == asLate {
		a.outOfOrder++ // nothing that is newer came before
	}
	if len(a.latencies) < keptLatencies {
		a.latencies = append(a.latencies, now.Sub(sent))
	} else {
		a.latencies[a.arrived%keptLatencies] = now.Sub(sent)
	}
}

// fill counts a number below the highest. Late ones come in order among themselves, and
// none comes twice, but for a newest value: replay may bring it late before the carousel
// brings it as what it is.
func (a *arrivals) fill(n uint64, how arrival) {
	first := a.missing.remove(n)
	if first {
		a.arrived++
		a.healed++
	}
	again := !first && how != asEither
	if again || how == asNew || how == asLate && n < a.lastLate {
		a.outOfOrder++
	}
	if how == asLate {
		a.lastLate = n
	}
}

// lost returns how many of those that were sent never arrived.
func (a *arrivals) lost(sent uint64) uint64 { return a.missing.n + sent - min(sent, a.last) }

// latePrefix is put before the topic of a message that comes late.
const latePrefix = "late/"

// message checks an MQTT message: its topic, and with flags also its retain
// flag and its content type, which not every plant's broker passes on. The carousel
// may bring a state that was missing as a new one.
func (a *arrivals) message(p *paho.Publish, flags bool) {
	topic, late := strings.CutPrefix(p.Topic, latePrefix)
	n, _, ok := plant.Parse(string(p.Payload))
	how := asNew
	switch {
	case late:
		how = asLate
	case plant.Retained(n):
		how = asEither
	}
	a.add(string(p.Payload), how, time.Now())
	if !ok {
		return // counted
	}
	contentType := ""
	if !plant.Retained(n) {
		contentType = plant.ContentType
	}
	if topic != plant.Topic(n) || flags && (p.Retain != (plant.Retained(n) && !late) ||
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
		Subscriptions: []paho.SubscribeOptions{{Topic: "plant/#", QoS: 1, RetainAsPublished: true},
			{Topic: latePrefix + "plant/#", QoS: 1, RetainAsPublished: true}}}); err != nil {
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
		to.add(line, asEither, time.Now())
	}
}
