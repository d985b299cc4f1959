package broker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	packets3 "github.com/eclipse/paho.mqtt.golang/packets"

	"heliograph/firmware/mqtt/packet"
	"heliograph/firmware/mqtt/topicfilter"
)

// FuzzPackets gives a broker any bytes that a client may send, while messages
// are published. Nothing panics, what it holds stays within its budget and is
// counted right, and other decoders read what it answers.
func FuzzPackets(f *testing.F) {
	for _, version := range []byte{4, 5} {
		props := map[byte]string{4: "", 5: "\x00"}[version]
		f.Add(version, []byte("\x82\x06\x00\x01"+props+"\x00\x01#\x02"), []byte("\x50\x02\x00\x01\x70\x02\x00\x01"),
			true)
		f.Add(version, []byte("\xa2\x05\x00\x01"+props+"\x00\x01#\xc0\x00"),
			[]byte("\x34\x06\x00\x01a\x00\x01"+props+"v"),
			false)
		f.Add(version, []byte("\x82\x05\x00\x01"+props+"\x00\x01#"), []byte("\xe0\x00"), false)
	}
	f.Add(byte(bridgeLevel), []byte("\x82\x06\x00\x01\x00\x01#\x02"), []byte("\x33\x05\x00\x01a\x00\x01"), true)
	f.Add(byte(5), []byte("\x82\x08\x00\x01\x02\x0b\x07\x00\x01+\x0d"), []byte("\xe0\x07\x00\x05\x11\x00\x00\x00\x00"),
		true)
	f.Fuzz(func(t *testing.T, version byte, first, second []byte, writable bool) {
		if version != bridgeLevel {
			version = 4 + version&1
		}
		b := New(Config{Share: 5000, Budget: 9000, Sessions: 3, Writable: writable}, "t")
		b.Publish(message("r/1", 2, true, "retained"))
		p := newPeer(t, b, version, "10.0.0.1")
		p.connect("a", "", false, hourOn(version)...)
		sendAll(p, first)
		for i := range 3 {
			b.Publish(message("t/"+fmt.Sprint(i), byte(i), i == 1, strings.Repeat("v", 100*i)))
		}
		answers := drain(p)
		sendAll(p, second)
		answers = append(answers, drain(p)...)
		if version == 5 {
			readAll(t, answers, func(r *bytes.Buffer) error { _, err := packets.ReadPacket(r); return err })
		} else {
			readAll(t, answers, func(r *bytes.Buffer) error { _, err := packets3.ReadPacket(r); return err })
		}
		p.c.Close(start)
		if b.held > b.cfg.Budget+5000 {
			t.Fatalf("%d bytes are held, the budget is %d", b.held, b.cfg.Budget)
		}
		b.Expire(start.Add(2 * time.Hour))
		if b.held != 0 || len(b.sessions) != 0 || len(b.tree.next) != 0 {
			t.Fatalf("%d bytes, %d sessions and %d filters are left, want none", b.held, len(b.sessions),
				len(b.tree.next))
		}
	})
}

func hourOn(version byte) []byte {
	if version != 5 {
		return nil
	}
	return hour
}

// sendAll cuts bytes into packets as package server does.
func sendAll(p *peer, b []byte) {
	for len(b) >= 2 && b[1] < 0x80 && len(b) >= 2+int(b[1]) {
		if !p.send(b[0], b[2:2+b[1]]...) {
			return
		}
		b = b[2+b[1]:]
	}
}

func drain(p *peer) (all []byte) {
	for {
		out, n := p.c.Next(p.now), 0
		for _, s := range out.Segments {
			all = append(all, s...)
			n += len(s)
		}
		if n == 0 && !out.Again || out.End {
			return all
		}
	}
}

func readAll(t *testing.T, b []byte, read func(*bytes.Buffer) error) {
	t.Helper()
	for r := bytes.NewBuffer(b); r.Len() > 0; {
		if err := read(r); err != nil {
			t.Fatalf("another decoder cannot read %x: %v", b, err)
		}
	}
}

// FuzzConnect checks that CONNECT is read within its bytes, or refused.
func FuzzConnect(f *testing.F) {
	f.Add([]byte("\x00\x04MQTT\x05\xee\x00\x3c\x05\x11\x00\x00\x00\x05\x00\x01a" +
		"\x00\x00\x01w\x00\x01x\x00\x01u\x00\x01p"))
	f.Add([]byte("\x00\x04MQTT\x04\x02\x00\x3c\x00\x01s"))
	f.Add([]byte("\x00\x04MQTT\x84\x02\x00\x3c\x00\x01s"))
	f.Add([]byte("\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01s"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeConnect(packet.Connect<<4, b)
		if err == nil && (len(c.ClientID)+len(c.Username)+len(c.Password) > len(b) || c.Bridge && c.Version != 4) {
			t.Fatalf("got %+v from %d bytes", c, len(b))
		}
	})
}

