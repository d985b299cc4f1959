package broker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/packet"
)

func TestExchangesOfEachQoS(t *testing.T) {
	for _, version := range []byte{4, 5} {
		b := New(Config{}, "t")
		p := connect(t, b, version, "a", true)
		p.subscribe("t/#", 2)
		for qos := range byte(3) {
			b.Publish(message("t/x", qos, true, "v"))
			got := p.read()
			if len(got) != 1 || got[0].topic != "t/x" || got[0].payload != "v" || got[0].qos != qos || got[0].retain ||
				got[0].dup {
				t.Fatalf("version %d, QoS %d: got %v", version, qos, got)
			}
			switch id := got[0].id; qos {
			case 1:
				p.ack(packet.Puback, id)
			case 2:
				p.ack(packet.Pubrec, id)
				if got := p.read(); len(got) != 1 || got[0].kind != packet.Pubrel || got[0].id != id {
					t.Fatalf("version %d: got %v after PUBREC, want PUBREL", version, got)
				}
				p.ack(packet.Pubcomp, id)
			}
			if n := len(b.sessions["a"].flights); n != 0 {
				t.Errorf("version %d, QoS %d: %d exchanges are open, want 0", version, qos, n)
			}
		}
		p.c.Close(start)
		if b.held != 0 || len(b.sessions) != 0 {
			t.Errorf("version %d: %d bytes in %d sessions are held after a clean session, want none", version, b.held,
				len(b.sessions))
		}
	}
}

func TestAResumedSessionGetsWhatItDidNotAcknowledge(t *testing.T) {
	for _, version := range []byte{4, 5} {
		b := New(Config{}, "t")
		hour := []byte{propSessionExpiry, 0, 0, 0x0e, 0x10}
		p := connect(t, b, version, "a", false, hour...)
		p.subscribe("#", 2)
		for i := range 4 {
			b.Publish(message("t", byte(1+i%2), false, fmt.Sprint(i)))
		}
		sent := p.read()
		p.ack(packet.Puback, sent[0].id)
		p.ack(packet.Pubrec, sent[1].id)
		p.c.Close(start)
		b.Publish(message("t", 1, false, "away"))
		b.Publish(message("t", 0, false, "not kept"))

		p = newPeer(t, b, version, "10.0.0.1")
		p.connect("a", "", false, append(hour, propReceiveMaximum, 0, 2)...)
		got := p.read()
		if !got[0].present {
			t.Fatalf("version %d: got %v, want the session present", version, got[0])
		}
		if version == 5 && len(got) != 3 {
			t.Errorf("version 5: got %v, want two more than CONNACK, being the client's Receive Maximum", got)
		}
		var order []string
		for left := got[1:]; len(left) > 0; left = p.read() {
			for _, a := range left {
				switch {
				case a.kind == packet.Pubrel:
					order = append(order, "release")
					p.ack(packet.Pubcomp, a.id)
				default:
					order = append(order, fmt.Sprint(a.payload, a.dup))
					if a.qos == 1 {
						p.ack(packet.Puback, a.id)
					} else {
						p.ack(packet.Pubrec, a.id)
						p.ack(packet.Pubcomp, a.id)
					}
				}
			}
		}
		order = slices.DeleteFunc(order, func(s string) bool { return s == "release" })
		if want := "[2true 3true awayfalse]"; fmt.Sprint(order) != want {
			t.Errorf("version %d: got %v, want %s", version, order, want)
		}
	}
}

func TestReceiveMaximumAndPacketSizeAreKept(t *testing.T) {
	b := New(Config{}, "t")
	p := connect(t, b, 5, "a", true, propReceiveMaximum, 0, 3, propMaximumPacket, 0, 0, 0, 100)
	p.subscribe("#", 1)
	b.Publish(message("big", 1, false, strings.Repeat("x", 200)))
	for i := range 7 {
		b.Publish(message("t", 1, false, fmt.Sprint(i)))
	}
	var all []string
	for range 7 {
		got := p.read()
		if len(got) > 3 {
			t.Fatalf("got %d messages at once, want 3 at most", len(got))
		}
		for _, a := range got {
			p.ack(packet.Puback, a.id)
		}
		all = append(all, texts(got)...)
	}
	if fmt.Sprint(all) != "[0 1 2 3 4 5 6]" || b.stats.Oversized != 1 {
		t.Errorf("got %v and %d too large, want 0 to 6 and 1", all, b.stats.Oversized)
	}
}

