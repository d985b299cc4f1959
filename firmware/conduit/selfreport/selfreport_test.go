package selfreport

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/cause"
)

// full is a report with every kind of entry.
func full() Report {
	warm, none := 48, uint64(0)
	return Report{
		Version: "2.1.0", Pair: "press-hall", Epoch: 42, Configuration: "1 mqtt, 0 syslog, 1 opcua over ethernet",
		Clock: "ntp 10.0.0.1, off by 2ms", Temperature: &warm,
		Board: &Board{Card: "10 to 20 % worn", LEDMeans: "works", LEDPattern: "1 flash", Name: "tx-1", Release: "8",
			LastUpdate: "8 kept", Supply: "ok", UptimeSeconds: 3600},
		Link: &Link{Overhead: 0.25, BytesPerSecond: 12.5e6}, Received: &Received{Interface: &none, Reading: 17},
		Sources: []Source{
			{Channel: "cell-1", Protocol: "mqtt", State: "up"}, // of an earlier release
			{Channel: "log", Protocol: "syslog", State: "up", Missed: new(uint64(2)), What: "2 lines"},
			{Channel: "press/line", Protocol: "opcua", State: "down",
				Reason: `the server's certificate is not trusted: "a" <b>`,
				Cause: cause.Cause{Code: cause.ServerUntrusted,
					Thumbprint: "5821B46747FD5821B46747FD5821B46747FD5821"}},
		},
		Certificates: []Certificate{
			{Name: "opcua own", Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
			{Name: "opcua trusted plc 5821B467", Expires: time.Date(2030, 12, 1, 0, 0, 0, 0, time.UTC)},
		},
		Audit: []Event{{Number: 15, Message: []byte(`{"trail":"a"}`)}, {Number: 0, Message: []byte(`{"trail":"b"}`)}},
	}
}

// The bytes on the wire are what receivers of earlier releases read.
func TestEntriesAreThoseOfTheWire(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := full()
	var got strings.Builder
	for _, e := range r.Entries() {
		fmt.Fprintf(&got, "%s\t%s\n", e.Key, e.Value)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestRoundTrip(t *testing.T) {
	want := full()
	var got Report
	for _, e := range want.Entries() {
		if !got.Add(e) {
			t.Errorf("%q is not read back", e)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnEmptyReportHasNoEntries(t *testing.T) {
	if got := new(Report).Entries(); len(got) != 0 {
		t.Errorf("got %q, want none", got)
	}
}

func TestTheTimeOfDayOfAnExpiryDoesNotCross(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	r := Report{Certificates: []Certificate{{"x", time.Date(2027, 2, 1, 0, 30, 0, 0, zone)}}} // still January in UTC
	if got, want := r.Entries()[0].Value, "expires 2027-01-31"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEventsGoRoundTheirSlots(t *testing.T) {
	r := Report{Audit: []Event{{Number: 3*AuditSlots + 5, Message: []byte("m")}}}
	if got, want := r.Entries()[0].Key, "audit/5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A transmitter of an earlier release does not report protocols, and one of a
// later release may report more than this one knows.
func TestOtherReleases(t *testing.T) {
	var r Report
	for _, c := range []struct {
		entry Entry
		known bool
	}{
		{Entry{"source/log", `{"reason":"","state":"up"}`}, true},
		{Entry{"source/new", `{"protocol":"modbus","reason":"","state":"up","since":"2027-01-01"}`}, true},
		{Entry{"humidity_percent", "40"}, false},
		{Entry{"disk/sda", "worn"}, false},
		{Entry{"link", "fast"}, false},
		{Entry{"link_received", `{"interface":-1}`}, false},
	} {
		if got := r.Add(c.entry); got != c.known {
			t.Errorf("%q: got %v, want %v", c.entry, got, c.known)
		}
	}
	want := []Source{{Channel: "log", State: "up"}, {Channel: "new", Protocol: "modbus", State: "up"}}
	if !reflect.DeepEqual(r.Sources, want) {
		t.Errorf("got %+v, want %+v", r.Sources, want)
	}
}

func TestMalformedEntriesAreSkipped(t *testing.T) {
	for _, e := range []Entry{
		{"", ""}, {"version", ""}, {"epoch", "0"}, {"epoch", "-1"}, {"epoch", "x"}, {"temperature_celsius", "warm"},
		{"source/a", "up"}, {"certificate/x", "2027-01-31"}, {"certificate/y", "expires soon"},
		{"audit/16", "m"}, {"audit/x", "m"}, {"audit/1", ""}, {"source", "{}"},
	} {
		var r Report
		if r.Add(e) || !reflect.DeepEqual(r, Report{}) {
			t.Errorf("%q: got %+v, want it skipped", e, r)
		}
	}
}

// FuzzAdd checks that any report that is read can be written and read again unchanged.
func FuzzAdd(f *testing.F) {
	r := full()
	for _, e := range r.Entries() {
		f.Add(e.Key, e.Value)
	}
	f.Add("humidity", "40")
	f.Fuzz(func(t *testing.T, key, value string) {
		var first, second Report
		if !first.Add(Entry{key, value}) {
			if !reflect.DeepEqual(first, Report{}) {
				t.Fatalf("%q %q: skipped, but left %+v", key, value, first)
			}
			return
		}
		entries := first.Entries()
		if len(entries) != 1 {
			t.Fatalf("%q %q: got %d entries, want one", key, value, len(entries))
		}
		if !second.Add(entries[0]) || !reflect.DeepEqual(first, second) {
			t.Fatalf("%q %q: got %+v, then %+v", key, value, first, second)
		}
	})
}
