package record

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

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

func TestGoldenOthers(t *testing.T) {
	want := golden(t)
	_, _, page := goldenPage()
	manifest := Manifest{Channel: 3, Partial: true, Seq: 128, Keys: 2, Hash: KeyHash([]byte("k"), 7)}
	totals := Totals{Channel: 3, State: SourceUp, Seq: 5, Conflated: 300, Dropped: 1, Keys: 2, Reason: "up"}
	later := Totals{Channel: 3, Partial: true, State: SourceDown, Seq: 5, Keys: 2, Earlier: 800, Reason: "refused"}
	cases := map[string][]byte{
		"page":                    page,
		"batch":                   goldenBatch(),
		"manifest":                manifest.Append(nil),
		"totals":                  totals.Append(nil),
		"totals of a later epoch": later.Append(nil),
		"heartbeat": (&Heartbeat{UTC: 1_700_000_000_000_000_000, ClockSet: true,
			Uptime: 1500}).Append(nil),
		"replay":        goldenReplay(false),
		"replay packed": goldenReplay(true),
		"window":        (&Window{Channel: 3, Epoch: 7, First: 40, Reach: 13_200, Pass: 9_000}).Append(nil),
		"update late":   (&Update{Channel: 2, Seq: 9, Created: 9, Late: true, Key: []byte("k")}).Append(nil),
		"item":          AppendItem(nil, Item{Kind: KindUpdate, First: true, Body: []byte("abc")}),
	}
	for name, enc := range cases {
		if got := hex.EncodeToString(enc); got != want[name] {
			t.Errorf("%s: got  %s\nwant %s", name, got, want[name])
		}
	}
}

func TestMalformedIsRefused(t *testing.T) {
	update := func(b ...byte) error { return new(Update).Parse(b) }
	cases := map[string]error{
		"empty update":             update(),
		"sequence 0":               update(0, 1, flagEvent, 0),
		"neither event nor key":    update(0, 1, 0, 1),
		"unknown flag":             update(0, 1, 32|flagEvent, 1),
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

// FuzzFrame walks arbitrary payloads as a receiver does. Any payload that decodes must
// encode to the same bytes.
func FuzzFrame(f *testing.F) {
	for _, u := range goldenUpdates() {
		f.Add(AppendItem(nil, Item{Kind: KindUpdate, First: true, Last: true, Body: u.Append(nil)}))
	}
	_, _, page := goldenPage()
	f.Add(AppendItem(nil, Item{Kind: KindPage, First: true, Last: true, Body: page}))
	for _, packed := range []bool{false, true} {
		f.Add(AppendItem(nil, Item{Kind: KindReplay, First: true, Last: true, Body: goldenReplay(packed)}))
	}
	f.Add(AppendItem(nil, Item{Kind: KindBatch, First: true, Last: true, Body: goldenBatch()}))
	for kind := KindManifest; kind < kinds; kind++ {
		f.Add(AppendItem(nil, Item{Kind: kind, First: true, Last: true, Body: make([]byte, 20)}))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for {
			it, rest, err := NextItem(payload)
			if err != nil {
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
	case KindWindow:
		var w Window
		return encoded(w.Parse(it.Body), w.Append)
	case KindReplay:
		return recodeReplay(it.Body)
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
