package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// shutdown is how long tasks may take to end after their context.
const shutdown = 10 * time.Second

// ErrPanic is wrapped by the error of a task that panicked.
var ErrPanic = errors.New("panic")

// Runner owns the goroutines of a role's tasks. Its fields are set before Run.
type Runner struct {
	Log   *slog.Logger
	Tasks []Task
}

// ended is what became of one task.
type ended struct {
	task Task
	err  error
}

// Run runs all tasks until ctx ends, and returns nil when they ended in time.
// The first task that fails or panics, or ends although it was not asked to,
// ends the others and is the error. Tasks that do not end within ten seconds
// are named and left behind: the process is about to exit.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan ended, len(r.Tasks)) // holds every result: a late task never blocks
	for _, t := range r.Tasks {
		go func() { results <- ended{t, guarded(ctx, t)} }()
	}
	running := make(map[Task]bool, len(r.Tasks))
	for _, t := range r.Tasks {
		running[t] = true
	}
	var first error
	var deadline <-chan time.Time
	done := ctx.Done()
	for len(running) > 0 {
		select {
		case <-done:
			done, deadline = nil, time.After(shutdown)
		case e := <-results:
			delete(running, e.task)
			if err := r.verdict(ctx, e); err != nil && first == nil {
				first = err
			}
			cancel()
		case <-deadline:
			return errors.Join(first, fmt.Errorf("task: still running %v after the end: %s", shutdown,
				r.names(running)))
		}
	}
	return first
}

// verdict logs how a task ended and returns an error when that ends the role.
func (r *Runner) verdict(ctx context.Context, e ended) error {
	switch {
	case e.err != nil && ctx.Err() != nil && errors.Is(e.err, context.Canceled):
		return nil // ended as asked
	case e.err != nil:
		r.Log.Error("task failed", "error", e.err, "task", e.task.String())
		return fmt.Errorf("task: %s: %w", e.task, e.err)
	case ctx.Err() == nil:
		r.Log.Error("task ended unasked", "task", e.task.String())
		return fmt.Errorf("task: %s: ended unasked", e.task)
	default:
		return nil
	}
}

func (r *Runner) names(running map[Task]bool) string {
	var names []string
	for _, t := range r.Tasks { // in their own order
		if running[t] {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ", ")
}

// Ready returns why tasks are not ready, each by its name.
func (r *Runner) Ready() Reasons {
	var reasons Reasons
	for _, t := range r.Tasks {
		if err := t.Ready(); err != nil {
			reasons = append(reasons, NewReason(t.String(), err))
		}
	}
	return reasons
}

// Steps returns the progress counter of each task that has one, by its name. A task
// that can prove progress has a method Steps, whose count rises while it works,
// even when there is nothing to do.
func (r *Runner) Steps() map[string]uint64 {
	steps := map[string]uint64{}
	for _, t := range r.Tasks {
		if s, ok := t.(interface{ Steps() uint64 }); ok {
			steps[t.String()] = s.Steps()
		}
	}
	return steps
}

func guarded(ctx context.Context, t Task) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, cause, debug.Stack())
		}
	}()
	return t.Run(ctx)
}

// Status is how a task stands, for embedding: Ready returns what was last set.
// Its zero value is "starting". Safe for concurrent use.
type Status struct {
	mu     sync.Mutex
	set    bool
	reason error
}

var errStarting = errors.New("starting")

// Set notes why the task is not ready; nil when it is.
func (s *Status) Set(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.reason = true, reason
}

// Ready returns what was last set.
func (s *Status) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.set {
		return errStarting
	}
	return s.reason
}
