package channel

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// messageTime is how long a request may take from its first chunk to its last. Of a response, which may be
// large and its line slow, it is from each chunk to the next; the request has a time-out of its own.
const messageTime = 30 * time.Second

// Receive waits for the next message. It answers renewals, enforces every rule of
// the channel, and on a violation sends the peer an error and closes. io.EOF means
// that the peer closed the channel or the connection. The next call releases the shared
// memory that the message occupies.
func (c *Channel) Receive() (Message, error) {
	c.parts.release()
	for {
		m, done, err := c.receiveChunk()
		if err != nil {
			return Message{}, c.end(err)
		}
		if done && (m.Status == 0 || c.client) { // an aborted request is dropped
			return m, nil
		}
	}
}

// end closes after err, with an error message if the peer is still connected.
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
	c.parts.release()
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
	return m, false, fail(ua.StatusBadTCPMessageTypeInvalid, "message type is not allowed on an open channel")
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
	c.tokens.markUsed(k)
	s, err := parseSecured(inside)
	if err != nil {
		return m, false, err
	}
	if !c.received.accept(s.sequence) {
		return m, false, fail(ua.StatusBadSequenceNumberInvalid, "sequence number is out of order")
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

// receiveOpen checks that an OPN chunk is from the peer that opened the channel, and
// handles it.
func (c *Channel) receiveOpen(chunk []byte) error {
	h, err := parseOpenHeader(chunk)
	if err != nil {
		return err
	}
	if h.channel != c.id {
		return fail(ua.StatusBadTCPSecureChannelUnknown, "open message names another channel")
	}
	if h.policy != c.policy.uri || !c.policy.none() &&
		(!sameBytes(LeafCertificate(h.certificate), LeafCertificate(c.peer.Certificate)) ||
			!sameBytes(h.thumbprint, Thumbprint(c.identity.Certificate))) {
		return errSecurity()
	}
	s, err := c.rsa.openOpen(chunk, h)
	if err != nil {
		return err
	}
	if !c.received.accept(s.sequence) {
		return fail(ua.StatusBadSequenceNumberInvalid, "sequence number is out of order")
	}
	return c.open(h, s)
}
