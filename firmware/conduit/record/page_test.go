package record

import (
	"reflect"
	"testing"
)

func goldenPage() (Page, []Entry, []byte) {
	p := Page{Channel: 7, Last: true, Seq: 1000, From: 10, To: 600}
	es := []Entry{
		{Created: 11, Seq: 11, Key: []byte("k1"), Payload: []byte("v1")},
		{Created: 500, Seq: 999, Time: 1_700_000_000_000_000_000, Key: []byte("k2"), Payload: []byte{}},
		{Created: 501, Seq: 501, Time: 1_699_999_999_999_999_900, Key: []byte("k3"),
			Payload: []byte("fifteen letters")},
		{Created: 502, Seq: 502, Time: 1_699_999_999_999_999_900, Key: []byte("k4"), Payload: []byte("4")},
		{Created: 600, Seq: 600, Time: 1_699_999_999_999_999_901, Key: []byte("k5"), Payload: []byte("5")},
	}
	b := AppendPage(nil, &p)
	run := Run{Created: p.From}
	for i := range es {
		b = run.AppendEntry(b, &es[i])
	}
	return p, es, b
}

func TestPageRoundTrip(t *testing.T) {
	p, es, b := goldenPage()
	var back Page
	if err := back.Parse(b); err != nil {
		t.Fatal(err)
	}
	var got []Entry
	if err := back.Entries(func(e *Entry) { got = append(got, *e) }); err != nil {
		t.Fatal(err)
	}
	back.entries = nil
	if !reflect.DeepEqual(back, p) || !reflect.DeepEqual(got, es) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", back, got, p, es)
	}
}
