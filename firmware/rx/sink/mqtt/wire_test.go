package mqtt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/mqtt/packet"
)

// readSlowly reads 64 KiB a second, until the other end is closed.
func readSlowly(conn net.Conn) (n int) {
	for b := make([]byte, 64<<10); ; time.Sleep(time.Second) {
		m, err := io.ReadFull(conn, b)
		if n += m; err != nil {
			return n
		}
	}
}

func TestALargeMessageCrossesASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		w := newWire(t.Context(), ours)
		parts := 0
		w.progressed = func() { parts++ }
		read := make(chan int, 1)
		go func() { read <- readSlowly(theirs) }()
		message := make([]byte, 2<<20)
		message[0] = packet.Publish << 4
		if n, err := w.Write(message); n != len(message) || err != nil || w.published.Load() != 1 {
			t.Errorf("got %d bytes and %v, %d messages, want all of one", n, err, w.published.Load())
		}
		if want := len(message)/partBytes - 1; parts != want {
			t.Errorf("got %d parts before the last one, want %d", parts, want)
		}
		if n, err := w.Write([]byte{packet.Pingreq << 4, 0}); n != 2 || err != nil || w.published.Load() != 1 {
			t.Errorf("got %d bytes and %v, %d messages, want a PINGREQ", n, err, w.published.Load())
		}
		w.Close()
		if n := <-read; n != len(message)+2 {
			t.Errorf("got %d bytes read, want %d", n, len(message)+2)
		}
	})
}

// TestWritingEndsSoonAfterTheEnd has a broker that reads nothing.
func TestWritingEndsSoonAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		defer theirs.Close()
		w := newWire(ctx, ours)
		defer w.Close()
		ended := make(chan error, 1)
		go func() {
			_, err := w.Write(make([]byte, 1<<20))
			ended <- err
		}()
		synctest.Wait()
		cancel()
		began := time.Now()
		first := <-ended
		_, second := w.Write([]byte("x"))
		if elapsed := time.Since(began); elapsed != endTime || !errors.Is(first, os.ErrDeadlineExceeded) ||
			!errors.Is(second, os.ErrDeadlineExceeded) {
			t.Errorf("got %v and %v after %v, want both over after %v", first, second, elapsed, endTime)
		}
	})
}

// TestTheTimeThatWritingTakesIsNotTheBrokers has sending a message take longer than a broker may
// leave everything without an acknowledgement.
func TestTheTimeThatWritingTakesIsNotTheBrokers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connections := 0
		r := rigOn(t, func() *fakeConn {
			connections++
			return &fakeConn{got: func(string) {}, slow: 2 * ackTime}
		}, nil)
		r.begin(t)
		time.Sleep(time.Hour)
		r.stop()
		if connections != 1 {
			t.Errorf("got %d connections, want one that lasts", connections)
		}
	})
}

// TestTheEndDoesNotWaitForABrokerThatStalls has the sink end while its broker reads nothing more.
func TestTheEndDoesNotWaitForABrokerThatStalls(t *testing.T) {
	t.Parallel()
	for version, connack := range map[config.MQTTVersion][]byte{
		config.MQTT5: {0x20, 3, 0, 0, 0}, config.MQTT311: {0x20, 2, 0, 0},
	} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			stalls := make(chan net.Conn, 1)
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write(connack)
				_, _ = io.ReadFull(conn, make([]byte, 128<<10)) // it is amid the messages
				stalls <- conn
			}()
			r := build(t, slog.New(slog.DiscardHandler),
				config.MQTTSink{Broker: "mqtt://" + ln.Addr().String(), Version: version})
			for range 16 {
				r.event(payload.Message{Topic: "t", QoS: 1, Payload: make([]byte, 1<<20)})
			}
			r.begin(t)
			select {
			case conn := <-stalls:
				defer conn.Close()
			case <-time.After(await.Bound):
				t.Fatal("no message came")
			}
			began := time.Now()
			r.stop()
			if elapsed := time.Since(began); elapsed > writeTime*3/4 {
				t.Errorf("ended after %v, want about %v", elapsed, endTime)
			}
		})
	}
}
