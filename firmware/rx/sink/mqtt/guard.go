package mqtt

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// guard is the embedded broker's policy: who may come in, and that nobody publishes.
type guard struct {
	mochi.HookBase
	e         *embedded
	publishes atomic.Uint64 // refused
	order     int64         // of messages; by the one publisher

	publishing atomic.Bool // the publisher is in the server
}

// ID implements mochi.Hook.
func (g *guard) ID() string { return "guard" }

// Provides implements mochi.Hook.
func (g *guard) Provides(b byte) bool {
	return slices.Contains([]byte{
		mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe, mochi.OnSubscribed,
		mochi.OnPublish, mochi.OnPacketEncode, mochi.OnQosComplete, mochi.OnQosDropped, mochi.OnPublishDropped,
	}, b)
}

// OnConnect bounds the sessions, and takes a will away: the server would
// publish it without asking OnACLCheck.
func (g *guard) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	if server := g.e.server.Load(); server == nil || server.Clients.Len() >= maxSessions {
		g.e.connectionsRefused.Add(1)
		return packets.ErrServerBusy
	}
	if pk.Connect.WillFlag {
		cl.Properties.Will = mochi.Will{}
		g.publishes.Add(1)
	}
	// The server parks what exceeds a client's Receive Maximum and takes it up
	// in any order; OnPacketEncode waits instead.
	if o, ok := cl.Net.Conn.(*outlet); ok {
		o.admitted(cl, int(cl.Properties.Props.ReceiveMaximum))
	}
	cl.State.Inflight.ResetSendQuota(0)
	cl.Properties.Props.TopicAliasMaximum = 0
	return nil
}

// OnConnectAuthenticate implements mochi.Hook.
func (g *guard) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	verify := g.e.sink.deps.Verify
	if verify == nil || verify(string(pk.Connect.Username), string(pk.Connect.Password), remoteIP(cl.Net.Conn)) {
		return true
	}
	g.e.connectionsRefused.Add(1)
	return false
}

// remoteIP is the address of a connection's peer, for which tries are counted.
func remoteIP(c net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // the zero address for what has none
	return a.Addr()
}

// denied is a filter that OnACLCheck refuses; nothing of the server's own is shown.
const denied = "$SYS"

// OnACLCheck lets everybody read what crossed, and nobody write. The server
// asks for every message to every client, so that they can be counted.
func (g *guard) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	if write {
		g.publishes.Add(1)
		return false
	}
	if o, ok := cl.Net.Conn.(*outlet); ok && g.publishing.Load() {
		o.offer(1)
	}
	return !strings.HasPrefix(topic, denied)
}

// OnPublish numbers messages where the server has a time in seconds by which it
// orders what it sends again.
func (g *guard) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	g.order++
	pk.Created = g.order
	return pk, nil
}

// OnSubscribe bounds the subscriptions, and takes the sending of retained
// messages over: the server drops what does not fit into a client's queue at once.
func (g *guard) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	o, ok := cl.Net.Conn.(*outlet)
	if !ok {
		return pk
	}
	pk.Filters = slices.Clone(pk.Filters)
	o.asked = o.asked[:0]
	have := cl.State.Subscriptions.Len()
	for i := range pk.Filters {
		sub := &pk.Filters[i]
		_, existed := cl.State.Subscriptions.Get(sub.Filter)
		if !existed {
			have++
		}
		if have > maxSubscriptions {
			sub.Filter = denied
		}
		wanted := *sub
		if mochi.IsSharedFilter(sub.Filter) || sub.RetainHandling == 2 || sub.RetainHandling == 1 && existed {
			wanted.Filter = ""
		}
		o.asked = append(o.asked, wanted)
		sub.RetainHandling = 2
	}
	return pk
}

// OnSubscribed starts the sending of retained messages.
func (g *guard) OnSubscribed(cl *mochi.Client, _ packets.Packet, codes []byte) {
	o, ok := cl.Net.Conn.(*outlet)
	server := g.e.server.Load()
	if !ok || server == nil {
		return
	}
	for i, sub := range o.asked {
		if i < len(codes) && codes[i] <= 2 && sub.Filter != "" {
			o.feed(server, cl, sub)
		}
	}
}

// OnPacketEncode holds a message back while its client does not keep up. It
// runs in front of the client's lock, which the publisher needs too.
func (g *guard) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if o, ok := cl.Net.Conn.(*outlet); ok && pk.FixedHeader.Type == packets.Publish {
		o.admit(pk.FixedHeader.Qos > 0, pk.FixedHeader.Dup)
	}
	return pk
}

// OnQosComplete implements mochi.Hook.
func (g *guard) OnQosComplete(cl *mochi.Client, _ packets.Packet) {
	if o, ok := cl.Net.Conn.(*outlet); ok {
		o.acknowledged()
	}
}

// OnQosDropped implements mochi.Hook.
func (g *guard) OnQosDropped(cl *mochi.Client, pk packets.Packet) { g.OnQosComplete(cl, pk) }

// OnPublishDropped implements mochi.Hook.
func (g *guard) OnPublishDropped(cl *mochi.Client, _ packets.Packet) {
	if o, ok := cl.Net.Conn.(*outlet); ok {
		o.offer(-1)
	}
}
