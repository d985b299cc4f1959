package channel

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// Send sends one message. If it exceeds the peer's limits nothing is sent, and the error is
// Bad_ResponseTooLarge (server) or Bad_RequestTooLarge (client), so that a server can
// answer with a fault instead.
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
			return fail(ua.StatusBadRequestTooLarge, "message exceeds the server's limit")
		}
		return fail(ua.StatusBadResponseTooLarge, "message exceeds the client's limit")
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

// Step is what follows a part of a message: More, nothing (Last), or an abort with a bad
// status code.
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

// abort ends a message of which chunks have been sent (OPC 10000-6 §6.7.3).
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

// MaxSend returns the size of the largest message that the peer's hello allows.
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
