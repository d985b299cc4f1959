package audit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// numbers fails unless events are numbered from first on without a gap.
func numbers(t *testing.T, events []Event, first uint64) {
	t.Helper()
	for i, e := range events {
		if e.Number != first+uint64(i) {
			t.Fatalf("event %d has number %d, want %d", i, e.Number, first+uint64(i))
		}
	}
}

func counted(events []Event, kind string) (entries int, count uint64) {
	for _, e := range events {
		if e.Event == kind {
			entries, count = entries+1, count+e.Count
		}
	}
	return entries, count
}

func TestFloodOfOneKindIsCountedAndWipesNoOther(t *testing.T) {
	trail := New("rx", "a")
	now := noon
	trail.Add(now, "epoch_regressed", "epoch 3 after 4", 1)
	var fresh []Event
	const seconds = 24 * 3600
	for range seconds {
		now = now.Add(time.Second)
		trail.Add(now, "auth_failure", "frames", 1000)
		trail.Tick(now)
		fresh = append(fresh, trail.Fresh()...)
	}
	entries, _ := counted(fresh, "auth_failure")
	if entries < 10 || entries > 60 {
		t.Errorf("got %d entries of a day's flood, want some dozens", entries)
	}
	if n, count := counted(trail.Events(), "epoch_regressed"); n != 1 || count != 1 {
		t.Errorf("got %d entries of another kind after a flood, want 1", n)
	}
	if kept := len(trail.Events()); kept > 2+roomOfKind {
		t.Errorf("got %d events kept, want at most %d", kept, 2+roomOfKind)
	}
	trail.Flush()
	fresh = append(fresh, trail.Fresh()...)
	numbers(t, fresh, 1)
	if _, count := counted(fresh, "auth_failure"); count != 1000*seconds {
		t.Errorf("got %d frames in all entries, want %d", count, 1000*seconds)
	}
}

func TestFewEventsStandEachForItself(t *testing.T) {
	trail := New("rx", "a")
	for i := range 3 {
		trail.Add(noon.Add(time.Duration(i)*time.Second), "login_refused", fmt.Sprint("from ", i), 1)
	}
	fresh := trail.Fresh()
	numbers(t, fresh, 1)
	if len(fresh) != 3 || fresh[1].Text != "from 1" || fresh[1].Count != 1 || fresh[1].Category != AccessControl ||
		fresh[1].Result != Failure || fresh[1].Source != "rx" {
		t.Errorf("got %+v", fresh)
	}
}

// A burst in one second leaves its count within ten.
func TestBurstIsShownWithItsCount(t *testing.T) {
	trail := New("rx", "a")
	for range 3000 {
		trail.Add(noon, "login_refused", "wrong password", 1)
	}
	if _, count := counted(trail.Events(), "login_refused"); count != 3000 {
		t.Errorf("at once: got a count of %d, want 3000", count)
	}
	trail.Tick(noon.Add(firstHold))
	fresh := trail.Fresh()
	numbers(t, fresh, 1)
	if n, count := counted(fresh, "login_refused"); n != burst+1 || count != 3000 {
		t.Errorf("got %d entries for %d, want %d for 3000", n, count, burst+1)
	}
}

func TestManyKindsAreBounded(t *testing.T) {
	trail := New("rx", "a")
	for i := range 1000 {
		for range 30 {
			trail.Add(noon, fmt.Sprint("kind_", i), "x", 1)
			noon := noon.Add(time.Duration(i) * time.Hour)
			trail.Tick(noon)
		}
	}
	if n := len(trail.Events()); n > (maxKinds+1)*(roomOfKind+1) {
		t.Errorf("got %d events kept", n)
	}
}

func TestTrailSurvivesARestart(t *testing.T) {
	trail := New("tx", "a")
	for i := range 30 {
		trail.Add(noon.Add(time.Duration(i)*time.Hour), "epoch_lost", "x", 1)
	}
	trail.HandedOn(28)
	b, err := json.Marshal(trail)
	if err != nil {
		t.Fatal(err)
	}
	again := New("tx", "b")
	if err := again.Restore(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Events(), trail.Events()) || again.ID() != "a" {
		t.Errorf("got %+v, want %+v", again.Events(), trail.Events())
	}
	again.Add(noon.Add(31*time.Hour), "epoch_lost", "x", 1)
	fresh := again.Fresh()
	numbers(t, fresh, 29)
	if len(fresh) != 3 {
		t.Errorf("got %d events to hand on, want the 2 that were not and the new one", len(fresh))
	}
	if err := New("tx", "c").Restore([]byte("{")); err == nil {
		t.Error("half a trail was restored")
	}
}

