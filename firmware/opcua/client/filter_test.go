package client

import (
	"bytes"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

func TestFilterGolden(t *testing.T) {
	for name, c := range map[string]struct {
		got  Filter
		want []byte
	}{
		"a data change": {DataChange(ua.DataChangeTriggerStatusValueTimestamp), []byte{
			1, 0, 0xd4, 0x02, 1, 16, 0, 0, 0, // i=724, 16 bytes
			2, 0, 0, 0, 0, 0, 0, 0, // StatusValueTimestamp, no deadband
			0, 0, 0, 0, 0, 0, 0, 0,
		}},
		"events": {Events([]SelectClause{{Path: []rawvalue.QualifiedName{{Namespace: 1, Name: []byte("A")}}}}),
			[]byte{
				1, 0, 0xd7, 0x02, 1, 31, 0, 0, 0, // i=727, 31 bytes
				1, 0, 0, 0, 1, 0, 0xf9, 0x07, // one clause, of BaseEventType, i=2041
				1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 'A', // 1:A
				13, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, // Value, no index range
				0, 0, 0, 0, // no where clause
			}},
	} {
		if !bytes.Equal(c.got.raw, c.want) {
			t.Errorf("%s: got %x, want %x", name, c.got.raw, c.want)
		}
	}
}
