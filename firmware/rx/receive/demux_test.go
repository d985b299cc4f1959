package receive

import (
	"fmt"
	"testing"

	"heliograph/firmware/conduit/record"
)

func TestDemux(t *testing.T) {
	item := func(first, last bool, body string) record.Item {
		return record.Item{Kind: record.KindUpdate, First: first, Last: last, Body: []byte(body)}
	}
	hole := record.Item{}
	cases := map[string]struct {
		items []record.Item
		want  []string
	}{
		"whole": {[]record.Item{item(true, true, "a"), item(true, true, "b")}, []string{"a", "b"}},
		"pieces": {[]record.Item{item(true, false, "a"), item(false, false, "b"), item(false, true, "c")},
			[]string{"abc"}},
		"whole between pieces": {[]record.Item{item(true, false, "a"), item(true, true, "x"), item(false, true, "b")},
			[]string{"x", "ab"}},
		"a piece lost": {[]record.Item{item(true, false, "a"), hole, item(false, true, "c"),
			item(true, true, "d")}, []string{"d"}},
		"joined in the middle": {[]record.Item{item(false, false, "b"), item(false, true, "c")}, nil},
		"begun again": {[]record.Item{item(true, false, "a"), item(true, false, "b"), item(false, true, "c")},
			[]string{"bc"}},
		"the beginning was lost": {[]record.Item{hole, item(false, true, "c")}, nil},
	}
	later := record.Item{Kind: 31, First: true, Last: true, Body: []byte("x")}
	cases["kinds of later versions"] = struct {
		items []record.Item
		want  []string
	}{[]record.Item{later, item(true, false, "a"), later, item(false, true, "b")}, []string{"ab"}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var counts Counts
			var got []string
			d := NewDemux(&counts, func(_ record.Kind, body []byte) { got = append(got, string(body)) })
			for _, it := range c.items {
				if it.Body == nil {
					d.Hole()
					continue
				}
				d.Payload(append(record.AppendItem(nil, it), 0, 0))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnEndlessRecordIsBounded(t *testing.T) {
	var counts Counts
	d := NewDemux(&counts, func(record.Kind, []byte) { t.Error("delivered") })
	piece := make([]byte, 1<<16)
	first := true
	for range 3 * record.MaxRecord / len(piece) {
		d.Payload(record.AppendItem(nil, record.Item{Kind: record.KindUpdate, First: first, Body: piece}))
		first = false
	}
	if cap(d.partial) > 2*record.MaxRecord {
		t.Errorf("buffers %d bytes, want at most about %d", cap(d.partial), record.MaxRecord)
	}
}
