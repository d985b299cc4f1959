package mqtt

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Our own bounds.
const (
	connectTime = 10 * time.Second // for TLS and CONNECT
	byeTime     = 2 * time.Second  // for the last bytes
	softBytes   = 256 << 10        // waiting for a client's socket, before messages are held back
	hardBytes   = 1 << 20          // before the client is given up
	lagLow      = 64               // messages
	lagHigh     = maxWaiting / 4
)

var errSlow = errors.New("mqtt: the client reads too slowly")

// outlet is a client's connection to which a write never blocks: the server
// writes under a lock that the publisher needs, too. What waits is bounded;
// messages wait in admit, outside that lock.
type outlet struct {
	net.Conn

	mu       sync.Mutex
	changed  sync.Cond // over mu
	pending  []byte
	err      error
	closing  bool
	maximum  int // the client's Receive Maximum; 0: none
	unacked  int
	waiting  int       // messages that the server keeps for the client, about
	behind   time.Time // since when there are many; zero: not
	client   *mochi.Client
	feeding  bool
	feeds    []packets.Subscription
	onClosed func(*outlet)

	asked []packets.Subscription // between OnSubscribe and OnSubscribed of the reading goroutine
}

func newOutlet(conn net.Conn, onClosed func(*outlet)) *outlet {
	o := &outlet{Conn: conn, onClosed: onClosed}
	o.changed.L = &o.mu
	_ = conn.SetReadDeadline(time.Now().Add(connectTime))
	return o
}

// SetDeadline is the server's keep-alive; writing has its own.
func (o *outlet) SetDeadline(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return nil
	}
	return o.Conn.SetReadDeadline(t)
}

func (o *outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > 0 && len(o.pending)+len(b) > hardBytes && o.err == nil {
		o.err = errSlow
		o.Conn.Close()
	}
	if o.err == nil && o.closing {
		o.err = net.ErrClosed
	}
	if o.err != nil {
		return 0, o.err
	}
	o.pending = append(o.pending, b...)
	o.changed.Broadcast()
	return len(b), nil
}

// Close ends the connection once the last bytes are out, or too late.
func (o *outlet) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closing {
		o.closing = true
		_ = o.Conn.SetReadDeadline(time.Unix(1, 0))
		_ = o.Conn.SetWriteDeadline(time.Now().Add(byeTime))
		o.changed.Broadcast()
	}
	return nil
}

// run writes until the connection ends.
func (o *outlet) run() {
	defer o.onClosed(o)
	defer o.Conn.Close()
	var out []byte
	for {
		o.mu.Lock()
		for len(o.pending) == 0 && !o.closing && o.err == nil {
			o.changed.Wait()
		}
		if o.err != nil || len(o.pending) == 0 {
			o.mu.Unlock()
			return
		}
		out, o.pending = o.pending, out[:0]
		if !o.closing {
			_ = o.Conn.SetWriteDeadline(time.Now().Add(writeTime))
		}
		o.changed.Broadcast()
		o.mu.Unlock()
		if _, err := o.Conn.Write(out); err != nil {
			o.mu.Lock()
			o.err = err
			o.changed.Broadcast()
			o.mu.Unlock()
		}
	}
}

// admitted says which client it is.
func (o *outlet) admitted(cl *mochi.Client, maximum int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.client, o.maximum = cl, maximum
}

// offer counts messages that the server puts into the client's queue.
func (o *outlet) offer(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting += n
}

// lags tells whether the client needs a moment, and still gets one.
func (o *outlet) lags(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client == nil || o.closing || o.err != nil {
		return false
	}
	open := o.client.State.Inflight.Len()
	if o.waiting < lagLow && open < lagLow+maxInflight/4 {
		o.behind = time.Time{}
	}
	if o.waiting < lagHigh && open < maxInflight*3/4 {
		return false
	}
	if o.behind.IsZero() {
		o.behind = now
	}
	return now.Sub(o.behind) < patienceTime
}

// admit waits until the client can take a message. One that is sent again on a
// new connection does not wait, for nobody reads acknowledgements yet.
func (o *outlet) admit(acknowledged, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !again && o.err == nil && !o.closing &&
		(len(o.pending) > softBytes || acknowledged && o.maximum > 0 && o.unacked >= o.maximum) {
		o.changed.Wait()
	}
	if acknowledged {
		o.unacked++
	}
	if !again {
		o.waiting--
	}
}

func (o *outlet) acknowledged() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unacked > 0 {
		o.unacked--
	}
	o.changed.Broadcast()
}

// feed sends a subscriber the retained messages, as fast as it takes them.
func (o *outlet) feed(server *mochi.Server, cl *mochi.Client, sub packets.Subscription) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.feeds = slices.DeleteFunc(o.feeds, func(s packets.Subscription) bool { return s.Filter == sub.Filter })
	if len(o.feeds) >= maxSubscriptions {
		return
	}
	o.feeds = append(o.feeds, sub)
	if o.feeding {
		return
	}
	o.feeding = true
	go func() {
		for sub, ok := o.nextFeed(); ok; sub, ok = o.nextFeed() {
			for _, pk := range server.Topics.Messages(sub.Filter) {
				if !o.feedOne(server, cl, sub, pk.TopicName) {
					break
				}
			}
		}
	}()
}

func (o *outlet) nextFeed() (sub packets.Subscription, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.feeds) == 0 || o.err != nil || o.closing {
		o.feeding = false
		return sub, false
	}
	sub, o.feeds = o.feeds[0], o.feeds[1:]
	return sub, true
}

// feedOne sends the retained message of a topic. When a newer one came in
// between, it may have overtaken, and is sent again.
func (o *outlet) feedOne(server *mochi.Server, cl *mochi.Client, sub packets.Subscription, topic string) bool {
	for {
		pk, ok := server.Topics.Retained.Get(topic)
		if !ok {
			return true
		}
		out := pk.Copy(false)
		out.FixedHeader.Retain, out.FixedHeader.Qos = true, min(pk.FixedHeader.Qos, sub.Qos)
		if sub.Identifier > 0 {
			out.Properties.SubscriptionIdentifier = []int{sub.Identifier}
		}
		o.offer(1)
		if out.FixedHeader.Qos > 0 {
			if !o.inflightRoom(cl) {
				return false
			}
			id, err := cl.NextPacketID()
			if err != nil {
				return false
			}
			out.PacketID = uint16(id)
			cl.State.Inflight.Set(out)
		}
		if cl.WritePacket(out) != nil && cl.Closed() {
			return false
		}
		if now, ok := server.Topics.Retained.Get(topic); !ok || now.Created == pk.Created {
			return true
		}
	}
}

// inflightRoom leaves most of what a client may leave open to what comes.
func (o *outlet) inflightRoom(cl *mochi.Client) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for cl.State.Inflight.Len() > maxInflight/4 && o.err == nil && !o.closing {
		o.changed.Wait()
	}
	return o.err == nil && !o.closing
}
