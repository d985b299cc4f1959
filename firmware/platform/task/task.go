// Package task runs the long-lived parts of a role.
//
// A role is a handful of tasks: sources or sinks, the link, the status server.
// One Runner owns all their goroutines: it starts them and ends them together.
// The package refuses to hide a failure: a task that ends unasked, fails or
// panics is logged with its name and its cause, and ends the role, whose
// supervisor restarts it. What may fail on its own (a peer that is away) is
// the task's own business: it tries again, and says so in Ready.
package task

import "context"

// Task is one long-lived part of a role. Implementations are safe for
// concurrent use: Ready and String are called while Run runs.
type Task interface {
	// Run works until ctx ends and then returns nil, having released all it
	// held. An error before that ends the role.
	Run(ctx context.Context) error
	// Ready returns nil once the task does its work, or the reason in words why
	// it does not, as an operator would want to read it on /readyz.
	Ready() error
	// String names the task in logs, for example "mqtt source cell-1".
	String() string
}
