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

func TestTheRoleLearnsOfTheNewestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "board.json")
		log := slog.New(slog.DiscardHandler)
		for key, want := range map[string]bool{"v": true, "": false} {
			p := &Facts{Log: log, Reader: machine.Of("/", false), File: file, Vitals: NewVitals(log), Key: key}
			p.setProbe(machine.Probe{Time: time.Unix(100, 0), Sent: []machine.Means{{Name: "x", Count: 7}}})
			ctx, stop := context.WithCancel(t.Context())
			go p.Run(ctx)
			pass(factsInterval)
			stop()
			synctest.Wait()
			got := machine.Read(file).Probe
			if (got != nil) != want || want && (got.Key != "v" || got.Total() != 7 || got.Time.Unix() != 100) {
				t.Errorf("key %q: got %+v", key, got)
			}
		}
	})
}

// Each count has a number, so that the role does not take an old one for a new one.
func TestTheRoleLearnsWhatATransmittersLinkReceived(t *testing.T) {
	for role, counts := range map[string]bool{"tx": true, "rx": false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, role, map[string]string{"tx": validTX, "rx": validRX}[role])
			file := filepath.Join(t.TempDir(), "board.json")
			p := &Facts{Log: r.log.logger(), Reader: machine.Of("/", false), File: file, Vitals: r.Vitals,
				Received: r.Supervisor.Received}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); p.Run(ctx) }()
			synctest.Wait()
			if got := machine.Read(file).Received; got != nil {
				t.Errorf("%s: before the link is open: got %+v", role, got)
			}
			stop := r.background(t, Outputs{})
			pass(10 * time.Second)
			first := machine.Read(file).Received
			pass(2 * factsInterval)
			second := machine.Read(file).Received
			if (first != nil) != counts || counts && (*first.Interface != 1 || second.Reading != first.Reading+2) {
				t.Errorf("%s: got %+v, then %+v", role, first, second)
			}
			stop()
			cancel()
			<-ended
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