func TestMessagesExpire(t *testing.T) {
	b := New(Config{}, "t")
	m := func(topic string, left uint32) *Message {
		return NewMessage(&payload.Message{Topic: topic, QoS: 1, Retain: true, Payload: []byte("v"), Expires: true},
			left,
			start)
	}
	p := connect(t, b, 5, "a", true)
	p.subscribe("#", 1)
	b.Publish(m("short", 10))
	b.Publish(m("long", 100))
	p.now = start.Add(30 * time.Second)
	if got := p.read(); len(got) != 1 || got[0].topic != "long" || got[0].expiry != 70 || b.stats.Expired != 1 {
		t.Errorf("got %v, expiry %d, want long with 70 s left", got, got[0].expiry)
	}
	late := connect(t, b, 5, "b", true)
	late.now = p.now
	if got := late.subscribe("#", 1)[1:]; len(got) != 1 || got[0].topic != "long" || got[0].expiry != 70 {
		t.Errorf("retained: got %v, want long with 70 s left", got)
	}
	b.Expire(start.Add(101 * time.Second))
	if n := len(b.retained.byTopic); n != 0 {
		t.Errorf("%d retained messages after their time, want none", n)
	}
}

func TestRetainedMessages(t *testing.T) {
	b := New(Config{}, "t")
	for i := range 3000 {
		b.Publish(message(fmt.Sprintf("r/%d", i), byte(i%3), true, "old"))
	}
	b.Publish(message("r/0", 1, true, ""))
	b.Publish(message("$SYS/x", 1, true, "hidden"))
	p := connect(t, b, 5, "a", true)
	seen := map[string]bool{}
	read := func(got []answer) {
		for ; len(got) > 0; got = p.read() {
			for _, a := range got {
				if a.kind != packet.Publish {
					continue
				}
				if seen[a.topic] || !a.retain || a.payload != "old" {
					t.Fatalf("got %v, want each retained message once", a)
				}
				seen[a.topic] = true
				switch a.qos {
				case 1:
					p.ack(packet.Puback, a.id)
				case 2:
					p.ack(packet.Pubrec, a.id)
					p.ack(packet.Pubcomp, a.id)
				}
			}
		}
	}
	if b.held != 0 {
		t.Errorf("%d bytes are held for sessions, want none: the store is not theirs", b.held)
	}
	read(p.subscribe("#", 2))
	if len(seen) != 2999 || seen["$SYS/x"] {
		t.Errorf("got %d retained messages, want 2999 without the cleared and the $ topic", len(seen))
	}
	for options, want := range map[byte]int{0x10: 1, 0x20: 1, 0x00: 3000} { // the SUBACK counts
		again := p.subscribe("#", options)
		for got := again; len(got) > 0; got = p.read() {
			again = append(again, got...)
		}
		if options == 0 && len(again) < want || options != 0 && len(again) > 2*want {
			t.Errorf("retain handling %d: got %d packets, want %d", options>>4, len(again), want)
		}
	}
	if got := p.subscribe("r/7", 0x18)[1:]; len(got) != 1 || got[0].topic != "r/7" {
		t.Errorf("a filter without wildcards: got %v, want its message", got)
	}
	b.Publish(message("r/7", 0, true, "new"))
	if got := p.read(); len(got) != 1 || !got[0].retain {
		t.Errorf("retain as published: got %v, want one with the flag", got)
	}
}

// TestReplacingASubscriptionLosesNoRetainedMessages has a client subscribe again before it has all
// retained messages, as many libraries do at every connect (MQTT 5, section 3.8.4).
func TestReplacingASubscriptionLosesNoRetainedMessages(t *testing.T) {
	const n = 100
	props := []byte{propSessionExpiry, 0, 0, 0x0e, 0x10, propReceiveMaximum, 0, 10}
	for name, c := range map[string]struct {
		handling  byte
		reconnect bool
	}{
		"sent where it is new":                         {handling: 1},
		"sent where it is new, after a new connection": {handling: 1, reconnect: true},
		"not sent":                         {handling: 2},
		"not sent, after a new connection": {handling: 2, reconnect: true},
		"sent":                             {handling: 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := New(Config{}, "t")
			for i := range n {
				b.Publish(message(fmt.Sprintf("r/%d", i), 1, true, "old"))
			}
			p := connect(t, b, 5, "a", false, props...)
			seen := map[string]bool{}
			got := p.subscribe("#", 1)
			if c.reconnect {
				p.c.Close(start)
				p = newPeer(t, b, 5, "10.0.0.1")
				p.connect("a", "", false, props...)
				got = p.read()
			}
			for got = append(got, p.subscribe("#", c.handling<<4|1)...); len(got) > 0; got = p.read() {
				for _, a := range got {
					if a.kind == packet.Publish {
						seen[a.topic] = true
						p.ack(packet.Puback, a.id)
					}
				}
			}
			if len(seen) != n {
				t.Errorf("got %d retained messages, want %d", len(seen), n)
			}
		})
	}
}

