package channel

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/transport"
)

// Many clients hold as much of a message as they may and never end it. Memory stays
// below its bound, and a good client is answered within a second meanwhile.
func TestFloodingClientsAreBoundedAndOthersAnswered(t *testing.T) {
	const bound = 16 << 20
	l, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.ListenConfig{MaxMemory: bound, MaxPerAddress: 200})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := NewServer(serverConfig(Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer l.Close()
	serving.Go(func() {
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			serving.Go(func() {
				c, err := s.Open(context.Background(), conn)
				if err != nil {
					return
				}
				defer s.Forget(c)
				for {
					m, err := c.Receive()
					if err != nil || c.Send(m.RequestID, m.Body) != nil {
						return
					}
				}
			})
		}
	})
	url := "opc.tcp://" + l.Addr().String()
	dial := func() (*Client, error) {
		conn, err := new(transport.Dialer).Dial(t.Context(), url)
		if err != nil {
			return nil, err
		}
		return open(t.Context(), conn, clientConfig(everySecurity[0], Identity{}, Identity{}))
	}
	good, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	go good.receiveAll()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var flood sync.WaitGroup
	for range 20 {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		flood.Go(func() { // 20 × 2 MB into 16 MB
			a := attacker{Client: c, t: t}
			for range 40 {
				if c.conn.WriteChunk(a.chunk('C', 2, make([]byte, 50_000))) != nil {
					return
				}
			}
		})
	}
	ctx := await.Context(t)
	for i := range 20 {
		got, err := good.Do(ctx, []byte(fmt.Sprint(i)))
		if err != nil || string(got) != fmt.Sprint(i) {
			t.Fatalf("request %d during the flood: got %q, %v", i, got, err)
		}
		if used := l.Stats().Memory; used > bound+21*64<<10 {
			t.Fatalf("%d bytes are held, want at most %d and 64 KiB each", used, bound)
		}
	}
	flood.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 64<<20 {
		t.Errorf("the heap grew by %d bytes, want at most 64 MB", got)
	}
	if _, err := good.Do(t.Context(), nil); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	good.Close()
}

// Responses that the client does not read end at the write deadline: the server's other
// channels go on.
func TestClientThatReadsNothingLosesItsChannel(t *testing.T) {
	l, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.ListenConfig{
		Timeouts: transport.Timeouts{Write: 10 * time.Second}, // in which the handshake must succeed
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := new(transport.Dialer).Dial(t.Context(), "opc.tcp://"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sc, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(serverConfig(Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan *Channel)
	go func() {
		c, _ := s.Open(context.Background(), sc)
		opened <- c
	}()
	if _, err := open(t.Context(), conn, clientConfig(everySecurity[0], Identity{}, Identity{})); err != nil {
		t.Fatal(err)
	}
	c := <-opened
	body := make([]byte, 1<<20)
	for i := 0; ; i++ {
		if err := c.Send(1, body); err != nil {
			break
		}
		if i > 100 {
			t.Fatal("100 MB went to a client that reads nothing")
		}
	}
	if err := c.Send(1, nil); Code(err) == ua.StatusOK || err == nil {
		t.Error("the channel went on")
	}
}
