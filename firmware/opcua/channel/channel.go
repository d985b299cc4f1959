package channel

import (
	"crypto/rand"
	"crypto/x509"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// Peer is the other end of a channel.
type Peer struct {
	Security
	Chain       []*x509.Certificate // leaf first; nil with policy None
	Certificate []byte              // the chain's DER as the peer sent it
	Address     netip.Addr
	EndpointURL string
}

// Channel is an open secure channel. One goroutine receives; any number send.
type Channel struct {
	conn     *transport.Conn
	client   bool
	id       uint32
	peer     Peer
	identity Identity
	policy   policy
	rsa      *asymmetric
	tokens   tokens

	sending  sync.Mutex
	sendSeq  uint32
	out      []byte // the chunk being built, reused
	received sequence
	parts    assembler
	recycled chan []byte
	maxBytes atomic.Uint32
	// open handles an OPN chunk that arrives on the open channel.
	open func(h openHeader, s secured) error
}

func newChannel(conn *transport.Conn, client bool, identity Identity, a *asymmetric, peer Peer) *Channel {
	l := conn.Limits()
	c := &Channel{
		conn: conn, client: client, identity: identity, policy: a.policy, rsa: a, peer: peer,
		recycled: make(chan []byte, 1),
		parts:    assembler{memory: conn, maxChunks: int(l.MaxChunks), client: client},
	}
	c.tokens.client = client
	c.maxBytes.Store(l.MaxMessage)
	return c
}

// ID is the channel's number, random.
func (c *Channel) ID() uint32 { return c.id }

// Peer describes the other end.
func (c *Channel) Peer() Peer { return c.peer }

// Identity is the certificate and key this channel was opened with.
func (c *Channel) Identity() Identity { return c.identity }

// Conn is the connection below.
func (c *Channel) Conn() *transport.Conn { return c.conn }

// SetMaxMessage changes the size of the largest message accepted, at most that of the hello
// exchange. A server accepts only small ones before a session is activated.
func (c *Channel) SetMaxMessage(n uint32) { c.maxBytes.Store(min(n, c.conn.Limits().MaxMessage)) }

// Recycle returns a received body, to be overwritten by a later message.
func (c *Channel) Recycle(body []byte) {
	select {
	case c.recycled <- body:
	default:
	}
}

// newToken derives the keys of a token from both nonces.
func (c *Channel) newToken(number uint32, lifetime time.Duration, ours, theirs []byte) (*token, error) {
	k := &token{id: number, created: time.Now(), lifetime: lifetime}
	var err error
	if k.send, err = newDirection(c.policy, c.peer.Mode, theirs, ours, true); err != nil {
		return nil, err
	}
	if k.receive, err = newDirection(c.policy, c.peer.Mode, ours, theirs, false); err != nil {
		return nil, err
	}
	return k, nil
}

// Fail sends the peer an error message and closes the channel.
func (c *Channel) Fail(code ua.StatusCode, reason string) { c.conn.Fail(code, reason) }

// Close closes the channel; a client sends a CloseSecureChannel request first.
func (c *Channel) Close() error {
	if c.client {
		body := appendRequestHeader(uabinary.AppendTypeID(nil, id.CloseSecureChannelRequest_Encoding_DefaultBinary), 0,
			time.Now())
		_ = c.send(transport.CloseChannel, 0, body)
	}
	return c.conn.Close()
}

// Nonce returns random bytes of the size that the policies require.
func Nonce() []byte {
	b := make([]byte, nonceSize)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}
