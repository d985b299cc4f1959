package channel

import (
	"context"
	"errors"
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
	// ServerCertificate is the server's, from its endpoint description. The answer
	// must come from this one.
	ServerCertificate []byte
	// Authorize decides on it before anything is sent.
	Authorize  func(ctx context.Context, p Peer) error
	Lifetime   time.Duration // of a token, as wished, 1 h
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

func open(ctx context.Context, conn *transport.Conn, cfg ClientConfig) (*Client, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultOpenTimeout
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = defaultMaxPending
	}
	p, ok := policyOf(cfg.Policy)
	if !ok || !p.allows(cfg.Mode) {
		return nil, fail(ua.StatusBadSecurityPolicyRejected, "policy and mode do not go together")
	}
	a, peer, err := authorizeServer(ctx, p, conn, cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{
		Channel: newChannel(conn, true, cfg.Identity, a, peer), cfg: cfg, last: 1,
		renewed: make(chan struct{}, 1), done: make(chan struct{}), pending: map[uint32]chan Message{},
	}
	c.Channel.open = c.opened
	if err := c.request(false, 1); err != nil {
		return nil, err
	}
	if err := c.firstAnswer(); err != nil {
		return nil, c.end(err)
	}
	return c, nil
}

func authorizeServer(ctx context.Context, p policy, conn *transport.Conn, cfg ClientConfig) (*asymmetric, Peer, error) {
	peer := Peer{Security: cfg.Security, Address: conn.RemoteIP(), EndpointURL: conn.EndpointURL()}
	if p.none() {
		a, err := newAsymmetric(p, nil, nil)
		return a, peer, err
	}
	if cfg.Authorize == nil {
		return nil, peer, errors.New("opcua channel: a policy other than None needs Authorize")
	}
	var err error
	if peer.Chain, err = ParseChain(cfg.ServerCertificate); err != nil {
		return nil, peer, err
	}
	peer.Certificate = cfg.ServerCertificate
	if err := cfg.Authorize(ctx, peer); err != nil {
		return nil, peer, err
	}
	key, err := publicKey(peer.Chain[0])
	if err != nil {
		return nil, peer, err
	}
	a, err := newAsymmetric(p, cfg.Identity.Key, key)
	return a, peer, err
}

// request sends an open request.
func (c *Client) request(renew bool, number uint32) error {
	req := openRequest{handle: number, renew: renew, mode: c.peer.Mode, lifetime: c.cfg.Lifetime}
	if !c.policy.none() {
		req.nonce = Nonce()
	}
	c.mu.Lock()
	c.nonce, c.wanted = req.nonce, number
	c.mu.Unlock()
	return c.sendOpen(c.id, number, req.encode(time.Now()))
}

func (c *Client) firstAnswer() error {
	h, chunk, err := c.conn.ReadChunk(time.Now().Add(c.cfg.Timeout))
	switch {
	case err != nil:
		return err
	case h.Type == transport.Err:
		return transport.ParseError(chunk[transport.HeaderSize:])
	case h.Type != transport.OpenChannel:
		return fail(ua.StatusBadTCPMessageTypeInvalid, "server did not answer the open request")
	}
	head, err := parseOpenHeader(chunk)
	if err != nil {
		return err
	}
	if head.channel == 0 {
		return fail(ua.StatusBadTCPSecureChannelUnknown, "server gave the channel no number")
	}
	c.id = head.channel
	return c.receiveOpen(chunk)
}

// opened takes the server's answer to an open request.
func (c *Client) opened(h openHeader, s secured) error {
	resp, err := parseOpenResponse(s.body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	nonce, wanted := c.nonce, c.wanted
	c.nonce, c.wanted = nil, 0
	c.mu.Unlock()
	last := c.tokens.newest()
	switch {
	case wanted == 0 || s.request != wanted:
		return fail(ua.StatusBadTCPInternalError, "server answers an open request that was not sent")
	case resp.channel != h.channel:
		return fail(ua.StatusBadTCPSecureChannelUnknown, "server names two channels")
	case last != nil && last.id == resp.token:
		return fail(ua.StatusBadSecureChannelTokenUnknown, "server gave the same token again")
	case !c.policy.none() && (len(resp.nonce) != nonceSize || sameBytes(resp.nonce, nonce)):
		return fail(ua.StatusBadNonceInvalid, "server's nonce is not 32 fresh bytes")
	case resp.lifetime < time.Second:
		return fail(ua.StatusBadTCPInternalError, "server gave a token of no use")
	}
	k, err := c.newToken(resp.token, resp.lifetime, nonce, resp.nonce)
	if err != nil {
		return err
	}
	c.tokens.add(k)
	select {
	case c.renewed <- struct{}{}:
	default:
	}
	return nil
}

// renewAll renews at 75 % of each token's lifetime (OPC 10000-4 §5.6.2). A renewal
// that is not answered ends with the token: Receive closes the channel then.
func (c *Client) renewAll() {
	for {
		k := c.tokens.newest()
		timer := time.NewTimer(time.Until(k.created.Add(k.lifetime * 3 / 4)))
		select {
		case <-c.renewed: // a new token
			timer.Stop()
			continue
		case <-timer.C:
		case <-c.done:
			timer.Stop()
			return
		}
		c.mu.Lock()
		number := c.nextRequest()
		c.mu.Unlock()
		if c.request(true, number) != nil {
			return
		}
		select {
		case <-c.renewed:
		case <-c.done:
			return
		}
	}
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
		return nil, fail(ua.StatusBadTooManyOperations, "too many requests wait for their responses")
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

// Late counts responses to requests that nobody waits for.
func (c *Client) Late() uint64 { return c.late.Load() }

// Done is closed when the channel has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err tells why the channel ended.
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
