package server

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
)

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// answered fails unless a client gets an answer while others flood: it comes by none of the
// server's timeouts, which are longer than ask waits.
func answered(t *testing.T, c *channel.Client, token *ua.NodeID) {
	t.Helper()
	if _, code := ask(t, c, readRequest(token, stateItem())); code != ua.StatusOK {
		t.Errorf("another client: %v", code)
	}
}

// stalled is a connection that stops receiving on demand.
type stalled struct {
	net.Conn
	stopped chan struct{} // closed: takes nothing
	resume  chan struct{} // closed: receives again
}

func (d *stalled) Read(b []byte) (int, error) {
	select {
	case <-d.stopped:
		<-d.resume
	default:
	}
	return d.Conn.Read(b)
}

// openStalled opens a channel with a session over such a connection, of a client that takes messages up to
// some size, 0: any.
func openStalled(t *testing.T, url string, hello uint32) (*channel.Client, *ua.NodeID, *stalled) {
	t.Helper()
	d := &stalled{stopped: make(chan struct{}), resume: make(chan struct{})}
	dialer := &transport.Dialer{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		d.Conn = nc
		return d, err
	}}
	dialer.Limits.MaxMessage = hello
	conn, err := dialer.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := channel.Open(t.Context(), conn, channel.ClientConfig{Security: plain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(d.resume); _ = d.Conn.Close(); _ = c.Close() })
	made, code := create(t, c)
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	if code := activate(t, c, made.AuthenticationToken); code != ua.StatusOK {
		t.Fatal(code)
	}
	return c, made.AuthenticationToken, d
}

func TestUnreceivedResponsesAreBounded(t *testing.T) {
	s, url := start(t, nil)
	large := make([]byte, 1<<20)
	s.Set(named("taga0"), dataValue(t, large))
	other, mine := newSession(t, url)
	before := heap()
	for range 3 {
		c, token, d := openStalled(t, url, 0)
		close(d.stopped)
		req := readRequest(token)
		for range 7 {
			req.NodesToRead = append(req.NodesToRead, value("taga0"))
			req.NodesToRead[len(req.NodesToRead)-1].DataEncoding = &ua.QualifiedName{}
		}
		body, err := channel.Encode(req)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 { // sent, and never read: Send does not wait for an answer
			go func() { _ = c.Channel.Send(uint32(1000+i), body) }() // blocks once the server takes no more
		}
	}
	await.True(t, "answers pile up", func() bool {
		full := 0
		for _, c := range s.connections() {
			c.mu.Lock()
			if c.queuedBytes > maxQueuedBytes {
				full++
			}
			c.mu.Unlock()
		}
		return full == 3
	})
	taken := s.Stats().Requests
	for range 5 {
		answered(t, other, mine)
	}
	if n := s.Stats().Requests; n > taken+5+3 { // one each may have been under way
		t.Errorf("%d requests more are taken from clients that take no answers", n-taken-5)
	}
	if after := heap(); after > before+64<<20 {
		t.Errorf("%d MB are held for clients that take no answers", (after-before)>>20)
	}
}

func TestAFloodOfSessionsDoesNotShutOutOthers(t *testing.T) {
	_, url := start(t, nil)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	var flooded atomic.Int64
	for range 4 {
		c := open(t, url)
		body, err := channel.Encode(&ua.CreateSessionRequest{
			RequestHeader:           header(nil),
			ClientDescription:       &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("")},
			RequestedSessionTimeout: 60_000,
		})
		if err != nil {
			t.Fatal(err)
		}
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Do(context.Background(), body); err != nil {
					return
				}
				flooded.Add(1)
			}
		})
	}
	for range 10 {
		c := open(t, url)
		made, code := create(t, c)
		if code != ua.StatusOK {
			t.Fatalf("CreateSession while others flood: %v", code)
		}
		waited := flooded.Load() + 50 // as slow as a person's client
		await.True(t, "the flood continues", func() bool { return flooded.Load() >= waited })
		if code := activate(t, c, made.AuthenticationToken); code != ua.StatusOK {
			t.Errorf("ActivateSession while others flood: %v", code)
		}
	}
	close(stop)
	flood.Wait()
}

func TestOneBrowseDoesNotDelayOthers(t *testing.T) {
	s, url := start(t, nil)
	hub := addrspace.Node{ID: named("hub"),
		Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(1))}}}
	for i := range 100_000 {
		hub.References = append(hub.References,
			addrspace.Reference{Type: ns0(id.Organizes), Target: rawvalue.NodeID{Namespace: 1, Number: uint32(i)}})
	}
	if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: hub}}); err != nil {
		t.Fatal(err)
	}
	other, mine := newSession(t, url)
	c, token := newSession(t, url)
	req := browseRequest(token, 0)
	for range 10_000 {
		d := description(named("hub"), 0)
		d.NodeClassMask = uint32(ua.NodeClassView)
		req.NodesToBrowse = append(req.NodesToBrowse, d)
	}
	done := make(chan ua.StatusCode, 1)
	go func() { _, code := ask(t, c, req); done <- code }()
	for range 20 {
		answered(t, other, mine)
		if _, err := s.cfg.Space.Apply(
			[]addrspace.Change{{Kind: addrspace.Put, Node: addrspace.Node{ID: named("new")}}}); err != nil {
			t.Fatal(err)
		}
	}
	if code := <-done; code != ua.StatusBadTooManyOperations {
		t.Errorf("a browse of a thousand million references: %v", code)
	}
}

// TestManyClientsOfOneAddress is what a plant's historian and its colleagues are.
func TestManyClientsOfOneAddress(t *testing.T) {
	_, url := start(t, nil)
	for range 220 {
		newSession(t, url)
	}
}

// Requests that are much larger once they are decoded, from many sessions at once.
func TestConcurrentLargeRequestsAreBoundedInMemory(t *testing.T) {
	const clients, most = 8, 64 << 20
	_, url := start(t, func(c *Config) { c.Limits.Operations = 10 })
	other, token := newSession(t, url)
	items := make([]*ua.ReadValueID, 90_000)
	for i := range items {
		items[i] = &ua.ReadValueID{NodeID: ua.NewTwoByteNodeID(1), AttributeID: ua.AttributeIDValue,
			DataEncoding: &ua.QualifiedName{}}
	}
	whole, err := channel.Encode(readRequest(token, items...))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := token.Encode()
	var sessions []func()
	for range clients {
		c, token := newSession(t, url)
		theirs, _ := token.Encode()
		body := bytes.Replace(whole, ours, theirs, 1)
		// a failure means that no memory was left
		sessions = append(sessions, func() { _, _ = c.Do(t.Context(), body) })
	}
	before := heap()
	var work sync.WaitGroup
	for _, s := range sessions {
		work.Go(s)
	}
	over := make(chan struct{})
	go func() { work.Wait(); close(over) }()
	var peak uint64
	for done := false; !done; {
		select {
		case <-over:
			done = true
		case <-time.After(50 * time.Millisecond): // collecting garbage is dear
			peak = max(peak, heap())
			answered(t, other, token)
		}
	}
	if got := int64(peak) - int64(before); got > most {
		t.Errorf("got %d MB more while %d clients sent 1.4 MB each at a time, want at most %d", got>>20, clients,
			most>>20)
	}
}
