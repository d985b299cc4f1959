package task

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a task made of functions.
type fake struct {
	name  string
	run   func(context.Context) error
	ready error
}

func (f *fake) Run(ctx context.Context) error { return f.run(ctx) }
func (f *fake) Ready() error                  { return f.ready }
func (f *fake) String() string                { return f.name }

func untilEnded(ctx context.Context) error { <-ctx.Done(); return nil }

func run(ctx context.Context, tasks ...Task) (log string, err error) {
	var lines bytes.Buffer
	r := Runner{Log: slog.New(slog.NewTextHandler(&lines, nil)), Tasks: tasks}
	err = r.Run(ctx)
	return lines.String(), err
}

var errBroken = errors.New("broken")

func TestFirstFailureEndsTheRest(t *testing.T) {
	cases := map[string]struct {
		run  func(context.Context) error
		is   error
		want string
	}{
		"error": {func(context.Context) error { time.Sleep(time.Second); return errBroken }, errBroken,
			"task: b: broken"},
		"panic": {func(context.Context) error { time.Sleep(time.Second); panic("no such page") }, ErrPanic,
			"runner_test.go"},
		"ends unasked": {func(context.Context) error { return nil }, nil, "task: b: ended unasked"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := false
				a := &fake{name: "a", run: func(ctx context.Context) error {
					<-ctx.Done()
					ended = true
					return ctx.Err()
				}}
				log, err := run(t.Context(), a, &fake{name: "b", run: c.run})
				if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if !ended {
					t.Error("the other task was not ended")
				}
				if !strings.Contains(log, "task=b") || strings.Contains(log, "task=a") {
					t.Errorf("the log must name b alone: %s", log)
				}
			})
		})
	}
}

func TestEndsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		slow := func(ctx context.Context) error { <-ctx.Done(); time.Sleep(shutdown - time.Second); return nil }
		if log, err := run(ctx, &fake{name: "a", run: untilEnded}, &fake{name: "slow", run: slow}); err != nil ||
			log != "" {
			t.Errorf("got %v, log %q; want neither", err, log)
		}
	})
}

func TestTasksThatDoNotEndAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		stuck := func(context.Context) error { time.Sleep(time.Hour); return nil }
		start := time.Now()
		_, err := run(ctx, &fake{name: "x", run: stuck}, &fake{name: "good", run: untilEnded},
			&fake{name: "y", run: stuck})
		if err == nil || !strings.HasSuffix(err.Error(), ": x, y") {
			t.Errorf("got %v, want x and y named", err)
		}
		if took := time.Since(start); took != shutdown {
			t.Errorf("took %v, want %v", took, shutdown)
		}
		time.Sleep(2 * time.Hour) // let the stuck ones end within the bubble
	})
}

func TestFailureDuringShutdownIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := run(ctx, &fake{name: "a", run: func(ctx context.Context) error { <-ctx.Done(); return errBroken }})
		if !errors.Is(err, errBroken) {
			t.Errorf("got %v, want %v", err, errBroken)
		}
	})
}

func TestReadyMergesReasons(t *testing.T) {
	r := Runner{Tasks: []Task{&fake{name: "a"}, &fake{name: "b", ready: errors.New("connecting")},
		&fake{name: "c", ready: errBroken}}}
	if got, want := r.Ready(), (Reasons{{Part: "b", Cause: "connecting"}, {Part: "c",
		Cause: "broken"}}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Tasks = r.Tasks[:1]
	if got := r.Ready(); got != nil {
		t.Errorf("got %q, want none", got)
	}
}

func TestStatus(t *testing.T) {
	var s Status
	if err := s.Ready(); !errors.Is(err, errStarting) {
		t.Errorf("got %v, want starting", err)
	}
	s.Set(errBroken)
	if err := s.Ready(); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want broken", err)
	}
	s.Set(nil)
	if err := s.Ready(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// counting is a task with a progress counter.
type counting struct {
	fake
	steps uint64
}

func (c *counting) Steps() uint64 { return c.steps }

func TestStepsAreThoseOfTasksThatCount(t *testing.T) {
	r := Runner{Tasks: []Task{&fake{name: "a"}, &counting{fake{name: "b"}, 7}}}
	if got := r.Steps(); len(got) != 1 || got["b"] != 7 {
		t.Errorf("got %v, want b: 7 alone", got)
	}
}