// What a flood had added up when the power went is an event of the next run.
func TestWhatWasHeldSurvivesAPowerCut(t *testing.T) {
	trail := New("rx", "a")
	for range 1000 {
		trail.Add(noon, "auth_failure", "frames", 1)
	}
	b, err := json.Marshal(trail)
	if err != nil {
		t.Fatal(err)
	}
	again := New("rx", "b")
	if err := again.Restore(b); err != nil {
		t.Fatal(err)
	}
	fresh := again.Fresh()
	numbers(t, fresh, 1)
	if n, count := counted(again.Events(), "auth_failure"); n != burst+1 || count != 1000 || len(fresh) != burst+1 {
		t.Errorf("got %d entries for %d, want %d for 1000", n, count, burst+1)
	}
}

func TestTheOtherBoardsEventsAreTakenOnce(t *testing.T) {
	rx := New("tx", "")
	message := func(trail string, number uint64) Message {
		return Message{trail, Event{Number: number, Time: noon.Add(time.Duration(number) * time.Second), Source: "tx",
			Category: ControlSystem, Event: "epoch_lost", Result: Failure, Count: 1}}
	}
	for _, step := range []struct {
		name    string
		m       Message
		missing uint64
		taken   bool
	}{
		{"the first ever", message("a", 40), 0, true},
		{"the next", message("a", 41), 0, true},
		{"again", message("a", 41), 0, false},
		{"an older one", message("a", 40), 0, false},
		{"after a gap", message("a", 45), 3, true},
		{"of a restarted trail", message("b", 1), 0, true},
		{"its next", message("b", 2), 0, true},
		{"what is left of the one before", message("a", 46), 0, false},
	} {
		missing, taken := rx.AddRemote(step.m)
		if missing != step.missing || taken != step.taken {
			t.Errorf("%s: got %d missing, taken %t; want %d, %t", step.name, missing, taken, step.missing, step.taken)
		}
	}
	if n := len(rx.Events()); n != 5 {
		t.Errorf("got %d events, want 5", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Message{"a1", Event{Number: 1, Time: noon, Source: "tx", Category: AccessControl, Event: "login", Text: "x",
		Result: Success, Count: 1}}
	for name, change := range map[string]func(*Message){
		"no number":         func(m *Message) { m.Entry.Number = 0 },
		"no count":          func(m *Message) { m.Entry.Count = 0 },
		"no trail":          func(m *Message) { m.Trail = "" },
		"a trail with more": func(m *Message) { m.Trail = "a\nb" },
		"a kind with more":  func(m *Message) { m.Entry.Event = `x" y="` },
		"a long kind":       func(m *Message) { m.Entry.Event = strings.Repeat("x", maxWord+1) },
		"a category":        func(m *Message) { m.Entry.Category = "]" },
		"another result":    func(m *Message) { m.Entry.Result = "perhaps" },
		"too long":          func(m *Message) { m.Entry.Text = strings.Repeat("x", maxMessage) },
	} {
		m := good
		change(&m)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	good.Entry.Text = "a\x1b[2J\nline " + strings.Repeat("é", 400)
	b, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(b)
	if err != nil || strings.ContainsAny(m.Entry.Text, "\x1b\n") || len(m.Entry.Text) > maxText {
		t.Errorf("got %q, %v; want one short line", m.Entry.Text, err)
	}
}

func TestLineIsRFC5424(t *testing.T) {
	e := Event{Number: 7, Time: noon, Source: "tx", Category: AccessControl, Event: "login_refused",
		Text: "wrong password", Result: Failure, Count: 12}
	want := "<108>1 2026-11-23T12:00:00.000000Z press-rx heliograph - login_refused " +
		`[audit@32473 number="7" source="tx" category="access_control" event="login_refused" result="failure" count="12"] ` + "\xEF\xBB\xBFwrong password"
	if got := string(e.Line("press-rx")); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	e.Result = Success
	if got := string(e.Line("a b")); !strings.HasPrefix(got, "<109>1 2026-11-23T12:00:00.000000Z - heliograph") {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := Message{"a1", Event{Number: 1, Time: noon, Source: "tx", Category: AccessControl, Event: "login", Text: "x",
		Result: Success, Count: 1}}.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		line := string(m.Entry.Line("h"))
		if strings.ContainsAny(line, "\n\x00\x1b") || strings.Count(line, `"`) != 12 &&
			!strings.Contains(m.Entry.Text, `"`) {
			t.Errorf("got the line %q", line)
		}
	})
}
