package supervisor

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/report"
)

func TestTheRoleLearnsWhatTheLEDShows(t *testing.T) {
	for name, c := range map[string]struct {
		led  bool
		want machine.LED
	}{"with an LED": {true, machine.LED{Pattern: "5 flashes", Means: "has lost the link"}}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := NewVitals(slog.New(slog.DiscardHandler))
				v.roleStarted()
				v.accept(report.Report{Evidence: health.Evidence{LinkLost: "silent"}})
				file := filepath.Join(t.TempDir(), "board.json")
				ctx, stop := context.WithCancel(t.Context())
				go v.Run(ctx, Outputs{})
				go (&Facts{Log: slog.New(slog.DiscardHandler), Reader: machine.Of("/", false), File: file, Vitals: v,
					LED: c.led}).Run(ctx)
				time.Sleep(2 * factsInterval) // of the simulated clock
				synctest.Wait()
				stop()
				f := machine.Read(file)
				if f.Name == "" || (f.LED != nil) != c.led || c.led && *f.LED != c.want {
					t.Errorf("got %+v, %+v; want %+v", f, f.LED, c.want)
				}
			})
		})
	}
}

func TestFactsThatCannotBePublishedAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := &counted{}
		ctx, stop := context.WithTimeout(t.Context(), 10*factsInterval)
		defer stop()
		log := slog.New(slog.NewTextHandler(lines, nil))
		(&Facts{Log: log, Reader: machine.Of("/", false), File: t.TempDir() + "/none/board.json",
			Vitals: NewVitals(log)}).Run(ctx)
		if lines.n != 1 {
			t.Errorf("got %d lines, want 1", lines.n)
		}
	})
}

type counted struct{ n int }

func (c *counted) Write(b []byte) (int, error) { c.n++; return len(b), nil }