// FuzzTree checks the tree of subscriptions against the rule for one filter.
func FuzzTree(f *testing.F) {
	for _, s := range [][2]string{
		{"a/+/c", "a/b/c"}, {"a/#", "a"}, {"#", "$SYS/x"}, {"+", "/"}, {"+/+", "/a"}, {"$SYS/#", "$SYS/x"}, {"/#",
			"/"}, {"a//b", "a//b"}, {"+/monitor", "$SYS/monitor"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if !validFilter(filter) || topic == "" || hasWildcard(topic) {
			return
		}
		var tr tree
		sub := &subscription{session: &session{}}
		tr.add(filter, sub)
		found := 0
		tr.find(topic, func(*subscription) { found++ })
		if want := topicfilter.Match(filter, topic); found > 1 || want != (found == 1) {
			t.Fatalf("%q for %q: the tree finds %d, the rule says %v", filter, topic, found, want)
		}
		if !hasWildcard(filter) && topicfilter.Match(filter, topic) != (filter == topic) {
			t.Fatalf("%q for %q: got %v", filter, topic, topicfilter.Match(filter, topic))
		}
		if tr.remove(filter, sub.session); len(tr.next) != 0 {
			t.Fatalf("%q leaves nodes behind", filter)
		}
	})
}

// TestMalformedPackets has one packet for each rule that a client can break.
func TestMalformedPackets(t *testing.T) {
	for name, c := range map[string]struct {
		header byte
		body   string
		want   Fault
	}{
		"reserved type":             {0x00, "", ProtocolError},
		"CONNECT twice":             {0x10, "", ProtocolError},
		"AUTH":                      {0xf0, "", ProtocolError},
		"flags of SUBSCRIBE":        {0x80, "\x00\x01\x00\x00\x01#\x01", Malformed},
		"SUBSCRIBE without options": {0x82, "\x00\x01\x00\x00\x01#", Malformed},
		"SUBSCRIBE without filters": {0x82, "\x00\x01\x00", ProtocolError},
		"packet identifier 0":       {0x82, "\x00\x00\x00\x00\x01#\x01", ProtocolError},
		"QoS 3 in SUBSCRIBE":        {0x82, "\x00\x01\x00\x00\x01#\x03", Malformed},
		"retain handling 3":         {0x82, "\x00\x01\x00\x00\x01#\x30", Malformed},
		"reserved option bits":      {0x82, "\x00\x01\x00\x00\x01#\x40", Malformed},
		"subscription identifier 0": {0x82, "\x00\x01\x02\x0b\x00\x00\x01#\x01", ProtocolError},
		"a property twice":          {0x82, "\x00\x01\x04\x0b\x01\x0b\x01\x00\x01#\x01", Malformed},
		"a property out of place":   {0x82, "\x00\x01\x03\x21\x00\x01\x00\x01#\x01", Malformed},
		"properties too long":       {0x82, "\x00\x01\xff\xff\xff\x7f", Malformed},
		"a length of five bytes":    {0x82, "\x00\x01\xff\xff\xff\xff\x01", Malformed},
		"a string too long":         {0x82, "\x00\x01\x00\xff\xff#\x01", Malformed},
		"a string that is not UTF8": {0x82, "\x00\x01\x00\x00\x01\xff\x01", Malformed},
		"a NUL in a string":         {0x82, "\x00\x01\x00\x00\x01\x00\x01", Malformed},
		"QoS 3 in PUBLISH":          {0x36, "\x00\x01a\x00\x01\x00", Malformed},
		"DUP with QoS 0":            {0x38, "\x00\x01a\x00", Malformed},
		"a wildcard in a topic":     {0x30, "\x00\x01#\x00", Malformed},
		"a topic alias":             {0x30, "\x00\x00\x03\x23\x00\x01", badAlias},
		"PUBACK cut short":          {0x40, "\x00", Malformed},
		"PUBACK too long":           {0x40, "\x00\x01\x00\x00x", Malformed},
		"PINGREQ with a body":       {0xc0, "x", Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			b := New(Config{}, "t")
			p := connect(t, b, 5, "a", true)
			p.send(c.header, []byte(c.body)...)
			if got := p.read(); len(got) != 1 || got[0].kind != packet.Disconnect || got[0].code != byte(c.want) ||
				!p.ended {
				t.Errorf("got %v, want DISCONNECT with %#x", got, byte(c.want))
			}
			if want := uint64(1); c.want != badAlias && b.stats.Malformed != want {
				t.Errorf("got %d counted, want %d", b.stats.Malformed, want)
			}
		})
	}
}
