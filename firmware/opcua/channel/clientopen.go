package channel

import (
	"context"
	"errors"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

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
		return nil, fail(ua.StatusBadSecurityPolicyRejected, "mode is not allowed with this policy")
	}
	a, peer, err := authorizeServer(ctx, p, conn, cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{
		Channel: newChannel(conn, true, cfg.Identity, a, peer), cfg: cfg, last: 1,
		renewed: make(chan struct{}, 1), done: make(chan struct{}), pending: map[uint32]chan Message{},
	}
	c.Channel.open = c.handleOpened
	if err := c.sendOpenRequest(false, 1); err != nil {
		return nil, err
	}
	if err := c.receiveFirstOpen(); err != nil {
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

// sendOpenRequest sends an open request.
func (c *Client) sendOpenRequest(renew bool, number uint32) error {
	req := openRequest{handle: number, renew: renew, mode: c.peer.Mode, lifetime: c.cfg.Lifetime}
	if !c.policy.none() {
		req.nonce = Nonce()
	}
	c.mu.Lock()
	c.nonce, c.wanted = req.nonce, number
	c.mu.Unlock()
	return c.sendOpen(c.id, number, req.encode(time.Now()))
}

func (c *Client) receiveFirstOpen() error {
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
		return fail(ua.StatusBadTCPSecureChannelUnknown, "server gave the channel the number 0")
	}
	c.id = head.channel
	return c.receiveOpen(chunk)
}

// handleOpened handles the server's answer to an open request.
func (c *Client) handleOpened(h openHeader, s secured) error {
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
		return fail(ua.StatusBadTCPInternalError, "server answered an open request that was not sent")
	case resp.channel != h.channel:
		return fail(ua.StatusBadTCPSecureChannelUnknown, "server named two channels")
	case last != nil && last.id == resp.token:
		return fail(ua.StatusBadSecureChannelTokenUnknown, "server gave the same token again")
	case !c.policy.none() && (len(resp.nonce) != nonceSize || sameBytes(resp.nonce, nonce)):
		return fail(ua.StatusBadNonceInvalid, "server's nonce is not 32 fresh bytes")
	case resp.lifetime < time.Second:
		return fail(ua.StatusBadTCPInternalError, "server gave a token with a lifetime below 1 s")
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
		if c.sendOpenRequest(true, number) != nil {
			return
		}
		select {
		case <-c.renewed:
		case <-c.done:
			return
		}
	}
}
