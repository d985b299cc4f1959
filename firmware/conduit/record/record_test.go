package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
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

func golden(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, hexed, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			out[name] = hexed
		}
	}
	return out
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

func goldenPage() (Page, []Entry, []byte) {
	p := Page{Channel: 7, Last: true, Seq: 1000, From: 10, To: 600}
	es := []Entry{
		{Created: 11, Seq: 11, Key: []byte("k1"), Payload: []byte("v1")},
		{Created: 500, Seq: 999, Time: 1_700_000_000_000_000_000, Key: []byte("k2"), Payload: []byte{}},
		{Created: 501, Seq: 501, Time: 1_699_999_999_999_999_900, Key: []byte("k3"), Payload: []byte("fifteen letters")},
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

func goldenBatch() []byte {
	const at = 1_700_000_000_000_000_000
	b, run := AppendBatch(nil, 7, 1000), Run{}
	b = run.AppendChange(b, 12, at, []byte("v1"))
	b = run.AppendChange(b, 13, at, []byte("v2"))
	b = run.AppendChange(b, 400, at+1_000_000, []byte("fifteen letters"))
	b = run.AppendChange(b, 400, 0, nil)
	return run.AppendChange(b, 1, at-1, []byte("v5"))
}

func TestGoldenOthers(t *testing.T) {
	want := golden(t)
	_, _, page := goldenPage()
	cases := map[string][]byte{
		"page":                    page,
		"batch":                   goldenBatch(),
		"manifest":                (&Manifest{Channel: 3, Partial: true, Seq: 128, Keys: 2, Hash: KeyHash([]byte("k"), 7)}).Append(nil),
		"totals":                  (&Totals{Channel: 3, State: 1, Seq: 5, Conflated: 300, Dropped: 1, Keys: 2, Reason: "up"}).Append(nil),
		"totals of a later epoch": (&Totals{Channel: 3, Partial: true, State: 2, Seq: 5, Keys: 2, Earlier: 800, Reason: "refused"}).Append(nil),
		"heartbeat":               (&Heartbeat{UTC: 1_700_000_000_000_000_000, ClockSet: true, Uptime: 1500}).Append(nil),
		"item":                    AppendItem(nil, Item{Kind: KindUpdate, First: true, Body: []byte("abc")}),
	}
	for name, enc := range cases {
		if got := hex.EncodeToString(enc); got != want[name] {
			t.Errorf("%s: got  %s\nwant %s", name, got, want[name])
		}
	}
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

func TestMalformedIsRefused(t *testing.T) {
	update := func(b ...byte) error { return new(Update).Parse(b) }
	cases := map[string]error{
		"empty update":             update(),
		"sequence 0":               update(0, 1, flagEvent, 0),
		"neither event nor key":    update(0, 1, 0, 1),
		"unknown flag":             update(0, 1, 16|flagEvent, 1),
		"older than its channel":   update(0, 1, flagKeyed, 1, 1, 1, 'k'),
		"key longer than the body": update(0, 1, flagKeyed, 1, 0, 9, 'k'),
		"overlong varint":          update(0, 1, flagEvent, 0x81, 0),
		"delete without a key":     update(0, 1, flagEvent|flagDelete, 1),
		"short heartbeat":          new(Heartbeat).Parse(make([]byte, 9)),
		"totals with flag 4":       new(Totals).Parse([]byte{0, 1, 4, 1, 1, 0, 0, 0}),
		"totals of 0 earlier":      new(Totals).Parse([]byte{0, 1, 2, 1, 1, 0, 0, 0, 0}),
		"totals in no state":       new(Totals).Parse([]byte{0, 1, 0, 3, 1, 0, 0, 0}),
		"manifest with a tail":     new(Manifest).Parse(append((&Manifest{}).Append(nil), 0)),
	}
	for name, err := range cases {
		if err != ErrMalformed {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

func TestMalformedBatchesAreRefused(t *testing.T) {
	for name, body := range map[string][]byte{
		"no change":                   {0, 7, 9},
		"number 0":                    {0, 7, 0, 0x41, 16, 5},
		"created at 0":                {0, 7, 9, 0x40, 0},
		"created with its own number": {0, 7, 9, 0x40, 18},
		"a step of one written out":   {0, 7, 9, 0x40, 8, 0x40, 2},
		"coarse without a step":       {0, 7, 9, 0xC0, 8},
		"same time without one":       {0, 7, 9, 0x50, 8},
		"a millisecond in ticks":      {0, 7, 9, 0x70, 8, 0, 0, 0, 0, 0, 0, 0, 100, 0x20, 0xa0, 0x9c, 0x01},
		"payload beyond the body":     {0, 7, 9, 0x45, 8, 1},
		"long payload cut":            {0, 7, 9, 0x4F, 8},
		"a change before the first":   {0, 7, 9, 0x40, 8, 0x40, 7},
	} {
		var b Batch
		err := b.Parse(body)
		if err == nil {
			err = b.Changes(func(*Entry) {})
		}
		if err != ErrMalformed {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

func TestBatchRoundTrip(t *testing.T) {
	var b Batch
	if err := b.Parse(goldenBatch()); err != nil || b.Channel != 7 {
		t.Fatalf("got %+v, %v", b, err)
	}
	got := ""
	if err := b.Changes(func(e *Entry) { got += fmt.Sprintln(e.Seq, e.Created, e.Time, string(e.Payload)) }); err != nil {
		t.Fatal(err)
	}
	want := "1000 12 1700000000000000000 v1\n1001 13 1700000000000000000 v2\n" +
		"1002 400 1700000000001000000 fifteen letters\n1003 400 0 \n1004 1 1699999999999999999 v5\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestChannelIDs(t *testing.T) {
	if got := ChannelID(Gateway); got != 0 {
		t.Errorf("the gateway's channel: got %d, want 0", got)
	}
	for _, name := range []string{"", "cell-1", "press-line", "syslog"} {
		if ChannelID(name) == 0 {
			t.Errorf("%q has the gateway's id", name)
		}
	}
	if got, want := ChannelID("cell-1"), uint16(0xe837); got != want {
		t.Errorf("cell-1: got %#x, want %#x (the wire depends on it)", got, want)
	}
}

func TestReasonIsCutAtARune(t *testing.T) {
	var back Totals
	tot := Totals{Seq: 1, Reason: strings.Repeat("é", MaxReason)}
	if err := back.Parse(tot.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", MaxReason/2); back.Reason != want {
		t.Errorf("got %d bytes, want %d", len(back.Reason), len(want))
	}
}

// FuzzFrame walks arbitrary payloads as a receiver does. Whatever decodes must
// encode to the same bytes.
func FuzzFrame(f *testing.F) {
	for _, u := range goldenUpdates() {
		f.Add(AppendItem(nil, Item{Kind: KindUpdate, First: true, Last: true, Body: u.Append(nil)}))
	}
	_, _, page := goldenPage()
	f.Add(AppendItem(nil, Item{Kind: KindPage, First: true, Last: true, Body: page}))
	f.Add(AppendItem(nil, Item{Kind: KindBatch, First: true, Last: true, Body: goldenBatch()}))
	for kind := KindManifest; kind < kinds; kind++ {
		f.Add(AppendItem(nil, Item{Kind: kind, First: true, Last: true, Body: make([]byte, 20)}))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for {
			it, rest, ok, err := NextItem(payload)
			if !ok || err != nil {
				return
			}
			if again := AppendItem(nil, it); !bytes.Equal(again, payload[:len(payload)-len(rest)]) {
				t.Fatalf("item: got %x, want %x", again, payload[:len(payload)-len(rest)])
			}
			if again, ok := recode(it); ok && !bytes.Equal(again, it.Body) {
				t.Fatalf("kind %d: got %x, want %x", it.Kind, again, it.Body)
			}
			payload = rest
		}
	})
}

func recode(it Item) ([]byte, bool) {
	switch it.Kind {
	case KindUpdate:
		var u Update
		return encoded(u.Parse(it.Body), u.Append)
	case KindManifest:
		var m Manifest
		return encoded(m.Parse(it.Body), m.Append)
	case KindTotals:
		var t Totals
		return encoded(t.Parse(it.Body), t.Append)
	case KindHeartbeat:
		var h Heartbeat
		return encoded(h.Parse(it.Body), h.Append)
	case KindBatch:
		var b Batch
		if b.Parse(it.Body) != nil {
			return nil, false
		}
		out, run := AppendBatch(nil, b.Channel, b.Seq), Run{}
		err := b.Changes(func(e *Entry) { out = run.AppendChange(out, e.Created, e.Time, e.Payload) })
		return out, err == nil
	default:
		var p Page
		if p.Parse(it.Body) != nil {
			return nil, false
		}
		out, run := AppendPage(nil, &p), Run{Created: p.From}
		err := p.Entries(func(e *Entry) { out = run.AppendEntry(out, e) })
		return out, err == nil
	}
}

func encoded(err error, enc func([]byte) []byte) ([]byte, bool) {
	if err != nil {
		return nil, false
	}
	return enc(nil), true
}
