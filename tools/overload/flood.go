package overload

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/firmware/conduit/wire"
)

func floods() []flood {
	return []flood{
		{"syslog datagrams", "honest lines over TCP on another channel", senders, datagrams},
		{"idle syslog connections", "honest senders of the same listener", senders,
			idle(func(r *testbed) int { return r.ports.honest }, 600, nil)},
		{"forged hellos", "valid CRC, no key; honest lines over TCP", senders, hellos},
		{"idle status connections", "honest scrapes of the same port", scrapers,
			idle(func(r *testbed) int { return r.ports.rxStatus }, 200, nil)},
		{"OPC UA connections without a session", "honest clients from the same address", readers,
			idle(func(r *testbed) int { return r.ports.mirror }, 600, opcuaHello())},
		{"MQTT messages of QoS 0", "an honest publisher of QoS 1 at the same broker", publisher, messages},
		{"MQTT clients that never read", "an honest subscriber of the embedded broker", publisher, idleReaders},
	}
}

// pause is how long a flood rests between bursts, so that it does not simply
// take the processors from those that it is to disturb.
const pause = time.Millisecond

// datagrams sends syslog lines over UDP, about 30,000 a second.
func datagrams(ctx context.Context, r *testbed) error {
	return send(ctx, r.ports.noisy, 30, func(i uint64) []byte {
		return fmt.Appendf(nil, "<13>1 - plant noise - - - line %d of a flood", i)
	})
}

// hellos sends hellos of sessions that no transmitter opened, about 27,000 a second.
func hellos(ctx context.Context, r *testbed) error {
	return send(ctx, r.ports.link, 27, func(i uint64) []byte {
		h := wire.HelloHeader{Session: uint16(i), Epoch: 1000 + i, Sequence: 1}
		binary.BigEndian.PutUint64(h.Salt[:], i)
		frame := make([]byte, wire.MinHello-wire.CRCSize, wire.MinHello)
		h.Put(frame)
		return wire.AppendCRC(frame)
	})
}

// send sends bursts of datagrams to a port.
func send(ctx context.Context, port, burst int, next func(i uint64) []byte) error {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("overload: %v", err)
	}
	defer conn.Close()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for i := uint64(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for range burst {
				_, _ = conn.Write(next(i)) // a full buffer is what a flood is about
				i++
			}
		}
	}
}

// idle opens connections to a port, says first on each, and then nothing; those
// that are closed are opened again.
func idle(port func(*testbed) int, n int, first []byte) func(context.Context, *testbed) error {
	return func(ctx context.Context, r *testbed) error {
		slots := make(chan struct{}, n)
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
				return nil
			case slots <- struct{}{}:
			}
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port(r)), time.Second)
			if err != nil {
				<-slots
				time.Sleep(pause)
				continue
			}
			go func() {
				defer func() { _ = conn.Close(); <-slots }()
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer stop()
				_, _ = conn.Write(first)
				for b := make([]byte, 512); ; {
					if _, err := conn.Read(b); err != nil {
						return
					}
				}
			}()
			time.Sleep(pause)
		}
		return nil
	}
}

// opcuaHello is an OPC UA Hello (OPC 10000-6 §7.1.2.3).
func opcuaHello() []byte {
	url := "opc.tcp://127.0.0.1:4840"
	b := append([]byte("HELF"), 0, 0, 0, 0)
	for _, v := range []uint32{0, 65535, 65535, 0, 0, uint32(len(url))} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, url...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// messages publishes events of QoS 0 as fast as the plant's broker takes them.
func messages(ctx context.Context, r *testbed) error {
	m, err := connect(ctx, r.ports.broker, "flood", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = m.Disconnect(context.Background()) }()
	payload := make([]byte, 1000)
	for ctx.Err() == nil {
		for range 20 {
			if _, err := m.Publish(ctx, &paho.Publish{Topic: "noise/event", Payload: payload}); err != nil {
				return nil // the end, or a broker that had enough
			}
		}
		time.Sleep(pause)
	}
	return nil
}

// idleReaders are clients of the embedded broker that subscribe to everything
// and never read, while messages of 20 kB come.
func idleReaders(ctx context.Context, r *testbed) error {
	for i := range 99 {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports.reader), time.Second)
		if err != nil {
			continue // refused: that is the broker's right
		}
		defer conn.Close()
		id := fmt.Sprintf("idle%02d", i)
		_, _ = conn.Write(append([]byte{0x10, 18, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 6}, id...))
		_, _ = conn.Write([]byte{0x82, 6, 0, 1, 0, 1, '#', 1})
	}
	m, err := connect(ctx, r.ports.broker, "large", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = m.Disconnect(context.Background()) }()
	payload := make([]byte, 20_000)
	for ctx.Err() == nil {
		if _, err := m.Publish(ctx, &paho.Publish{Topic: "noise/large", QoS: 1, Payload: payload}); err != nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}
