package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/tools/pair"
)

// flood is a publisher that waits for nothing: its packets are written as they
// are, as fast as the broker takes them.
type flood struct {
	t    *testing.T
	conn net.Conn
	buf  bytes.Buffer
}

func newFlood(t *testing.T, port int) *flood {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte{0x10, 17, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 5, 'f', 'l', 'o', 'o',
		'd'}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return &flood{t: t, conn: conn}
}

// publish writes a QoS 0 PUBLISH, sooner or later.
func (f *flood) publish(topic string, payload []byte, retain bool) error {
	head := byte(0x30)
	if retain {
		head |= 1
	}
	f.buf.WriteByte(head)
	f.buf.Write(binary.AppendUvarint(nil, uint64(2+len(topic)+len(payload)))) // the same form
	f.buf.Write(binary.BigEndian.AppendUint16(nil, uint16(len(topic))))
	f.buf.WriteString(topic)
	f.buf.Write(payload)
	if f.buf.Len() < 64<<10 {
		return nil
	}
	return f.flush()
}

func (f *flood) flush() error {
	_, err := f.conn.Write(f.buf.Bytes())
	f.buf.Reset()
	return err
}

// end waits until the broker has taken everything.
func (f *flood) end() {
	f.t.Helper()
	f.buf.Write([]byte{0xc0, 0}) // PINGREQ
	if err := f.flush(); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.conn.Read(make([]byte, 2)); err != nil {
		f.t.Fatal(err)
	}
}

// setRate gives both ends another rate of the line.
func (g *gateway) setRate(rate string) {
	g.t.Helper()
	for _, conf := range []string{g.TX.Config, g.RX.Config} {
		rig.Write(g.t, conf, bytes.Replace(rig.Read(g.t, conf), []byte("100Mbit/s"), []byte(rate), 1))
	}
}

// neverDown checks that the source lost its broker not once.
func (g *gateway) neverDown() {
	g.t.Helper()
	if n := strings.Count(g.TX.Log(), "state=down"); n != 0 {
		g.t.Errorf("the source was down %d times, want never", n)
	}
}

// startMQTT starts a pair on a line of the given rate, between a mosquitto with
// extra lines of configuration in the plant and one at IT, and waits until both
// roles are ready.
func startMQTT(t *testing.T, version, extra, rate string) (g *gateway, plant, it int) {
	t.Helper()
	plant, it = await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, extra)
	rig.Mosquitto(t, it, rig.Unlimited)
	tx, rx := mqttTables(plant, it, version)
	g = newGateway(t, linktest.Profile{}, tx, rx+"late = \"same\"\n")
	g.setRate(rate)
	g.Start()
	g.Ready()
	return g, plant, it
}

// TestMoreOfQoS1ThanTheLineTakesThroughALargeQueue publishes 75 MB of QoS 1 to a
// line of 50 Mbit/s, through a broker that lets 1,000 messages be in flight and
// queues the others: with its usual limit it would drop most of them itself.
func TestMoreOfQoS1ThanTheLineTakesThroughALargeQueue(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run(version, func(t *testing.T) {
			g, plant, it := startMQTT(t, version, "max_inflight_messages 1000\nmax_queued_messages 0", "50Mbit/s")
			got := &inbox{}
			client5(t, it, "subscriber", "q/#", got)
			m := client5(t, plant, "publisher", "", nil)
			const events, size = 1500, 50_000
			began := time.Now()
			var want []string
			for i := range events {
				text := fmt.Sprintf("%06d", i)
				want = append(want, text)
				publish5(t, m, message{topic: "q/" + strconv.Itoa(i%3), payload: text + strings.Repeat("x", size),
					qos: 1})
			}
			t.Logf("published after %s", time.Since(began).Round(time.Second))
			arrived := 0
			for end := time.Now().Add(await.Bound); arrived < events; time.Sleep(50 * time.Millisecond) {
				if n := len(got.all()); n > arrived {
					arrived, end = n, time.Now().Add(await.Bound) // a busy machine may take as long as it needs
				}
				if time.Now().After(end) {
					t.Fatalf("%d of %d arrived; TX %+v, RX %+v", len(got.all()), events, g.TX.Status().Channels,
						g.RX.Status().Channels)
				}
			}
			t.Logf("arrived after %s, %d MB on the line; TX %d MB, RX %d MB", time.Since(began).Round(time.Second),
				g.TX.Status().Link.Bytes/1e6, g.TX.PeakMB(), g.RX.PeakMB())
			time.Sleep(time.Second) // for a duplicate, which is one message too many
			var texts []string
			for _, m := range got.all() {
				texts = append(texts, m.payload[:6])
			}
			sameButLate(t, "events", texts, want, g.RX.Channel("cell-1").Healed, itself)
			g.neverDown()
			g.balanced("cell-1")
		})
	}
}

