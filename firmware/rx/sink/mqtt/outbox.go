package mqtt

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	pahologger "github.com/eclipse/paho.golang/paho/log"
	pahosession "github.com/eclipse/paho.golang/paho/session"
)

// outbox is the library's session, reduced to messages that are on their way
// out, in order: nothing outlives a connection.
type outbox struct {
	wake chan struct{}

	mu    sync.Mutex
	conn  io.Writer
	sent  []*outgoing
	byID  map[uint16]*outgoing
	last  uint16
	spare []verdict
}

type outgoing struct {
	id      uint16 // 0: QoS 0
	done    bool
	verdict verdict
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), byID: map[uint16]*outgoing{}}
}

// add notes a message and returns its packet identifier.
func (o *outbox) add(qos byte) uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if qos == 0 {
		o.sent = append(o.sent, &outgoing{done: true})
		return 0
	}
	for {
		o.last++
		if o.last != 0 && o.byID[o.last] == nil {
			break
		}
	}
	out := &outgoing{id: o.last}
	o.byID[out.id] = out
	o.sent = append(o.sent, out)
	return out.id
}

// open returns how many exchanges are open.
func (o *outbox) open() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID)
}

// settled returns the verdicts on the oldest messages, waiting a while for the first.
func (o *outbox) settled(wait time.Duration) []verdict {
	got := o.takeSettled()
	if len(got) > 0 || wait == 0 {
		return got
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-o.wake:
	case <-t.C:
	}
	return o.takeSettled()
}

// takeSettled removes the oldest messages whose exchange has ended, and returns their
// verdicts, valid until the next call.
func (o *outbox) takeSettled() []verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = o.spare[:0]
	for len(o.sent) > len(o.spare) && o.sent[len(o.spare)].done {
		o.spare = append(o.spare, o.sent[len(o.spare)].verdict)
	}
	o.sent = append(o.sent[:0], o.sent[len(o.spare):]...)
	return o.spare
}

// end closes the exchange of a message.
func (o *outbox) end(id uint16, v verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if out := o.byID[id]; out != nil {
		out.done, out.verdict = true, v
		delete(o.byID, id)
		if len(o.sent) > 0 && o.sent[0].done {
			signal(o.wake)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var errSubscribes = errors.New("mqtt: nothing is subscribed here")

// ConAckReceived implements the library's session.
func (o *outbox) ConAckReceived(w io.Writer, _ *packets.Connect, _ *packets.Connack) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conn = w
	return nil
}

// ConnectionLost implements the library's session.
func (o *outbox) ConnectionLost(*packets.Disconnect) error { signal(o.wake); return nil }

// AddToSession implements the library's session.
func (o *outbox) AddToSession(context.Context, pahosession.Packet, chan<- packets.ControlPacket) error {
	return errSubscribes
}

// PacketReceived implements the library's session.
func (o *outbox) PacketReceived(p *packets.ControlPacket, _ chan<- *packets.Publish) error {
	switch c := p.Content.(type) {
	case *packets.Puback:
		o.end(c.PacketID, refused(c.ReasonCode, c.Reason()))
	case *packets.Pubrec:
		if c.ReasonCode >= 0x80 {
			o.end(c.PacketID, refused(c.ReasonCode, c.Reason()))
			return nil
		}
		_, err := (&packets.Pubrel{PacketID: c.PacketID}).WriteTo(o.conn)
		return err
	case *packets.Pubcomp:
		o.end(c.PacketID, nil)
	}
	return nil
}

// Ack implements the library's session.
func (o *outbox) Ack(*packets.Publish) error { return nil }

// Close implements the library's session.
func (o *outbox) Close() error { return nil }

// SetErrorLogger implements the library's session.
func (o *outbox) SetErrorLogger(pahologger.Logger) {}

// SetDebugLogger implements the library's session.
func (o *outbox) SetDebugLogger(pahologger.Logger) {}
