package bench

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/wire"
)

func TestRatios(t *testing.T) {
	for _, c := range []struct {
		f    Figure
		want float64
	}{
		{Figure{Value: 300, Budget: 150}, 2},
		{Figure{Value: 10, Budget: 5, AtMost: true}, 0.5},
		{Figure{Value: 0, Budget: 0, AtMost: true}, math.Inf(1)},
	} {
		if got := c.f.Ratio(); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.f, got, c.want)
		}
	}
}

func TestRegressions(t *testing.T) {
	report := func(speed, delay float64) Report {
		return Report{Figures: []Figure{{Name: "speed", Value: speed, Budget: 1},
			{Name: "delay", Value: delay, Budget: 1, AtMost: true}}}
	}
	for _, c := range []struct {
		speed, delay float64
		want         string
	}{
		{100, 0.5, ""}, {60, 0.9, ""}, {40, 0.5, "speed"}, {100, 3, "delay"}, {100, 0.99, ""},
	} {
		got := strings.Join(report(c.speed, c.delay).Regressions(report(100, 0.4)), " ")
		if (c.want == "") != (got == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("speed %v, delay %v: got %q, want %q", c.speed, c.delay, got, c.want)
		}
	}
}

func TestASimulationCarriesAndCounts(t *testing.T) {
	s, err := simulate(datagrams, 12.5e6, 0.25, 0.1, wire.LowLatency, linktest.Profile{Loss: 0.02, Corrupt: 0.01}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.saturate(1000, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := s.dry(); err != nil {
		t.Fatal(err)
	}
	if st := s.mirror.Status(); int(st.Delivered) != len(s.waits) || st.Lost != 0 || s.wrong != 0 ||
		len(s.waits) < 1000 {
		t.Errorf("delivered %d, took %d, lost %d, wrong %d", st.Delivered, len(s.waits), st.Lost, s.wrong)
	}
}

func TestASignalEndsAMeasurement(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	_, err := Run(ctx, "goodput", func(string) { cancel() })
	if took := time.Since(began); took > 2*time.Second || err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v after %v, want an end at once", err, took)
	}
}

func TestAnUnknownGroupIsRefused(t *testing.T) {
	if _, err := Run(t.Context(), "nonsense", func(string) {}); err == nil ||
		!strings.Contains(err.Error(), "goodput") {
		t.Errorf("got %v, want the names of the groups", err)
	}
}