// TestAFloodOfQoS0LeavesQoS1Alone publishes QoS 0 as fast as a stock broker takes
// it, for ten times what the line carries, and 50 QoS 1 events a second beside it.
func TestAFloodOfQoS0LeavesQoS1Alone(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run(version, func(t *testing.T) {
			g, plant, it := startMQTT(t, version, "", "20Mbit/s")
			got := &inbox{}
			client5(t, it, "subscriber", "honest/#", got)
			m := client5(t, plant, "publisher", "", nil)
			f := newFlood(t, plant)
			var want []string
			delay := func(text string) time.Duration {
				want = append(want, text)
				publish5(t, m, message{topic: "honest/a", payload: text, qos: 1})
				published := time.Now()
				await.NoError(t, text+" arrives", func() error {
					in := got.all()
					if !slices.ContainsFunc(in, func(m message) bool { return m.payload == text }) {
						return fmt.Errorf("%d arrived", len(in))
					}
					return nil
				})
				return time.Since(published)
			}
			alone := delay("alone") // without a flood, on the same machine
			for range 4 {
				alone = max(alone, delay("alone"+strconv.Itoa(len(want))))
			}
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				payload := make([]byte, 2000)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						for range 12 { // 24 MB/s, while the line takes 2
							if err := f.publish("flood/x", payload, false); err != nil {
								t.Error(err)
								return
							}
						}
					}
				}
			}()
			const events = 500
			delays := make([]time.Duration, 0, events)
			for i := range events {
				text := strconv.Itoa(i)
				if i%25 == 0 {
					delays = append(delays, delay(text))
				} else {
					want = append(want, text)
					publish5(t, m, message{topic: "honest/a", payload: text, qos: 1})
				}
				time.Sleep(20 * time.Millisecond)
			}
			close(stop)
			<-stopped
			await.NoError(t, "all arrive", func() error {
				if n := len(got.all()); n < len(want) {
					return fmt.Errorf("%d of %d", n, len(want))
				}
				return nil
			})
			var texts []string
			for _, m := range got.all() {
				texts = append(texts, m.payload)
			}
			sameButLate(t, "events", texts, want, g.RX.Channel("cell-1").Healed, itself)
			g.neverDown()
			slices.Sort(delays)
			t.Logf("delay of an event: alone %s, median %s, most %s; TX %d MB, RX %d MB; %d dropped", alone,
				delays[len(delays)/2], delays[len(delays)-1],
				g.TX.PeakMB(), g.RX.PeakMB(), g.TX.Channel("cell-1").Dropped)
			if median, limit := delays[len(delays)/2], 2*time.Second+10*alone; median > limit {
				t.Errorf("half of the events took %s and more, want less than %s", median, limit)
			}
		})
	}
}

