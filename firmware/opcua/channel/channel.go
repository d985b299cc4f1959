package channel

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/opcua/uabinary"
)

// messageTime is how long one message may take from its first chunk to its last.
const messageTime = 30 * time.Second

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
		parts:    assembler{memory: conn, maxChunks: int(l.MaxChunks), skipLarge: client},
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

// SetMaxMessage changes how large a message is taken from now on, at most what the
// hello exchange said. A server grants little before a session is activated.
func (c *Channel) SetMaxMessage(n uint32) { c.maxBytes.Store(min(n, c.conn.Limits().MaxMessage)) }

// Recycle gives a received body back, to be overwritten by a later message.
func (c *Channel) Recycle(body []byte) {
	select {
	case c.recycled <- body:
	default:
	}
}

// Send sends one message. What the peer cannot take is refused before anything is
// sent, with Bad_ResponseTooLarge (server) or Bad_RequestTooLarge (client), so that
// a server can answer with a fault instead.
func (c *Channel) Send(requestID uint32, body []byte) error {
	return c.send(transport.ServiceMessage, requestID, body)
}

func (c *Channel) send(kind transport.MessageType, requestID uint32, body []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	k := c.tokens.sending(time.Now())
	if k == nil {
		return fail(ua.StatusBadSecureChannelClosed, "the channel's token has expired")
	}
	l := c.conn.Limits()
	room := k.send.room(int(l.SendChunk))
	chunks := max(1, (len(body)+room-1)/room)
	if (l.PeerMessage != 0 && len(body) > int(l.PeerMessage)) || (l.PeerChunks != 0 && chunks > int(l.PeerChunks)) {
		if c.client {
			return fail(ua.StatusBadRequestTooLarge, "the server takes no message this large")
		}
		return fail(ua.StatusBadResponseTooLarge, "the client takes no message this large")
	}
	for flag := transport.Intermediate; flag != transport.Final; {
		n := min(room, len(body))
		if n == len(body) {
			flag = transport.Final
		}
		if err := c.sendChunk(k, kind, flag, requestID, body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// Step says what follows a part of a message: More, nothing (Last), or that the message
// is aborted, with a bad status code.
type Step ua.StatusCode

// Steps.
const (
	More Step = 0
	Last Step = 1
)

// SendParts sends one message whose body comes in parts, chunk by chunk: next waits for
// another part. Nothing else is sent on the channel meanwhile. A message that becomes
// larger than the peer takes is aborted with Bad_ResponseTooLarge.
func (c *Channel) SendParts(requestID uint32, next func() ([]byte, Step)) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	l := c.conn.Limits()
	var waiting []byte // less than a chunk
	bytes, chunks := 0, uint32(0)
	for step := More; step == More; {
		var part []byte
		if part, step = next(); step != More && step != Last {
			return c.abort(requestID, ua.StatusCode(step))
		}
		bytes += len(part)
		if l.PeerMessage != 0 && bytes > int(l.PeerMessage) {
			return c.abort(requestID, ua.StatusBadResponseTooLarge)
		}
		for len(part) > 0 || step == Last {
			k := c.tokens.sending(time.Now())
			if k == nil {
				return fail(ua.StatusBadSecureChannelClosed, "the channel's token has expired")
			}
			room := k.send.room(int(l.SendChunk))
			n := min(room-len(waiting), len(part))
			waiting, part = append(waiting, part[:n]...), part[n:]
			final := step == Last && len(part) == 0
			if len(waiting) < room && !final {
				break
			}
			if chunks++; l.PeerChunks != 0 && chunks > l.PeerChunks {
				return c.abort(requestID, ua.StatusBadResponseTooLarge)
			}
			flag := transport.Intermediate
			if final {
				flag = transport.Final
			}
			if err := c.sendChunk(k, transport.ServiceMessage, flag, requestID, waiting); err != nil || final {
				return err
			}
			waiting = waiting[:0]
		}
	}
	return nil
}

// abort ends a message of which chunks are out (OPC 10000-6 §6.7.3).
func (c *Channel) abort(requestID uint32, code ua.StatusCode) error {
	k := c.tokens.sending(time.Now())
	if k == nil {
		return fail(ua.StatusBadSecureChannelClosed, "the channel's token has expired")
	}
	body := append(binary.LittleEndian.AppendUint32(nil, uint32(code)), 0xff, 0xff, 0xff, 0xff)
	return c.sendChunk(k, transport.ServiceMessage, transport.Abort, requestID, body)
}

// sendChunk seals a chunk and sends it. sending is held.
func (c *Channel) sendChunk(k *token, kind transport.MessageType, flag byte, requestID uint32, body []byte) error {
	if need := min(int(c.conn.Limits().SendChunk), symmetricBody+len(body)+aesRoom+signatureSize); cap(c.out) < need {
		c.out = make([]byte, 0, need)
	}
	b := transport.Header{Type: kind, Chunk: flag}.Append(c.out[:0])
	b = binary.LittleEndian.AppendUint32(b, c.id)
	b = binary.LittleEndian.AppendUint32(b, k.id)
	b = binary.LittleEndian.AppendUint32(b, c.nextSequence())
	b = binary.LittleEndian.AppendUint32(b, requestID)
	return c.conn.WriteChunk(k.send.seal(append(b, body...)))
}

// MaxSend is the largest message that the peer takes, bytes, as its hello said.
func (c *Channel) MaxSend() int {
	l, most := c.conn.Limits(), math.MaxInt
	if l.PeerMessage != 0 {
		most = int(l.PeerMessage)
	}
	if k := c.tokens.sending(time.Now()); k != nil && l.PeerChunks != 0 {
		most = min(most, int(l.PeerChunks)*k.send.room(int(l.SendChunk)))
	}
	return most
}

const aesRoom = 17 // the most that padding adds, its size included

func (c *Channel) nextSequence() uint32 {
	c.sendSeq = nextSequence(c.sendSeq)
	return c.sendSeq
}

// sendOpen sends an OPN chunk.
func (c *Channel) sendOpen(channel, request uint32, body []byte) error {
	h := openHeader{channel: channel, policy: c.policy.uri}
	if !c.policy.none() {
		h.certificate, h.thumbprint = c.identity.Certificate, Thumbprint(c.peer.Certificate)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	b, err := c.rsa.sealOpen(h, secured{c.nextSequence(), request, body})
	if err != nil {
		return err
	}
	return c.conn.WriteChunk(b)
}

// Receive waits for the next message. It answers renewals, enforces every rule of
// the channel, and on a breach tells the peer and closes. io.EOF means that the
// peer closed the channel or the connection. What a message takes of the memory that
// connections share is given back by the next call.
func (c *Channel) Receive() (Message, error) {
	c.parts.done()
	for {
		m, done, err := c.receiveChunk()
		if err != nil {
			return Message{}, c.end(err)
		}
		if done && (m.Status == 0 || c.client) { // an aborted request never was
			return m, nil
		}
	}
}

// end closes after err, telling the peer if it has not gone.
func (c *Channel) end(err error) error {
	var e *transport.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		err = io.EOF
	case errors.As(err, &e) && !e.Remote:
		c.conn.Fail(wireCode(e.Code), wireReason(e))
	}
	c.conn.Close()
	c.parts.drop()
	c.parts.done()
	return err
}

func (c *Channel) receiveChunk() (m Message, done bool, err error) {
	deadline := c.tokens.end()
	if c.parts.active && c.parts.since.Add(messageTime).Before(deadline) {
		deadline = c.parts.since.Add(messageTime)
	}
	h, chunk, err := c.conn.ReadChunk(deadline)
	if err != nil {
		return m, false, err
	}
	switch h.Type {
	case transport.ServiceMessage, transport.CloseChannel:
		return c.receiveSymmetric(h, chunk)
	case transport.OpenChannel:
		return m, false, c.receiveOpen(chunk)
	case transport.Err:
		return m, false, transport.ParseError(chunk[transport.HeaderSize:])
	}
	return m, false, fail(ua.StatusBadTCPMessageTypeInvalid, "message does not belong on an open channel")
}

func (c *Channel) receiveSymmetric(h transport.Header, chunk []byte) (m Message, done bool, err error) {
	if len(chunk) < symmetricBody {
		return m, false, fail(ua.StatusBadTCPInternalError, "chunk is smaller than its headers")
	}
	if binary.LittleEndian.Uint32(chunk[transport.HeaderSize:]) != c.id {
		return m, false, fail(ua.StatusBadTCPSecureChannelUnknown, "chunk names another channel")
	}
	now := time.Now()
	k := c.tokens.receiving(binary.LittleEndian.Uint32(chunk[transport.HeaderSize+4:]), now)
	if k == nil {
		return m, false, fail(ua.StatusBadSecureChannelTokenUnknown, "token is unknown or has expired")
	}
	inside, err := k.receive.open(chunk)
	if err != nil {
		return m, false, err
	}
	c.tokens.used(k)
	s, err := parseSecured(inside)
	if err != nil {
		return m, false, err
	}
	if !c.received.accept(s.sequence) {
		return m, false, fail(ua.StatusBadSequenceNumberInvalid, "sequence number does not follow")
	}
	if h.Type == transport.CloseChannel {
		return m, false, io.EOF
	}
	select {
	case b := <-c.recycled:
		c.parts.recycle(b)
	default:
	}
	c.parts.maxBytes = int(c.maxBytes.Load())
	return c.parts.add(h.Chunk, s.request, s.body, now)
}

// receiveOpen checks that an OPN chunk is from the peer the channel was opened
// with, and hands it on.
func (c *Channel) receiveOpen(chunk []byte) error {
	h, err := parseOpenHeader(chunk)
	if err != nil {
		return err
	}
	if h.channel != c.id {
		return fail(ua.StatusBadTCPSecureChannelUnknown, "open message names another channel")
	}
	if h.policy != c.policy.uri || !c.policy.none() &&
		(!sameBytes(LeafCertificate(h.certificate), LeafCertificate(c.peer.Certificate)) || !sameBytes(h.thumbprint, Thumbprint(c.identity.Certificate))) {
		return errSecurity()
	}
	s, err := c.rsa.openOpen(chunk, h)
	if err != nil {
		return err
	}
	if !c.received.accept(s.sequence) {
		return fail(ua.StatusBadSequenceNumberInvalid, "sequence number does not follow")
	}
	return c.open(h, s)
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

// Fail tells the peer why and closes the channel.
func (c *Channel) Fail(code ua.StatusCode, reason string) { c.conn.Fail(code, reason) }

// Close closes the channel; a client says so first.
func (c *Channel) Close() error {
	if c.client {
		body := appendRequestHeader(uabinary.AppendTypeID(nil, id.CloseSecureChannelRequest_Encoding_DefaultBinary), 0, time.Now())
		_ = c.send(transport.CloseChannel, 0, body)
	}
	return c.conn.Close()
}

// Nonce returns random bytes of the size the policies here want.
func Nonce() []byte {
	b := make([]byte, nonceSize)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}