// TestARetainedMessageNeverFollowsANewerOne changes the topics while the old
// values are on their way.
func TestARetainedMessageNeverFollowsANewerOne(t *testing.T) {
	b := New(Config{}, "t")
	const n = 30000
	for i := range n {
		b.Publish(message(fmt.Sprint("r/", i), 0, true, "0"))
	}
	p := connect(t, b, 5, "a", true)
	body := append(appendString([]byte{0, 1, 0}, "r/#"), 0)
	p.send(packet.Subscribe<<4|2, body...)
	last, round := map[string]string{}, 0
	for more := true; more; round++ {
		out := p.c.Next(start)
		more = out.Again
		for _, s := range out.Segments {
			p.collect(t, s, last)
		}
		for i := range 50 {
			b.Publish(message(fmt.Sprint("r/", (round*50+i*97)%n), 0, true, fmt.Sprint(round+1)))
		}
	}
	for b.sessions["a"].queue.len() > 0 {
		for _, s := range p.c.Next(start).Segments {
			p.collect(t, s, last)
		}
	}
	if len(last) != n || round < 3 {
		t.Fatalf("got %d topics in %d rounds, want %d in several", len(last), round, n)
	}
	for topic, m := range b.retained.byTopic {
		if last[topic] != string(m.payload) {
			t.Errorf("%s: the last value is %s, want %s", topic, last[topic], m.payload)
		}
	}
}

func (p *peer) collect(t *testing.T, segment []byte, last map[string]string) {
	t.Helper()
	for rest := bytes.NewBuffer(segment); rest.Len() > 0; {
		if a := p.decode(rest); a.kind == packet.Publish {
			if a.payload < last[a.topic] && len(a.payload) == len(last[a.topic]) {
				t.Fatalf("%s: got %s after %s", a.topic, a.payload, last[a.topic])
			}
			if a.retain != (a.payload == "0") {
				t.Fatalf("got %v, want what came after the subscription once, without the flag", a)
			}
			last[a.topic] = a.payload
		}
	}
}

