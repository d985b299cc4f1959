package rawvalue

import (
	"runtime"
	"testing"

	"github.com/gopcua/opcua/ua"
)

func TestTheHotPathsDoNotAllocate(t *testing.T) {
	body := readResponse(t, 100)
	values := make([]DataValue, 0, 100)
	out := make([]byte, 0, 4096)
	deep, _ := SkimDataValue(append([]byte{1}, nested(50)...), Limits{})
	matrix, _ := SkimDataValue(vectorNamed(t, "matrix-of-strings"), Limits{})
	rng, _ := ParseRange("0,1")
	f := filter(t, ua.DataChangeTriggerStatusValue, ua.DeadbandTypeAbsolute, 1)
	a, b := value(t, []float64{1, 2, 3}), value(t, []float64{1, 2, 3.5})
	sum := 0
	for name, do := range map[string]func(){
		"batch":    func() { c := NewCursor(body, Limits{}); c.ReadResponse(values, 100) },
		"nested":   func() { d, _ := SkimDataValue(deep.Raw, Limits{}); sum += len(d.Raw) },
		"answer":   func() { out = a.Append(out[:0], Answer{Overlay: ua.StatusBad, ServerTime: 1}) },
		"status":   func() { out = AppendStatus(out[:0], ua.StatusBad, Answer{}) },
		"range":    func() { out, _ = rng.Append(out[:0], matrix.Value) },
		"deadband": func() { changed(f, a, b) },
		"elements": func() {
			for _, e := range matrix.Value.Each() {
				sum += len(e)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

// A length that lies must not cost what it claims.
func TestLengthsThatLieAllocateNothing(t *testing.T) {
	for name, b := range map[string][]byte{
		"array":      {1, 0x8b, 0, 0, 0, 0x70},
		"string":     {1, 12, 0xff, 0xff, 0xff, 0x7f},
		"dimensions": {1, 0xc3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"batch":      {0xff, 0xff, 0xff, 0x7f},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := NewCursor(b, Limits{Array: 1<<31 - 1, String: 1<<31 - 1})
		if name == "batch" {
			c.DataValues(nil, 1<<31-1)
		} else {
			c.DataValue()
		}
		runtime.ReadMemStats(&after)
		if c.Err() == nil {
			t.Errorf("%s: got no error", name)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 { // the error, and what the runtime does meanwhile
			t.Errorf("%s: got %d B allocated, want only an error", name, got)
		}
	}
}

func BenchmarkReadResponse(b *testing.B) {
	body := readResponse(b, 1000)
	values := make([]DataValue, 0, 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		c := NewCursor(body, Limits{})
		if _, got := c.ReadResponse(values, 1000); len(got) != 1000 {
			b.Fatal(c.Err())
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}

func BenchmarkAnswer(b *testing.B) {
	d := value(b, 1.5)
	out := make([]byte, 0, 64)
	for b.Loop() {
		out = d.Append(out[:0], Answer{Timestamps: ua.TimestampsToReturnBoth, Overlay: ua.StatusUncertain,
			ServerTime: 1})
	}
}

func BenchmarkDeadband(b *testing.B) {
	f := filter(b, ua.DataChangeTriggerStatusValue, ua.DeadbandTypeAbsolute, 1)
	x, y := value(b, 1.5), value(b, 1.75)
	for b.Loop() {
		changed(f, x, y)
	}
}
