package record

import (
	"encoding/hex"
	"reflect"
	"testing"
)

func goldenUpdates() map[string]Update {
	return map[string]Update{
		"event":       {Channel: 0x1234, Seq: 1, Event: true, Payload: []byte("hello")},
		"timed event": {Channel: 1, Seq: 300, Event: true, Time: 1_700_000_000_000_000_001, Payload: []byte{}},
		"state":       {Channel: 0xffff, Seq: 70000, Created: 4, Key: []byte("a/b"), Payload: []byte("21.5")},
		"keyed event": {Channel: 2, Seq: 9, Created: 9, Key: []byte(""), Event: true, Payload: []byte("x")},
		"delete":      {Channel: 2, Seq: 10, Created: 9, Key: []byte("k"), Delete: true, Payload: []byte{}},
	}
}

func TestGoldenUpdates(t *testing.T) {
	want := golden(t)
	for name, u := range goldenUpdates() {
		t.Run(name, func(t *testing.T) {
			enc := u.Append(nil)
			if got := hex.EncodeToString(enc); got != want["update "+name] {
				t.Errorf("got  %s\nwant %s", got, want["update "+name])
			}
			var back Update
			if err := back.Parse(enc); err != nil || !reflect.DeepEqual(back, u) {
				t.Errorf("round trip: got %+v, %v; want %+v", back, err, u)
			}
		})
	}
}
