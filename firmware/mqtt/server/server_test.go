package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/broker"
	"heliograph/firmware/platform/identity/selfsigned"
)

// log is a server's log.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// start is a running server on loopback.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := New(ln, cfg)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil after Close", err)
		}
	})
	return s
}

// TestMosquittoSubReads has Debian's client read on both versions and each QoS.
func TestMosquittoSubReads(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("not proved: reading with mosquitto_sub, because it is not installed")
	}
	for _, version := range []string{"mqttv5", "mqttv311"} {
		for qos := range byte(3) {
			t.Run(fmt.Sprint(version, " QoS ", qos), func(t *testing.T) {
				s := start(t, Config{})
				s.Publish(&payload.Message{Topic: "r/old", QoS: 2, Retain: true, Payload: []byte("kept")}, 0)
				_, port, _ := net.SplitHostPort(s.Address())
				const n = 300
				cmd := exec.Command("mosquitto_sub", "-V", version, "-h", "127.0.0.1", "-p", port, "-t", "r/#", "-t",
					"t/+/x",
					"-q", fmt.Sprint(qos), "-C", fmt.Sprint(n+1), "-W", "120", "-F", "%t %q %r %p")
				var out bytes.Buffer
				cmd.Stdout = &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				await.True(t, "it subscribes and has the retained message", func() bool { return s.Stats().Sent > 0 })
				for i := range n {
					s.Publish(&payload.Message{Topic: fmt.Sprint("t/", i, "/x"), QoS: 2, Payload: fmt.Append(nil, i)},
						0)
				}
				if err := cmd.Wait(); err != nil {
					t.Fatalf("mosquitto_sub: %v after %q", err, out.String())
				}
				lines := strings.Split(strings.TrimSpace(out.String()), "\n")
				if want := fmt.Sprintf("r/old %d 1 kept", qos); lines[0] != want {
					t.Errorf("got %q, want %q", lines[0], want)
				}
				for i, line := range lines[1:] {
					if want := fmt.Sprintf("t/%d/x %d 0 %d", i, qos, i); line != want {
						t.Fatalf("got %q, want %q", line, want)
					}
				}
			})
		}
	}
}

// TestMosquittoSubComesBackToItsSession stops it and starts it again.
func TestMosquittoSubComesBackToItsSession(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("not proved: resuming a session with mosquitto_sub, because it is not installed")
	}
	for _, version := range []string{"mqttv5", "mqttv311"} {
		s := start(t, Config{})
		_, port, _ := net.SplitHostPort(s.Address())
		args := []string{"-V", version, "-h", "127.0.0.1", "-p", port, "-t", "t", "-q", "1", "-c", "-i", "me", "-W",
			"120"}
		if version == "mqttv5" {
			args = append(args, "-x", "600")
		}
		if out, err := exec.Command("mosquitto_sub", append(args, "-E")...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", version, err, out)
		}
		for i := range 5 {
			s.Publish(&payload.Message{Topic: "t", QoS: 1, Payload: fmt.Append(nil, i)}, 0)
		}
		out, err := exec.Command("mosquitto_sub", append(args, "-C", "5")...).CombinedOutput()
		if err != nil || string(out) != "0\n1\n2\n3\n4\n" {
			t.Errorf("%s: got %q, %v; want the five messages of the time between", version, out, err)
		}
	}
}

