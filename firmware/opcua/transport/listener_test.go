package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"

	"github.com/gopcua/opcua/ua"
)

func listen(t *testing.T, cfg ListenConfig) *Listener {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialRaw(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(await.Bound))
	return nc
}

func urlOf(l *Listener) string { return "opc.tcp://" + l.Addr().String() }

// readErr reads the ERR message that must come, and the end that must follow it.
func readErr(t *testing.T, nc net.Conn) *Error {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("reading the server's last words: %v", err)
	}
	h, err := ParseHeader(b)
	if err != nil || h.Type != Err || int(h.Size) != len(b) {
		t.Fatalf("got %q, want one ERR message and the end", b)
	}
	return ParseError(b[HeaderSize:])
}

func TestSilentClientsDoNotDelayOthers(t *testing.T) {
	l := listen(t, ListenConfig{Timeouts: Timeouts{Handshake: time.Hour}}) // longer than the test waits
	for range 30 {
		dialRaw(t, l)
	}
	ctx := await.Context(t)
	c, err := new(Dialer).Dial(ctx, urlOf(l))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.EndpointURL(); got != urlOf(l) {
		t.Errorf("endpoint URL: got %q, want %q", got, urlOf(l))
	}
	if err := c.WriteChunk(chunk(5000)); err != nil {
		t.Fatal(err)
	}
	if h, b, err := s.ReadChunk(time.Now().Add(await.Bound)); err != nil || h.Size != 5000 || len(b) != 5000 {
		t.Errorf("got %+v, %d bytes, %v; want 5000 bytes", h, len(b), err)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	server := func(handshake time.Duration) *Listener {
		return listen(t, ListenConfig{
			Timeouts:  Timeouts{Handshake: handshake},
			AcceptURL: func(u string) bool { return !strings.Contains(u, "nowhere") },
		})
	}
	waits, hurries := server(time.Hour), server(50*time.Millisecond)
	good := HelloBody{ReceiveBuffer: 65535, SendBuffer: 65535}
	bad := func(change func(*HelloBody)) string {
		h := good
		change(&h)
		return string(h.AppendHello(nil))
	}
	rhe := "RHEF" + "\x20\x00\x00\x00" + "\x08\x00\x00\x00urn:evil" + "\x08\x00\x00\x00opc.tcp:"
	for name, c := range map[string]struct {
		send string
		want ua.StatusCode
	}{
		"reverse hello": {rhe, ua.StatusBadTCPMessageTypeInvalid},
		"silence":       {"", ua.StatusBadTimeout},
		"half a hello":  {"HELF\x20\x00\x00\x00\x00", ua.StatusBadTimeout},
		"http":          {"GET / HTTP/1.1\r\n\r\n", ua.StatusBadTCPMessageTypeInvalid},
		"open before hello": {string(Header{OpenChannel, Final, 100}.Append(nil)) + strings.Repeat("x", 92),
			ua.StatusBadTCPMessageTypeInvalid},
		"huge hello": {"HELF\xff\xff\xff\x7f", ua.StatusBadTCPMessageTooLarge},
		"URL too long": {bad(func(h *HelloBody) { h.EndpointURL = strings.Repeat("u", 4096) }),
			ua.StatusBadTCPEndpointURLInvalid},
		"unknown URL": {bad(func(h *HelloBody) { h.EndpointURL = "opc.tcp://nowhere" }),
			ua.StatusBadTCPEndpointURLInvalid},
		"tiny receive buffer": {bad(func(h *HelloBody) { h.ReceiveBuffer = 1 }), ua.StatusBadConnectionRejected},
		"zero send buffer":    {bad(func(h *HelloBody) { h.SendBuffer = 0 }), ua.StatusBadConnectionRejected},
	} {
		t.Run(name, func(t *testing.T) {
			l := waits
			if c.want == ua.StatusBadTimeout {
				l = hurries
			}
			nc := dialRaw(t, l)
			if _, err := io.WriteString(nc, c.send); err != nil {
				t.Fatal(err)
			}
			if got := readErr(t, nc); got.Code != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	for _, l := range []*Listener{waits, hurries} {
		if got := l.Stats(); got.Accepted != 0 {
			t.Errorf("accepted %d, want 0", got.Accepted)
		}
		await.True(t, "all memory and places given back", func() bool {
			s := l.Stats()
			return s.Open == 0 && s.Memory == 0
		})
	}
}

func TestGarbageAfterTheHelloInOneSegmentIsReadAfterIt(t *testing.T) {
	l := listen(t, ListenConfig{})
	nc := dialRaw(t, l)
	hello := HelloBody{ReceiveBuffer: 65535, SendBuffer: 65535, EndpointURL: "opc.tcp://x"}.AppendHello(nil)
	if _, err := nc.Write(append(hello, "XXXX\x00\x00\x00\x00"...)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadChunk(time.Time{}); !errors.Is(err, ua.StatusBadTCPMessageTypeInvalid) {
		t.Errorf("got %v, want Bad_TcpMessageTypeInvalid", err)
	}
}

// shake dials from an address of loopback, does the hello exchange and returns both ends.
func shake(t *testing.T, l *Listener, from string) (client, server *Conn) {
	t.Helper()
	d := Dialer{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}
	client, err := d.Dial(t.Context(), urlOf(l))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// wantEvicted expects the error message for a connection that is closed to accept another, and its end.
func wantEvicted(t *testing.T, c *Conn) {
	t.Helper()
	h, b, err := c.ReadChunk(time.Now().Add(await.Bound))
	if err != nil || h.Type != Err || ParseError(b[HeaderSize:]).Code != ua.StatusBadTCPNotEnoughResources {
		t.Fatalf("got %+v, %v; want an error message with Bad_TcpNotEnoughResources", h, err)
	}
	if _, _, err := c.ReadChunk(time.Now().Add(await.Bound)); !errors.Is(err, io.EOF) {
		t.Errorf("after the error message: got %v, want EOF", err)
	}
}

func TestAddressQuota(t *testing.T) {
	l := listen(t, ListenConfig{MaxPerAddress: 3})
	first, inUse := shake(t, l, "127.0.0.1")
	inUse.SetInUse(true)
	second, _ := shake(t, l, "127.0.0.1")
	_, third := shake(t, l, "127.0.0.1")
	_, fourth := shake(t, l, "127.0.0.1") // makes the second leave
	wantEvicted(t, second)
	third.SetInUse(true)
	fourth.SetInUse(true)
	if got := readErr(t, dialRaw(t, l)); got.Code != ua.StatusBadTCPNotEnoughResources {
		t.Errorf("with sessions on all: got %v, want Bad_TcpNotEnoughResources", got)
	}
	if got := l.Stats(); got.OverQuota != 1 || got.Evicted != 1 || got.Open != 3 {
		t.Errorf("got %+v, want 1 refused, 1 evicted and 3 open", got)
	}
	if err := first.WriteChunk(chunk(100)); err != nil {
		t.Error(err)
	}
	if _, _, err := inUse.ReadChunk(time.Now().Add(await.Bound)); err != nil {
		t.Errorf("the connection with a session: %v", err)
	}
}

// A client that has sent its hello, as all do, must not be reset before it has read why.
func TestARefusedClientGetsTheReason(t *testing.T) {
	l := listen(t, ListenConfig{MaxPerAddress: 1})
	_, only := shake(t, l, "127.0.0.1")
	only.SetInUse(true)
	hello := HelloBody{ReceiveBuffer: 65535, SendBuffer: 65535, EndpointURL: "opc.tcp://x"}.AppendHello(nil)
	for range 30 {
		nc := dialRaw(t, l)
		if _, err := nc.Write(hello); err != nil {
			t.Fatal(err)
		}
		if got := readErr(t, nc); got.Code != ua.StatusBadTCPNotEnoughResources {
			t.Fatalf("got %v, want Bad_TcpNotEnoughResources", got)
		}
		nc.Close()
	}
}

func TestTheGreediestAddressMakesRoom(t *testing.T) {
	l := listen(t, ListenConfig{MaxConnections: 4})
	modest, _ := shake(t, l, "127.0.0.1") // the oldest of all
	greedy, _ := shake(t, l, "127.0.0.2")
	shake(t, l, "127.0.0.2")
	shake(t, l, "127.0.0.2")
	shake(t, l, "127.0.0.3")
	wantEvicted(t, greedy)
	// Must not be closed: a longer wait would only find more.
	if _, _, err := modest.ReadChunk(time.Now().Add(50 * time.Millisecond)); !errors.Is(err, ua.StatusBadTimeout) {
		t.Errorf("the only connection of its address: got %v, want that it is still open", err)
	}
}

func TestFullListenerClosesTheOldestConnectionWithoutASession(t *testing.T) {
	l := listen(t, ListenConfig{MaxConnections: 2})
	_, first := shake(t, l, "127.0.0.1")
	first.SetInUse(true)
	second, _ := shake(t, l, "127.0.0.1")
	_, third := shake(t, l, "127.0.0.1")
	wantEvicted(t, second)
	third.SetInUse(true)
	if _, err := new(Dialer).Dial(t.Context(), urlOf(l)); !errors.Is(err, ua.StatusBadTCPNotEnoughResources) {
		t.Errorf("with sessions on all: got %v, want Bad_TcpNotEnoughResources", err)
	}
	if got := l.Stats(); got.Evicted != 1 || got.Open != 2 {
		t.Errorf("got %+v, want 1 evicted and 2 open", got)
	}
}

func TestClosedListenerLeavesNothing(t *testing.T) {
	l := listen(t, ListenConfig{})
	nc := dialRaw(t, l)
	await.True(t, "the connection counted", func() bool { return l.Stats().Open == 1 })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived its listener")
	}
	if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	if got := l.Stats(); got.Open != 0 || got.Memory != 0 {
		t.Errorf("got %+v, want nothing held", got)
	}
}

func TestGateCountsNetworksOfIPv6(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff")
	other := netip.MustParseAddr("2001:db8:0:1::1")
	if Network(a) != Network(b) || Network(a) == Network(other) {
		t.Errorf("got %v %v %v: a client has a whole /64", Network(a), Network(b), Network(other))
	}
}
