package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/status"
)

func sample() Report {
	return Report{
		Evidence: health.Evidence{Steps: map[string]uint64{"link": 3},
			Down: []string{"mqtt sink cell-1: connection refused"}, Damage: 9},
		Snapshot: status.Snapshot{Role: "rx", Pair: "hall",
			Channels: map[string]status.Channel{"c": {SourceState: "up"}}},
		Clock: Clock{Number: 3, OffsetSeconds: -0.25, Source: "link"},
	}
}

func TestReportsCrossAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		task := &Task{To: to, Make: sample}
		var got []Report
		done := make(chan error)
		go func() {
			done <- Read(from, func(r Report) { got = append(got, r) },
				func(err error) { t.Errorf("refused: %v", err) })
		}()
		go task.Run(t.Context())
		time.Sleep(2*every + every/2) // of the simulated clock
		synctest.Wait()
		to.Close()
		if err := <-done; err != nil {
			t.Errorf("Read: got %v, want nil", err)
		}
		if len(got) != 3 || !reflect.DeepEqual(got[2], sample()) {
			t.Errorf("got %d reports, the last %+v; want 3 of %+v", len(got), got[len(got)-1], sample())
		}
	})
}

func TestHostileLinesAreRefusedAndSkipped(t *testing.T) {
	r := sample()
	good := r.Append(nil)
	tests := []struct {
		name    string
		lines   string
		taken   int
		refused int
	}{
		{"no JSON", "hello\n" + string(good), 1, 1},
		{"of another shape", `{"evidence": 3}` + "\n" + string(good), 1, 1},
		{"without an end", strings.Repeat("x", 3*MaxLine), 0, 1},
		{"too long", strings.Repeat("x", 3*MaxLine) + "\n" + string(good), 1, 1},
		{"cut off", string(good) + string(good[:9]), 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			taken, refused := 0, 0
			err := Read(strings.NewReader(tt.lines), func(Report) { taken++ }, func(error) { refused++ })
			if err != nil || taken != tt.taken || refused != tt.refused {
				t.Errorf("got %d taken, %d refused, %v; want %d, %d", taken, refused, err, tt.taken, tt.refused)
			}
		})
	}
}

func TestLongSnapshotLosesPartsAndNotTheEvidence(t *testing.T) {
	r := sample()
	r.Snapshot.Transmitter = map[string]string{"clock": "set"}
	for range 2000 {
		r.Snapshot.Notes = append(r.Snapshot.Notes, status.Note{Text: strings.Repeat("n", 40)})
	}
	r.Snapshot.Notes[1999].Event = "newest"
	r.Snapshot.Counters = []counter.Set{{Part: "link"}}
	r.Snapshot.Channels["c"] = status.Channel{OpenHoles: status.Of[uint64](700), Holes: make([]status.Hole, 900)}
	line := r.Append(nil)
	if len(line) > MaxLine || bytes.Count(line, []byte("nnnn")) > 10*newestNotes ||
		!bytes.Contains(line, []byte(`"open_holes":700`)) || len(r.Snapshot.Channels["c"].Holes) != 900 ||
		!bytes.Contains(line, []byte(`"event":"newest"`)) || !bytes.Contains(line, []byte(`"part":"link"`)) {
		t.Errorf("got %d bytes; want a line with the newest notes", len(line))
	}
	for i := range 2000 {
		r.Snapshot.Channels[fmt.Sprint("channel ", i)] = status.Channel{SourceReason: strings.Repeat("r", 40)}
	}
	line = r.Append(nil)
	if len(line) > MaxLine || !bytes.Contains(line, []byte("connection refused")) {
		t.Errorf("got %d bytes; want a line with the evidence", len(line))
	}
}

// A line comes of a report however much there is in it: without one for some seconds the watchdog
// resets the board.
func TestAReportOfAnyLengthIsALine(t *testing.T) {
	for name, fill := range map[string]func(*Report){
		"certificates": func(r *Report) {
			r.Snapshot.Certificates = make([]status.Certificate, 2000)
			r.Snapshot.Channels["c"] = status.Channel{SourceReason: "stays"}
		},
		"down": func(r *Report) {
			for range 2000 {
				r.Evidence.Down = append(r.Evidence.Down, strings.Repeat("<", 3000)) // six bytes each, in JSON
			}
		},
		"trust": func(r *Report) {
			r.Snapshot.Trust = &status.Trust{Reasons: make([]status.TrustReason, 2000)}
		},
		"not a number": func(r *Report) { r.Snapshot.UptimeSeconds = math.NaN() },
	} {
		r := sample()
		fill(&r)
		line := r.Append(nil)
		var got Report
		if err := json.Unmarshal(line, &got); err != nil || len(line) > MaxLine {
			t.Fatalf("%s: got %d bytes, %v", name, len(line), err)
		}
		if got.Evidence.Steps["link"] != 3 || got.Evidence.Down[0] != sample().Evidence.Down[0] ||
			got.Snapshot.Role != "rx" || got.Clock != r.Clock {
			t.Errorf("%s: got %+v", name, got)
		}
		if last := got.Evidence.Down[len(got.Evidence.Down)-1]; (last == "and 1969 more") != (name == "down") {
			t.Errorf("%s: got %d that are down, the last %q", name, len(got.Evidence.Down), last)
		}
		if (got.Snapshot.Channels["c"].SourceReason == "stays") != (name == "certificates") {
			t.Errorf("%s: got channels %+v", name, got.Snapshot.Channels)
		}
	}
}

func FuzzRead(f *testing.F) {
	r := sample()
	line := r.Append(nil)
	f.Add(line)
	f.Add([]byte("{}\n{\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := bytes.Count(b, []byte("\n"))
		n := 0
		count := func() { n++ }
		if err := Read(bytes.NewReader(b), func(Report) { count() }, func(error) { count() }); err != nil {
			t.Fatal(err)
		}
		if n > lines+1 {
			t.Fatalf("got %d verdicts from %d lines", n, lines)
		}
	})
}
