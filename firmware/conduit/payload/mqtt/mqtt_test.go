package mqtt

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func goldens() []struct {
	name string
	Message
} {
	utf8, json, empty := byte(1), "application/json", ""
	return []struct {
		name string
		Message
	}{
		{"plain", Message{Topic: "a/b", QoS: 1, Payload: []byte("21.5")}},
		{"cleared", Message{Topic: "a", QoS: 0, Retain: true, Payload: []byte{}}},
		{"all properties", Message{
			Topic: "t", QoS: 2, Retain: true, Payload: []byte("{}"), PayloadFormat: &utf8, Expires: true, Expiry: 300,
			Received: time.UnixMilli(1_700_000_000_123), ContentType: &json, ResponseTopic: "r",
			CorrelationData: []byte{}, User: []Property{{"k", "1"}, {"k", "1"}, {"", ""}},
		}},
		{"empty properties", Message{Topic: "t", Payload: []byte{}, Expires: true, Received: time.UnixMilli(1),
			ContentType: &empty}},
	}
}

func TestGoldenMessages(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, g := range goldens() {
		enc := g.Append(nil)
		got.WriteString(g.name + ": " + hex.EncodeToString(enc) + "\n")
		var back Message
		if err := back.Parse(enc); err != nil || !reflect.DeepEqual(back, g.Message) {
			t.Errorf("%s: got %+v, %v; want %+v", g.name, back, err, g.Message)
		}
	}
	if got.String() != string(golden) {
		t.Errorf("got\n%swant\n%s", got.String(), golden)
	}
}

func TestTopics(t *testing.T) {
	for topic, want := range map[string]bool{
		"": false, "a": true, "a/#": false, "+": false, "a\x00": false, "\xff": false, "/": true, "ä": true,
		strings.Repeat("x", 65535): true, strings.Repeat("x", 65536): false,
	} {
		if got := ValidTopic(topic); got != want {
			t.Errorf("%.20q: got %v, want %v", topic, got, want)
		}
	}
}

func TestExpiryIsCountedDown(t *testing.T) {
	at := time.Unix(1000, 0)
	m := Message{Expires: true, Expiry: 10, Received: at}
	for after, want := range map[time.Duration]uint32{-time.Hour: 10, 0: 10, 500 * time.Millisecond: 10,
		9500 * time.Millisecond: 1} {
		if left, expired := m.Left(at.Add(after)); left != want || expired {
			t.Errorf("after %s: got %d, expired %v; want %d", after, left, expired, want)
		}
	}
	if _, expired := m.Left(at.Add(10 * time.Second)); !expired {
		t.Error("not expired after its time")
	}
	if left, expired := (&Message{}).Left(at); left != 0 || expired {
		t.Errorf("without expiry: got %d, %v", left, expired)
	}
}

// FuzzParse checks that what decodes encodes to the same bytes.
func FuzzParse(f *testing.F) {
	for _, g := range goldens() {
		f.Add(g.Append(nil))
	}
	f.Add([]byte{1, 16, 1, 'a', 32, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		if m.Parse(b) != nil {
			return
		}
		if got := m.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("got %x, want %x", got, b)
		}
	})
}
