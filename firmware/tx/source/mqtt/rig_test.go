package mqtt

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"go.uber.org/goleak"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source/sourcetest"
)

// TestMain lets more tests wait at once than there are processors: they wait
// for brokers and for silence.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// port is the link, and the updates of messages in words.
type port struct{ sourcetest.Port }

// lines are the updates of topics with a prefix, in words.
func (p *port) lines(prefix string) []string {
	var lines []string
	for _, u := range p.Updates() {
		var m payload.Message
		words := "state"
		if u.Event {
			words = "event"
		}
		if u.Delete {
			words += " delete"
		}
		topic := string(u.Key)
		if err := m.Parse(u.Payload); err == nil {
			topic = m.Topic
			words += fmt.Sprintf(" q%d %q", m.QoS, m.Payload)
			if m.Retain {
				words += " retained"
			}
		}
		if u.Key != nil {
			words += " key=" + string(u.Key)
		}
		if strings.HasPrefix(topic, prefix) {
			lines = append(lines, topic+" "+words)
		}
	}
	return lines
}

// expect waits for exactly these lines.
func (p *port) expect(t testing.TB, prefix string, want ...string) {
	t.Helper()
	await.True(t, fmt.Sprintf("%d updates below %q cross", len(want), prefix),
		func() bool { return len(p.lines(prefix)) >= len(want) })
	if got := p.lines(prefix); !slices.Equal(got, want) {
		t.Fatalf("updates below %s:\ngot  %s\nwant %s", prefix, strings.Join(got, "\n     "),
			strings.Join(want, "\n     "))
	}
}

// start runs a source until stop is called or the test ends.
func start(t testing.TB, cfg config.MQTTSource, p *port) (s *Source, stop func()) {
	t.Helper()
	return startIn(t, t.TempDir(), cfg, p)
}

// startIn is start with a state directory.
func startIn(t testing.TB, folder string, cfg config.MQTTSource, p *port) (s *Source, stop func()) {
	t.Helper()
	if cfg.ClientID == "" {
		cfg.ClientID = "heliotx-test"
	}
	if cfg.Topics == nil {
		cfg.Topics = []string{"#"}
	}
	cfg.Channel = "cell"
	s, err := New(cfg, filepath.Join(folder, "topics"), p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.retained.quiet, s.rereadEvery = 200*time.Millisecond, 500*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(await.Bound):
			t.Errorf("Run did not end within %v", await.Bound)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

func up(t testing.TB, s *Source) {
	t.Helper()
	await.True(t, "the source is ready", func() bool { return s.Ready() == nil })
}

// persistent starts a mosquitto that keeps each change of its sessions and retained
// messages, and queues more than Debian's does.
func persistent(t testing.TB, lines string) *mosquitto.Broker {
	t.Helper()
	return mosquitto.Start(t, "subscribing to mosquitto", mosquitto.Persistent+"max_queued_messages 100000\n"+lines)
}

// stock starts one with the limits that Debian ships: it queues 1,000 messages of
// a client and drops what exceeds that without notice.
func stock(t testing.TB, lines string) *mosquitto.Broker {
	t.Helper()
	return mosquitto.Start(t, "subscribing to mosquitto", lines)
}

// publisher is a client on MQTT 5.
type publisher struct {
	t      testing.TB
	client *paho.Client
}

func connectPlant(t testing.TB, address string) *publisher {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, client: paho.NewClient(paho.ClientConfig{Conn: conn})}
	if _, err := p.client.Connect(t.Context(),
		&paho.Connect{ClientID: "plant", CleanStart: true, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end() })
	return p
}

func (p *publisher) end() { _ = p.client.Disconnect(&paho.Disconnect{}); <-p.client.Done() }

func (p *publisher) send(topic string, qos byte, retain bool, text string) {
	p.t.Helper()
	p.full(&paho.Publish{Topic: topic, QoS: qos, Retain: retain, Payload: []byte(text)})
}

func (p *publisher) full(m *paho.Publish) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Bound)
	defer cancel()
	if _, err := p.client.Publish(ctx, m); err != nil {
		p.t.Fatalf("publishing %s: %v", m.Topic, err)
	}
}

// script is a broker that serves each connection as a test says.
func script(t testing.TB, serve func(n int, conn net.Conn, level byte)) string {
	t.Helper()
	return scriptByConnect(t, func(n int, conn net.Conn, connect []byte) { serve(n, conn, connect[6]) })
}

// scriptByConnect is script by what is behind the fixed header of the CONNECT.
func scriptByConnect(t testing.TB, serve func(n int, conn net.Conn, connect []byte)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	conns.Go(func() {
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				_, body, err := readPacket(conn)
				if err == nil && len(body) > 6 {
					serve(n, conn, body)
				}
			})
		}
	})
	return "mqtt://" + ln.Addr().String()
}

// readPacket reads one packet.
func readPacket(r io.Reader) (kind byte, body []byte, err error) {
	head := make([]byte, 1)
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	kind = head[0] >> 4
	length, shift := 0, 0
	for {
		if _, err = io.ReadFull(r, head); err != nil {
			return 0, nil, err
		}
		length |= int(head[0]&0x7f) << shift
		if shift += 7; head[0]&0x80 == 0 {
			break
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// answer serves a 5 or 3.1.1 client until it goes; then is called once it has
// subscribed.
func answer(conn net.Conn, level byte, then func()) {
	five := level == 5
	if five {
		_, _ = conn.Write([]byte{0x20, 3, 0, 0, 0})
	} else {
		_, _ = conn.Write([]byte{0x20, 2, 0, 0})
	}
	for {
		kind, body, err := readPacket(conn)
		if err != nil {
			return
		}
		reply := []byte(nil)
		switch kind {
		case 8: // SUBSCRIBE
			if reply = []byte{0x90, 3, body[0], body[1], 2}; five {
				reply = []byte{0x90, 4, body[0], body[1], 0, 2}
			}
		case 10: // UNSUBSCRIBE
			if reply = []byte{0xb0, 2, body[0], body[1]}; five {
				reply = []byte{0xb0, 4, body[0], body[1], 0, 0x11}
			}
		case 12:
			reply = []byte{0xd0, 0}
		}
		_, _ = conn.Write(reply)
		if kind == 8 && then != nil {
			then()
		}
	}
}
