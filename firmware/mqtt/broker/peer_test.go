package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	packets3 "github.com/eclipse/paho.mqtt.golang/packets"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/mqtt/packet"
)

var start = time.Unix(1_700_000_000, 0)

// peer is a client's connection whose answers are read by other decoders than
// ours: paho's for 5 and paho's for 3.1.1.
type peer struct {
	t       testing.TB
	c       *Conn
	now     time.Time
	version byte
	ended   bool
}

func address(s string) netip.Prefix { return netip.MustParsePrefix(s + "/32") }

func newPeer(t testing.TB, b *Broker, version byte, from string) *peer {
	return &peer{t: t, c: b.Accept(address(from), func(bool) {}), version: version, now: start}
}

// connect is a peer with a session. props are properties of CONNECT on 5.
func connect(t testing.TB, b *Broker, version byte, id string, clean bool, props ...byte) *peer {
	t.Helper()
	p := newPeer(t, b, version, "10.0.0.1")
	p.connect(id, "", clean, props...)
	if got := p.read(); len(got) != 1 || got[0].code != 0 || got[0].kind != packet.Connack {
		t.Fatalf("connecting %s: got %v, want CONNACK with 0", id, got)
	}
	return p
}

func (p *peer) connect(id, user string, clean bool, props ...byte) {
	p.t.Helper()
	flags := byte(0)
	if clean {
		flags = 2
	}
	if user != "" {
		flags |= 0x80
	}
	body := append(appendString(nil, "MQTT"), p.version, flags, 0, 60)
	if p.version == 5 {
		body = append(append(body, byte(len(props))), props...)
	}
	body = appendString(body, id)
	if user != "" {
		body = appendString(body, user)
	}
	in, err := DecodeConnect(packet.Connect<<4, body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.c.Connect(p.now, in, true)
}

func (p *peer) send(header byte, body ...byte) bool { return p.c.Packet(p.now, header, body) }

func (p *peer) subscribe(filter string, options byte, props ...byte) []answer {
	p.t.Helper()
	body := []byte{0, 1}
	if p.version == 5 {
		body = append(append(body, byte(len(props))), props...)
	}
	p.send(packet.Subscribe<<4|2, append(appendString(body, filter), options)...)
	got := p.read()
	if len(got) == 0 || got[0].kind != packet.Suback {
		p.t.Fatalf("subscribing to %s: got %v, want SUBACK", filter, got)
	}
	return got
}

func (p *peer) ack(kind byte, id uint16) {
	header := kind << 4
	if kind == packet.Pubrel {
		header |= 2
	}
	p.send(header, binary.BigEndian.AppendUint16(nil, id)...)
}

// answer is a packet of the broker.
type answer struct {
	kind    byte
	topic   string
	payload string
	qos     byte
	retain  bool
	dup     bool
	id      uint16
	code    byte
	present bool
	ids     []int
	expiry  uint32
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s %q q%d retain %v dup %v id %d code %#x", a.kind, a.topic, a.payload, a.qos, a.retain,
		a.dup, a.id, a.code)
}

// read takes everything that the broker has for the peer now.
func (p *peer) read() (got []answer) {
	p.t.Helper()
	var all bytes.Buffer
	for {
		out := p.c.Next(p.now)
		n := 0
		for _, s := range out.Segments {
			n += len(s)
			all.Write(s)
		}
		p.ended = out.End
		if n == 0 && !out.Again || out.End {
			break
		}
	}
	for all.Len() > 0 {
		got = append(got, p.decode(&all))
	}
	return got
}

func (p *peer) decode(r *bytes.Buffer) answer {
	p.t.Helper()
	if p.version == 5 {
		cp, err := packets.ReadPacket(r)
		if err != nil {
			p.t.Fatalf("paho cannot read what the broker sends: %v", err)
		}
		switch c := cp.Content.(type) {
		case *packets.Publish:
			a := answer{kind: packet.Publish, topic: c.Topic, payload: string(c.Payload), qos: c.QoS, retain: c.Retain,
				dup: c.Duplicate, id: c.PacketID}
			if c.Properties.SubscriptionIdentifier != nil {
				a.ids = append(a.ids, *c.Properties.SubscriptionIdentifier)
			}
			if c.Properties.MessageExpiry != nil {
				a.expiry = *c.Properties.MessageExpiry
			}
			return a
		case *packets.Connack:
			return answer{kind: packet.Connack, code: c.ReasonCode, present: c.SessionPresent}
		case *packets.Suback:
			return answer{kind: packet.Suback, id: c.PacketID, code: c.Reasons[0]}
		case *packets.Unsuback:
			return answer{kind: packet.Unsuback, id: c.PacketID, code: c.Reasons[0]}
		case *packets.Puback:
			return answer{kind: packet.Puback, id: c.PacketID, code: c.ReasonCode}
		case *packets.Pubrec:
			return answer{kind: packet.Pubrec, id: c.PacketID, code: c.ReasonCode}
		case *packets.Pubrel:
			return answer{kind: packet.Pubrel, id: c.PacketID, code: c.ReasonCode}
		case *packets.Pubcomp:
			return answer{kind: packet.Pubcomp, id: c.PacketID, code: c.ReasonCode}
		case *packets.Disconnect:
			return answer{kind: packet.Disconnect, code: c.ReasonCode}
		}
		return answer{kind: byte(cp.Type)}
	}
	cp, err := packets3.ReadPacket(r)
	if err != nil {
		p.t.Fatalf("paho cannot read what the broker sends: %v", err)
	}
	switch c := cp.(type) {
	case *packets3.PublishPacket:
		return answer{kind: packet.Publish, topic: c.TopicName, payload: string(c.Payload), qos: c.Qos,
			retain: c.Retain,
			dup:    c.Dup, id: c.MessageID}
	case *packets3.ConnackPacket:
		return answer{kind: packet.Connack, code: c.ReturnCode, present: c.SessionPresent}
	case *packets3.SubackPacket:
		return answer{kind: packet.Suback, id: c.MessageID, code: c.ReturnCodes[0]}
	case *packets3.UnsubackPacket:
		return answer{kind: packet.Unsuback, id: c.MessageID}
	case *packets3.PubrelPacket:
		return answer{kind: packet.Pubrel, id: c.MessageID}
	case *packets3.PubrecPacket:
		return answer{kind: packet.Pubrec, id: c.MessageID}
	case *packets3.PubackPacket:
		return answer{kind: packet.Puback, id: c.MessageID}
	}
	return answer{kind: 0xff}
}

func message(topic string, qos byte, retain bool, text string) *Message {
	return NewMessage(&payload.Message{Topic: topic, QoS: qos, Retain: retain, Payload: []byte(text)}, 0, start)
}

// texts are the payloads of the messages among answers.
func texts(got []answer) (all []string) {
	for _, a := range got {
		if a.kind == packet.Publish {
			all = append(all, a.payload)
		}
	}
	return all
}