// TestANewClientAlwaysGetsIn fills the listener from one address, whose
// connections send nothing; another address is honest.
func TestANewClientAlwaysGetsIn(t *testing.T) {
	logged := &log{}
	s := start(t, Config{Connections: 20, Log: slog.New(slog.NewTextHandler(logged, nil))})
	honest := &reader{id: "honest", version: 5}
	defer honest.dialFrom(t, "127.0.0.2", s.Address()).Close()
	for range 60 {
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	await.True(t, "idle connections make room", func() bool { return s.Stats().EvictedConnections >= 41 })
	late := &reader{id: "late", version: 4}
	defer late.run(t, s.Address()).Close()
	s.Publish(&payload.Message{Topic: "t", QoS: 1, Payload: []byte{0, 0, 0, 0, 0, 0, 0, 1}}, 0)
	await.True(t, "both get the message", func() bool { return honest.got.Load() == 1 && late.got.Load() == 1 })
	await.True(t, "it is logged", func() bool { return strings.Contains(logged.text(), "evicted clients") })
}

func (r *reader) dialFrom(t testing.TB, from, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	proxy, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return r.runOn(t, proxy)
}

// TestMalformedBytesAreRefusedQuietly sends what made broker libraries panic.
func TestMalformedBytesAreRefusedQuietly(t *testing.T) {
	logged := &log{}
	s := start(t, Config{Log: slog.New(slog.NewTextHandler(logged, nil))})
	connect := string(hello(5, "x"))
	for i, c := range []string{
		"\x00\x00", "\x10\x00", "\x10\xff\xff\xff\xff\xff", "\x10\xff\xff\xff\x7f", "GET / HTTP/1.1\r\n\r\n",
		"\x10\x06\x00\x04MQTT",
		connect + "\x82\x06\x00\x01\x00\x00\x01#", connect + "\x30\xff\xff\xff\x7f", connect + "\xf0\x00",
		connect + "\x82\x05\x00\x01\xff\xff\xff",
	} {
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(c))
		_ = conn.SetReadDeadline(time.Now().Add(await.Bound))
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%d: the connection stays open", i)
		}
		conn.Close()
	}
	await.True(t, "each is counted", func() bool { return s.Stats().Malformed == 10 })
	if logged.text() != "" {
		t.Errorf("got the log %q, want nothing", logged.text())
	}
}

func TestPasswordsComeWithTheClientsAddress(t *testing.T) {
	asked := make(chan netip.Addr, 1)
	s := start(t, Config{Verify: func(name, password string, from netip.Addr) bool { asked <- from; return false }})
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(hello(4, "x"))
	from := <-asked
	if b, err := io.ReadAll(conn); err != nil || string(b) != "\x20\x02\x00\x05" || from.String() != "127.0.0.1" {
		t.Errorf("got %x, %v, asked about %s; want CONNACK with 5 and the connection closed", b, err, from)
	}
}

func TestTLSAndTheEndOfTheServer(t *testing.T) {
	cert, key, err := selfsigned.Ensure(t.TempDir(), "mqtt", "127.0.0.1:1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, Broker: broker.Config{}})
	conn, err := tls.Dial("tcp", s.Address(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := &reader{id: "secure", version: 5}
	r.runOn(t, conn)
	s.Publish(&payload.Message{Topic: "t", QoS: 2,
		Payload: append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 100_000)...)}, 0)
	await.True(t, "a large message arrives", func() bool { return r.got.Load() == 1 })
	s.Close()
	<-r.ended
}

// TestAClientThatVanishesIsGone breaks the connection, or lets its keep alive pass.
func TestAClientThatVanishesIsGone(t *testing.T) {
	for name, vanish := range map[string]func(net.Conn){
		"a broken connection":     func(c net.Conn) { c.Close() },
		"a reset connection":      func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
		"silence past keep alive": func(net.Conn) {},
		"a packet that is cut":    func(c net.Conn) { _, _ = c.Write([]byte{0x82, 9, 0}); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{})
			conn, err := net.Dial("tcp", s.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			connect := hello(5, "x")
			connect[11] = 1 // second of keep alive
			if _, err := conn.Write(connect); err != nil {
				t.Fatal(err)
			}
			await.True(t, "it is connected", func() bool { return s.Stats().Sessions == 1 })
			vanish(conn)
			await.True(t, "it is gone, and its session waits", func() bool {
				st := s.Stats()
				return st.Clients == 0 && st.Sessions == 1 && s.table.Len() == 0 && s.connected() == 0
			})
		})
	}
}

func (s *Server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

func TestALargeMessageCrossesASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, Config{})
		ours, theirs := net.Pipe()
		s.accept(ours)
		in := bufio.NewReader(theirs)
		answered := make(chan error, 1)
		go func() {
			_, err := theirs.Write(hello(5, "slow"))
			answered <- err
		}()
		for range 2 { // CONNACK and SUBACK
			if _, _, err := packet(in, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		const size = 2 << 20
		s.Publish(&payload.Message{Topic: "t", QoS: 1, Payload: make([]byte, size)}, 0)
		n := 0
		for part := make([]byte, 64<<10); n < size; time.Sleep(time.Second) {
			m, err := in.Read(part)
			if n += m; err != nil {
				t.Fatalf("got %v after %d bytes, want all of the message", err, n)
			}
		}
		theirs.Close()
		s.all.Wait()
	})
}
