package task_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/task"
)

func TestBackoffDoublesUpToItsLast(t *testing.T) {
	b := task.Backoff{First: time.Second, Last: 5 * time.Second}
	check := func(what string, longest time.Duration) {
		t.Helper()
		if got := b.Next(); got < longest/2 || got > longest {
			t.Errorf("%s: wait %v, want %v to %v", what, got, longest/2, longest)
		}
	}
	for i, longest := range []time.Duration{1, 2, 4, 5, 5} {
		check("wait "+string(rune('1'+i)), longest*time.Second)
	}
	b.Reset()
	check("after Reset", time.Second)
}

func TestBackoffWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := task.Backoff{First: time.Hour, Last: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v, want the end of the context", err)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v, want nil", err)
		}
	})
}
