package mqtt

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// oldBroker answers CONNECT as a broker that supports 3.1.1 alone.
func oldBroker(t testing.TB) string { return brokerOf311(t, []byte{0x20, 2, 0, 1}) }

// closingBroker supports 3.1.1 alone and closes other connections without an answer.
func closingBroker(t testing.TB) string { return brokerOf311(t, nil) }

func brokerOf311(t testing.TB, refusal []byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				head := make([]byte, 9) // type, length, name, level
				if _, err := io.ReadFull(conn, head); err != nil {
					return
				}
				if head[8] != 4 {
					_, _ = conn.Write(refusal)
					return
				}
				_, _ = conn.Write([]byte{0x20, 2, 0, 0})
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return ln.Addr().String()
}

func TestAutoFallsBackOnARefusedVersionAndSaysSo(t *testing.T) {
	r := start(t, config.MQTTSink{Broker: "mqtt://" + oldBroker(t), Version: config.MQTTAuto})
	await.True(t, "the sink is up", func() bool { return r.Ready() == nil })
	if _, reason := r.Status(); !strings.Contains(reason, "3.1.1") {
		t.Errorf("got %q, want it to name the version", reason)
	}
	five := start(t, config.MQTTSink{Broker: "mqtt://" + oldBroker(t), Version: config.MQTT5})
	await.True(t, "the refusal shows", func() bool {
		state, reason := five.Status()
		return state == sink.Down && strings.Contains(reason, "refuses MQTT 5")
	})
}

// fullBroker supports everything. A script says what it does with each connection: x closes it
// without an answer, e after one; it keeps the others. It counts the connections.
func fullBroker(t testing.TB, script string) (address string, accepted *atomic.Int64) {
	t.Helper()
	accepted = new(atomic.Int64)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			do := byte('o')
			if n := int(accepted.Add(1)); n <= len(script) {
				do = script[n-1]
			}
			go func() {
				defer conn.Close()
				head := make([]byte, 9) // type, length, name, level
				if _, err := io.ReadFull(conn, head); err != nil || do == 'x' {
					return
				}
				_, _ = conn.Write(map[byte][]byte{4: {0x20, 2, 0, 0}, 5: {0x20, 3, 0, 0, 0}}[head[8]])
				if do != 'e' {
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return ln.Addr().String(), accepted
}

func TestABrokerThatClosesConnectionsForAMomentIsReachedAsItIs(t *testing.T) {
	for name, script := range map[string]string{"not at all": "", "once": "x", "twice": "xx",
		"once, and later again": "xoex", "twice, and later again": "xxoexx"} {
		t.Run(name, func(t *testing.T) {
			broker, accepted := fullBroker(t, script)
			r := start(t, config.MQTTSink{Broker: "mqtt://" + broker, Version: config.MQTTAuto, ClientID: "heliorx"})
			await.True(t, "the sink is up", func() bool {
				return int(accepted.Load()) > len(script) && r.Ready() == nil
			})
			if _, reason := r.Status(); reason != "" {
				t.Errorf("got %q, want the newest version and retained messages", reason)
			}
		})
	}
}

func TestAutoDoesNotFallBackOnAWrongPassword(t *testing.T) {
	broker := startMosquitto(t, "allow_anonymous false")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTTAuto})
	await.True(t, "the refusal shows", func() bool {
		_, reason := r.Status()
		return strings.Contains(reason, "not authorised")
	})
	if reason := r.Ready().Error(); strings.Contains(reason, "3.1.1") {
		t.Errorf("got %q, want no other version tried", reason)
	}
}
