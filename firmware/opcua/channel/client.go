package channel

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// Our own choices.
const (
	defaultLifetime   = time.Hour
	defaultMaxPending = 1024
)

// ClientConfig sets how a client opens its channel.
type ClientConfig struct {
	Security
	Identity Identity
	// ServerCertificate is that of the endpoint description; the server must prove that it
	// is its own.
	ServerCertificate []byte
	// Authorize checks it before anything is sent.
	Authorize  func(ctx context.Context, p Peer) error
	Lifetime   time.Duration // of a token, as requested, 1 h
	Timeout    time.Duration // for the server's answer to an open request, 10 s
	MaxPending int           // requests without a response, 1024
}

// Client is an open channel in the client's role. It receives and renews by
// itself until Close or until the connection ends.
type Client struct {
	*Channel
	cfg     ClientConfig
	renewed chan struct{}
	done    chan struct{}
	work    sync.WaitGroup
	late    atomic.Uint64

	mu      sync.Mutex
	pending map[uint32]chan Message
	last    uint32
	nonce   []byte // of the renewal under way
	wanted  uint32 // its request
	err     error
}

// Open opens a channel over conn and closes conn if that fails.
func Open(ctx context.Context, conn *transport.Conn, cfg ClientConfig) (*Client, error) {
	c, err := open(ctx, conn, cfg)
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	c.work.Go(c.receiveAll)
	c.work.Go(c.renewAll)
	return c, nil
}

// nextRequest is called with mu held.
func (c *Client) nextRequest() uint32 {
	for {
		c.last++
		if _, taken := c.pending[c.last]; c.last != 0 && !taken {
			return c.last
		}
	}
}

func (c *Client) receiveAll() {
	var err error
	for err == nil {
		var m Message
		if m, err = c.Receive(); err == nil {
			c.deliver(m)
		}
	}
	if err == io.EOF {
		err = fail(ua.StatusBadConnectionClosed, "server closed the connection")
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.done)
}

func (c *Client) deliver(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, ok := c.pending[m.RequestID]
	if !ok {
		c.late.Add(1)
		return
	}
	delete(c.pending, m.RequestID)
	answer <- m // has room for one
}

// Do sends a request and returns its response's raw body. Responses may come in
// any order; Do may run many times at once.
func (c *Client) Do(ctx context.Context, body []byte) ([]byte, error) {
	answer := make(chan Message, 1)
	c.mu.Lock()
	if len(c.pending) >= c.cfg.MaxPending {
		c.mu.Unlock()
		return nil, fail(ua.StatusBadTooManyOperations, "too many requests are pending")
	}
	number := c.nextRequest()
	c.pending[number] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.pending, number)
	}()
	if err := c.Send(number, body); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if m.Status != 0 {
			return nil, fail(m.Status, "no response")
		}
		return m.Body, nil
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Late returns the number of responses whose requests were given up.
func (c *Client) Late() uint64 { return c.late.Load() }

// Done is closed when the channel has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the channel ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close closes the channel and waits for its goroutines.
func (c *Client) Close() error {
	err := c.Channel.Close()
	c.work.Wait()
	return err
}
