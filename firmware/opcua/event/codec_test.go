package event

import (
	"bytes"
	"encoding/hex"
	"os"
	"testing"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/opcua/rawvalue"
)

func TestParseRefuses(t *testing.T) {
	ev := alarm(t, "1", true)
	good := ev.Append(nil)
	field := func(more ...byte) []byte { // one field more
		b := append(append([]byte{}, good...), more...)
		b[11]++
		return b
	}
	tests := map[string][]byte{
		"nothing":                nil,
		"another version":        append([]byte{9}, good[1:]...),
		"another table":          append([]byte{1, 0}, good[2:]...),
		"a cut":                  good[:len(good)-1],
		"more behind":            append(append([]byte{}, good...), 0),
		"a number again":         field(7, 0, 1, 1),
		"a number of no field":   field(8, 0, 1, 1),
		"a null that is encoded": nullFirst(good),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(b, ev.Table, rawvalue.Limits{}); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

// nullFirst puts a null Absent, field 6, before field 7.
func nullFirst(good []byte) []byte {
	tail := len(good) - 2 - 17 // number, array of three Int32
	b := append([]byte{}, good[:tail]...)
	b = append(append(b, 6, 0, 0), good[tail:]...)
	b[11]++
	return b
}

func TestGolden(t *testing.T) {
	ev := alarm(t, "golden", true)
	ev.Notifiers = []rawvalue.NodeID{num(id.Server)}
	got := hex.EncodeToString(ev.Table.Append(nil)) + "\n" + hex.EncodeToString(ev.Append(nil)) + "\n"
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil || got != string(want) {
		t.Errorf("got\n%swant\n%s%v", got, want, err)
	}
}

func FuzzParse(f *testing.F) {
	table := alarm(f, "1", true).Table
	f.Add(alarm(f, "1", true).Append(nil))
	f.Add(table.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ev, err := Parse(b, table, rawvalue.Limits{}); err == nil {
			again, err := Parse(ev.Append(nil), table, rawvalue.Limits{})
			if err != nil || !bytes.Equal(again.Append(nil), ev.Append(nil)) {
				t.Errorf("got %+v, %v, want % x", again, err, b)
			}
		}
		if parsed, err := ParseTable(b); err == nil {
			again, err := ParseTable(parsed.Append(nil))
			if err != nil || again.ID() != parsed.ID() {
				t.Errorf("table % x: got %v, want it again", b, err)
			}
		}
	})
}