func TestOverlappingSubscriptionsGiveOneMessage(t *testing.T) {
	b := New(Config{}, "t")
	p := connect(t, b, 5, "a", true)
	p.subscribe("a/+", 0, propSubscription, 7)
	p.subscribe("a/#", 2, propSubscription, 9)
	b.Publish(message("a/b", 1, false, "v"))
	out := p.c.Next(start).Segments
	if got := string(out[0]); strings.Count(got, "\x0b\x07") != 1 || strings.Count(got, "\x0b\x09") != 1 ||
		strings.Count(got, "a/b") != 1 || got[0]>>1&3 != 1 {
		t.Errorf("got %q, want one message of QoS 1 with both identifiers", got)
	}
	p.send(packet.Unsubscribe<<4|2, appendString([]byte{0, 2, 0}, "a/#")...)
	if got := p.read(); got[0].kind != packet.Unsuback || got[0].code != 0 {
		t.Errorf("got %v, want UNSUBACK with 0", got)
	}
	p.send(packet.Unsubscribe<<4|2, appendString([]byte{0, 2, 0}, "a/#")...)
	if got := p.read(); got[0].code != reasonNoSubscription {
		t.Errorf("got %v, want 0x11: no subscription existed", got)
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	b := New(Config{Subscriptions: 3}, "t")
	for filter, want := range map[string]Fault{
		"$share/g/t": noShared, "a#": badFilter, "a/#/b": badFilter, "a+/b": badFilter,
		strings.Repeat("/", maxLevels): badFilter,
	} {
		five, three := connect(t, b, 5, "5", true), connect(t, b, 4, "3", true)
		if got := five.subscribe(filter, 1)[0].code; got != byte(want) {
			t.Errorf("%.20q: got %#x, want %#x", filter, got, want)
		}
		if got := three.subscribe(filter, 1)[0].code; got != 0x80 {
			t.Errorf("%.20q on 3.1.1: got %#x, want 0x80", filter, got)
		}
	}
	p := connect(t, b, 5, "many", true)
	for i, want := range []byte{1, 1, 1, byte(quotaExceeded)} {
		if got := p.subscribe(fmt.Sprint(i), 1)[0].code; got != want {
			t.Errorf("subscription %d: got %#x, want %#x", i, got, want)
		}
	}
	if got := p.subscribe("0", 2)[0].code; got != 2 {
		t.Errorf("one that exists: got %#x, want it replaced", got)
	}
}

func TestSessionsEnd(t *testing.T) {
	b := New(Config{SessionExpiry: time.Minute}, "t")
	day := []byte{propSessionExpiry, 0, 1, 0x51, 0x80}
	p := connect(t, b, 5, "a", false, day...)
	p.c.Close(start)
	if b.Expire(start.Add(59 * time.Second)); len(b.sessions) != 1 {
		t.Fatal("the session is gone after 59 s, want a minute")
	}
	if b.Expire(start.Add(time.Minute)); len(b.sessions) != 0 {
		t.Fatal("the session is there after a minute")
	}
	first := connect(t, b, 5, "a", false, day...)
	first.subscribe("#", 1)
	second := newPeer(t, b, 5, "10.0.0.2")
	second.connect("a", "", false, day...)
	if got := second.read(); !got[0].present {
		t.Errorf("got %v, want the session taken over", got)
	}
	if got := first.read(); got[0].code != byte(takenOver) || !first.ended {
		t.Errorf("got %v, want the first connection to end with 0x8e", got)
	}
	stranger := newPeer(t, b, 5, "10.0.0.3")
	stranger.connect("a", "bob", false, day...)
	if got := stranger.read(); got[0].present {
		t.Error("another user got the session")
	}
	stranger.send(packet.Disconnect<<4, 0, 5, propSessionExpiry, 0, 0, 0, 0)
	if len(b.sessions) != 0 {
		t.Error("the session outlives a DISCONNECT with expiry 0")
	}
	brief := connect(t, b, 5, "brief", true)
	if brief.send(packet.Disconnect<<4, 0, 5, propSessionExpiry, 0, 0, 0,
		9); brief.read()[0].code != byte(ProtocolError) {
		t.Error("an expiry that rises from 0 is taken")
	}
	none := newPeer(t, b, 4, "10.0.0.1")
	if none.connect("", "", false); none.read()[0].code != 2 {
		t.Error("3.1.1 without identifier and without clean session: want code 2")
	}
}

func TestPublishersAreRefusedOrServed(t *testing.T) {
	b := New(Config{}, "t")
	five, three := connect(t, b, 5, "5", true), connect(t, b, 4, "3", true)
	five.subscribe("#", 2)
	for qos, want := range []byte{0, packet.Puback, packet.Pubrec} {
		body := appendString(nil, "x")
		if qos > 0 {
			body = append(body, 0, 9)
		}
		five.send(packet.Publish<<4|byte(qos)<<1, append(body, 0, 'v')...)
		got := five.read()
		if want == 0 && len(got) != 0 || want != 0 &&
			(len(got) != 1 || got[0].kind != want || got[0].code != byte(notAuthorized)) {
			t.Errorf("QoS %d: got %v, want kind %d with 0x87", qos, got, want)
		}
	}
	if !three.send(packet.Publish<<4, append(appendString(nil, "x"), 'v')...) ||
		three.send(packet.Publish<<4|2, append(appendString(nil, "x"), 0, 1, 'v')...) {
		t.Error("3.1.1: want QoS 0 ignored and QoS 1 to end the connection")
	}
	if b.stats.NotPublished != 5 {
		t.Errorf("got %d refused, want 5", b.stats.NotPublished)
	}

	b = New(Config{Writable: true}, "t")
	p := connect(t, b, 5, "p", true)
	p.subscribe("#", 0x02)
	p.subscribe("x", 0x04) // no local, but the other subscription
	body := append(appendString(nil, "x"), 0, 9, 0, 'v')
	p.send(packet.Publish<<4|4, body...)
	p.send(packet.Publish<<4|4|8, body...)
	got := p.read()
	if fmt.Sprint(texts(got)) != "[v]" || got[0].kind != packet.Pubrec || got[1].kind != packet.Pubrec {
		t.Errorf("got %v, want two PUBREC and the message once", got)
	}
	p.ack(packet.Pubrel, 9)
	if got := p.read(); got[0].kind != packet.Pubcomp || got[0].code != 0 {
		t.Errorf("got %v, want PUBCOMP", got)
	}
}