// TestAStockBrokerWithManyRetainedTopics has a broker with the limits that Debian
// ships retain more than it queues, and restarts the transmitter.
func TestAStockBrokerWithManyRetainedTopics(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run(version, func(t *testing.T) {
			const topics = 100_000
			plant, it := await.FreePort(t), await.FreePort(t)
			rig.Mosquitto(t, plant, "")
			rig.Mosquitto(t, it, rig.Unlimited)
			f := newFlood(t, plant)
			for i := range topics {
				if err := f.publish(fmt.Sprintf("plant/line-%d/machine-%d/value-%d", i%10, i/10%100, i),
					fmt.Append(nil, i), true); err != nil {
					t.Fatal(err)
				}
			}
			f.end()
			tx, rx := mqttTables(plant, it, version)
			g := newGateway(t, linktest.Profile{}, tx, rx)
			g.Start()
			began := time.Now()
			g.Ready()
			t.Logf("ready after %s; TX %d MB, RX %d MB", time.Since(began).Round(100*time.Millisecond), g.TX.PeakMB(),
				g.RX.PeakMB())
			retainedAtIT := func(when string) {
				got := &inbox{}
				client5(t, it, when, "plant/#", got)
				await.NoError(t, "all are retained at IT "+when, func() error {
					if n := got.topics(); n != topics {
						return fmt.Errorf("%d of %d", n, topics)
					}
					return nil
				})
			}
			await.NoError(t, "all was delivered", func() error {
				if c := g.RX.Channel("cell-1"); c.Delivered < topics || c.Lost != 0 {
					return fmt.Errorf("%+v", c)
				}
				return nil
			})
			retainedAtIT("first")
			cleared := &inbox{}
			client5(t, it, "watcher", "plant/#", cleared)
			await.NoError(t, "the watcher has seen all", func() error {
				if n := cleared.topics(); n < topics {
					return fmt.Errorf("%d", n)
				}
				return nil
			})
			g.TX.Kill()
			g.TX.Start()
			g.Ready()
			retainedAtIT("after a restart of the transmitter")
			for _, m := range cleared.all() {
				if m.payload == "" {
					t.Fatalf("%s was deleted at IT", m.topic)
				}
			}
			g.neverDown()
		})
	}
}

// TestRetainedStateHasABound has a plant's broker retain more than a board has
// memory for, and honest events cross beside it.
func TestRetainedStateHasABound(t *testing.T) {
	for _, c := range []struct{ topics, size int }{{780, 1_000_000}, {70_000, 1_000}} {
		t.Run(fmt.Sprintf("%d of %d bytes", c.topics, c.size), func(t *testing.T) {
			plant, it := await.FreePort(t), await.FreePort(t)
			rig.Mosquitto(t, plant, "")
			rig.Mosquitto(t, it, rig.Unlimited)
			f := newFlood(t, plant)
			for i := range c.topics {
				if err := f.publish(fmt.Sprintf("large/%d", i), make([]byte, c.size), true); err != nil {
					t.Fatal(err)
				}
			}
			f.end()
			tx, rx := mqttTables(plant, it, "5")
			g := newGateway(t, linktest.Profile{}, tx, rx+"late = \"same\"\n")
			g.Start()
			await.NoError(t, "TX says what did not cross", func() error {
				body, code, err := g.TX.Get("/readyz")
				if err != nil || code == 200 || !strings.Contains(body, "did not cross") ||
					strings.Contains(body, "initial snapshot") {
					return fmt.Errorf("%d %s %v", code, body, err)
				}
				return nil
			})
			got := &inbox{}
			client5(t, it, "subscriber", "honest", got)
			m := client5(t, plant, "publisher", "", nil)
			var want, texts []string
			for i := range 500 {
				want = append(want, strconv.Itoa(i))
				publish5(t, m, message{topic: "honest", payload: strconv.Itoa(i), qos: 1})
			}
			await.NoError(t, "honest events arrive", func() error {
				if n := len(got.all()); n < len(want) {
					return fmt.Errorf("%d of %d", n, len(want))
				}
				return nil
			})
			for _, m := range got.all() {
				texts = append(texts, m.payload)
			}
			sameButLate(t, "events", texts, want, g.RX.Channel("cell-1").Healed, itself)
			var at pair.Status
			await.NoError(t, "the account adds up", func() error {
				at = g.TX.Status()
				tx, rx := at.Channels["cell-1"], g.RX.Channel("cell-1")
				if tx.Refused == 0 || tx.Sent != rx.Accounted() || rx.Lost != tx.Refused+tx.Dropped {
					return fmt.Errorf("TX %+v, RX %+v", tx, rx)
				}
				return nil
			})
			t.Logf("%d of %d topics refused; TX %d MB, RX %d MB", at.Channels["cell-1"].Refused, c.topics,
				g.TX.PeakMB(), g.RX.PeakMB())
			// TX keeps up to 64 MiB more, of what has left, to send it again: [replay] memory.
			if tx, rx := g.TX.PeakMB(), g.RX.PeakMB(); tx > 150+67 || rx > 250 {
				t.Errorf("TX took %d MB and RX %d MB, want at most 217 and 250", tx, rx)
			}
			g.neverDown()
		})
	}
}
