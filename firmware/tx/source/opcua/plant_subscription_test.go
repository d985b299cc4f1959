package opcua

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

// monitor makes items, and sends their first values.
func (p *plc) monitor(r *request) ([]byte, ua.StatusCode) {
	sub := p.subs[r.Uint32()]
	r.Skip(4)
	n := r.Length(1)
	p.items[uint32(n)]++
	if sub == nil {
		return nil, ua.StatusBadSubscriptionIDInvalid
	}
	b := u32(nil, uint32(n))
	var first []uint32
	for range n {
		it := plcItem{}
		it.node, _ = rawvalue.ParseNodeID(r.NodeID())
		it.attribute = r.Uint32()
		r.Bytes()
		r.QualifiedName()
		r.Skip(4)
		handle := r.Uint32()
		r.Skip(8)
		filter := r.ExtensionObject()
		r.Skip(5)
		status := ua.StatusOK
		if it.attribute == uint32(ua.AttributeIDEventNotifier) {
			if it.fields = selected(filter); p.clauses > 0 && len(it.fields) > p.clauses {
				status = ua.StatusBadEventFilterInvalid
			}
		} else if _, ok := p.nodes[it.node]; !ok {
			status = ua.StatusBadNodeIDUnknown
		} else {
			first = append(first, handle)
		}
		if status == 0 {
			sub.items[handle] = it
		}
		b = u32(u32(b, uint32(status)), 1000+handle)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(50))
		b = append(u32(b, 10), 0, 0, 0)
	}
	time.AfterFunc(time.Millisecond, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.report(sub, first)
	})
	return u32(b, servertest.Null), 0
}

// unmonitor answers that the items are gone; they stay in the list, so that a test sees
// what is still reported.
func (p *plc) unmonitor(r *request) ([]byte, ua.StatusCode) {
	r.Skip(4)
	n := r.Length(4)
	b := u32(nil, uint32(n))
	return u32(append(b, make([]byte, 4*n)...), servertest.Null), 0
}

// selected returns the last names of the paths of an event filter.
func selected(filter rawvalue.ExtensionObject) (names []string) {
	c := rawvalue.NewCursor(filter.Body, rawvalue.Limits{})
	for range c.Length(10) {
		c.NodeID()
		name := ""
		for range c.Length(6) {
			name = string(c.QualifiedName().Name)
		}
		c.Skip(4)
		c.Bytes()
		names = append(names, name)
	}
	return names
}

// report sends the values of items in one notification. mu is held.
func (p *plc) report(sub *plcSubscription, handles []uint32) {
	count := uint32(0)
	var b []byte
	for _, h := range handles {
		if it, ok := sub.items[h]; ok && !p.mute[it.node] {
			b = append(u32(b, h), p.attribute(it.node, ua.AttributeIDValue)...)
			count++
		}
	}
	if count == 0 {
		return
	}
	body := append(u32(nil, count), b...)
	if p.badValue {
		p.badValue = false
		body = append(u32(u32(nil, 1), handles[0]), 0xff, 0xff, 0xff)
	}
	if p.badData {
		p.badData = false
		body = append(u32(nil, count), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	p.say(sub, servertest.Extension(id.DataChangeNotification_Encoding_DefaultBinary, u32(body, servertest.Null)))
}

// say answers a waiting Publish with a notification. mu is held.
func (p *plc) say(sub *plcSubscription, notifications ...[]byte) {
	if len(notifications) > 0 {
		sub.sequence++
		if p.dropNext > 0 {
			p.dropNext--
			return
		}
	}
	at := slices.IndexFunc(p.waiting, func(r request) bool { return r.Channel == sub.session })
	if at < 0 {
		return
	}
	r := p.waiting[at]
	p.waiting = slices.Delete(p.waiting, at, at+1)
	sub.said = time.Now()
	sequence := sub.sequence
	if len(notifications) == 0 {
		sequence++ // a keep-alive names the next
	}
	b := append(u32(u32(nil, sub.id), 0), 0) // nothing else is available, no more follow
	b = u32(b, sequence)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = u32(b, uint32(len(notifications)))
	for _, n := range notifications {
		b = append(b, n...)
	}
	p.Respond(r, append(u32(b, servertest.Null), 0xff, 0xff, 0xff, 0xff), 0)
}

func (p *plc) keepAlive(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for _, sub := range p.subs {
			if time.Since(sub.said) >= 2*time.Second {
				p.say(sub)
			}
		}
		p.mu.Unlock()
	}
}

// set changes the value of a variable and reports it.
func (p *plc) set(node rawvalue.NodeID, dataValue []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[node] = dataValue
	for _, sub := range p.subs {
		for h, it := range sub.items {
			if it.node == node && it.attribute == uint32(ua.AttributeIDValue) {
				p.report(sub, []uint32{h})
			}
		}
	}
}
