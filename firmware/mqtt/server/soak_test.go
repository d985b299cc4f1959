package server

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
)

// reader is a client that acknowledges as fast as it can, or as slowly as pause
// makes it, and checks that its messages come in order.
type reader struct {
	id      string
	version byte
	pause   time.Duration // after each read of up to 4 KiB
	got     atomic.Uint64 // the number in the newest message
	count   atomic.Uint64
	gap     atomic.Int64 // the longest time between two messages, ns
	wrong   atomic.Uint64
	ended   chan struct{}
}

func (r *reader) run(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return r.runOn(t, conn)
}

// runOn subscribes on a connection.
func (r *reader) runOn(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	if _, err := conn.Write(hello(r.version, r.id)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 4<<10)
	for range 2 { // CONNACK and SUBACK
		if _, _, err := packet(in, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		r.read(conn, in)
	}()
	return conn
}

// hello is CONNECT, with a session of an hour on 5, and SUBSCRIBE to # with QoS 2.
func hello(version byte, id string) []byte {
	body := append([]byte("\x00\x04MQTT"), version, 2, 0, 60)
	subscribe := []byte("\x00\x01")
	if version == 5 {
		body = append(body, 5, 0x11, 0, 0, 0x0e, 0x10)
		subscribe = append(subscribe, 0)
	}
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(id))), id...)
	subscribe = append(subscribe, "\x00\x01#\x02"...)
	return append(append(append([]byte{0x10, byte(len(body))}, body...), 0x82, byte(len(subscribe))), subscribe...)
}

func packet(in *bufio.Reader, body []byte) (header byte, b []byte, err error) {
	if header, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(in) // MQTT's variable byte integer has the same form
	if err != nil {
		return 0, nil, err
	}
	if int(n) > cap(body) {
		body = make([]byte, n)
	}
	_, err = io.ReadFull(in, body[:n])
	return header, body[:n], err
}

func (r *reader) read(conn net.Conn, in *bufio.Reader) {
	out, body, last := bufio.NewWriter(conn), make([]byte, 64<<10), time.Now()
	for {
		if in.Buffered() == 0 {
			if out.Flush() != nil {
				return
			}
			if r.pause > 0 {
				time.Sleep(r.pause)
			}
		}
		header, b, err := packet(in, body)
		if err != nil {
			return
		}
		switch header >> 4 {
		case 3:
			now := time.Now()
			r.gap.Store(max(r.gap.Load(), int64(now.Sub(last))))
			last = now
			r.message(header, b, out)
		case 6:
			out.Write([]byte{0x70, 2, b[0], b[1]})
		}
	}
}

func (r *reader) message(header byte, b []byte, out *bufio.Writer) {
	at := 2 + int(binary.BigEndian.Uint16(b))
	switch header >> 1 & 3 {
	case 1:
		out.Write([]byte{0x40, 2, b[at], b[at+1]})
		at += 2
	case 2:
		out.Write([]byte{0x50, 2, b[at], b[at+1]})
		at += 2
	}
	if r.version == 5 {
		at++ // no properties
	}
	n := binary.BigEndian.Uint64(b[at:])
	if n != r.got.Load()+1 {
		r.wrong.Add(1)
	}
	r.got.Store(n)
	r.count.Add(1)
}

// TestSoak publishes QoS 1 and 2 to 50 clients, of which some are slow and some
// never read: no healthy client waits, misses anything or gets it out of order.
// HELIOGRAPH_SOAK=1h HELIOGRAPH_SOAK_RATE=5000 runs the long one.
func TestSoak(t *testing.T) {
	duration, rate := 2*time.Second, 500
	if v := os.Getenv("HELIOGRAPH_SOAK"); v != "" {
		var err error
		if duration, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
		rate = 5000
		fmt.Sscan(os.Getenv("HELIOGRAPH_SOAK_RATE"), &rate)
	}
	s := start(t, Config{})
	var healthy, slow []*reader
	for i := range 50 {
		r := &reader{id: fmt.Sprint("c", i), version: byte(4 + i%2)}
		switch {
		case i < 4:
			r.pause = 20 * time.Millisecond
			slow = append(slow, r)
		case i < 6:
			conn, err := net.Dial("tcp", s.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(hello(5, r.id)); err != nil {
				t.Fatal(err)
			}
			continue
		default:
			healthy = append(healthy, r)
		}
		conn := r.run(t, s.Address())
		defer conn.Close()
	}
	n, longest := soak(s, duration, rate)
	for _, r := range healthy {
		await.True(t, r.id+" has all messages", func() bool { return r.got.Load() >= n })
	}
	var most time.Duration
	for _, r := range healthy {
		most = max(most, time.Duration(r.gap.Load()))
		if r.count.Load() != n || r.wrong.Load() != 0 {
			t.Errorf("%s: got %d messages of %d, %d out of order", r.id, r.count.Load(), n, r.wrong.Load())
		}
	}
	st := s.Stats()
	t.Logf("%d messages in %v at %d/s; the longest publish took %v, the longest gap of a healthy client was %v; %+v", n,
		duration, rate, longest, most, st)
	if longest > writeTime || most > writeTime { // as long as a client that never reads may hold a write
		t.Errorf("stalls: a publish took %v, a client waited %v", longest, most)
	}
	for _, r := range slow {
		if r.wrong.Load() != 0 {
			t.Errorf("%s, slow: got %d messages out of order", r.id, r.wrong.Load())
		}
	}
}

// soak publishes at a rate and waits for clients that lag, as the sink does.
func soak(s *Server, duration time.Duration, rate int) (n uint64, longest time.Duration) {
	began := time.Now()
	for time.Since(began) < duration {
		due := uint64(time.Since(began).Seconds() * float64(rate))
		for ; n < due; n++ {
			for n%64 == 0 && s.Lagging() {
				time.Sleep(time.Millisecond)
			}
			at := time.Now()
			body := binary.BigEndian.AppendUint64(make([]byte, 0, 100), n+1)
			s.Publish(&payload.Message{Topic: fmt.Sprint("t/", n%100), QoS: byte(1 + n%2), Payload: body[:100]}, 0)
			longest = max(longest, time.Since(at))
		}
		time.Sleep(time.Millisecond)
	}
	return n, longest
}
