package mqtt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

func appendRecord(r record) []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(r.kind)}, r.run)
	return append(binary.BigEndian.AppendUint64(b, r.number), r.body...)
}

func TestGoldenRecord(t *testing.T) {
	got := hex.EncodeToString(appendRecord(record{kind: kindDeletion, run: 1, number: 2, body: []byte("t")}))
	if want := "020000000000000001000000000000000274"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzRecord checks that what parses is written the same, and that everything that is
// published has a topic that may be published.
func FuzzRecord(f *testing.F) {
	m := payload.Message{Topic: "a", QoS: 1, Retain: true, Payload: []byte("1")}
	for k := range kindLateDeletion + 2 {
		f.Add(appendRecord(record{kind: k, run: 1, number: 2, body: m.Append(nil)}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := parseRecord(b)
		if !ok {
			return
		}
		if got := appendRecord(r); !bytes.Equal(got, b) {
			t.Fatalf("got %x, want %x", got, b)
		}
		var m payload.Message
		if r.message(&m) && (!payload.ValidTopic(m.Topic) || r.kind != kindMessage && m.Retain == r.late()) {
			t.Fatalf("got %+v, want a valid topic, and retain for a state that is not late", m)
		}
	})
}
