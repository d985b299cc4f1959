package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/rootfs/update"
)

func TestTrialWithoutTheCardEndsWithARestart(t *testing.T) {
	for name, trial := range map[string]string{"on trial": "1", "kept before": ""} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(update.TrialVariable, trial)
			synctest.Test(t, func(t *testing.T) {
				b := &board{quit: make(chan os.Signal, 4)}
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				b.endTrial(ctx, &running, slog.New(slog.DiscardHandler))
				time.Sleep(4 * time.Minute)
				if len(b.quit) != 0 {
					t.Error("the board restarts before the time of a trial is over")
				}
				time.Sleep(2 * time.Minute)
				if restarts := len(b.quit); restarts != len(trial) {
					t.Errorf("got %d restarts, want %d", restarts, len(trial))
				}
				stop()
				running.Wait()
			})
		})
	}
}
