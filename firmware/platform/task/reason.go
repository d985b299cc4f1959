package task

import (
	"strings"

	"heliograph/firmware/platform/cause"
)

// Reason is one thing that keeps a role from being ready.
type Reason struct {
	Part  string      `json:"part"`           // of the role: a task by its name, "channel press-line", "state"
	Cause string      `json:"reason"`         // in one line, as an operator reads it on /readyz
	Why   cause.Cause `json:"cause,omitzero"` // for programs
}

// NewReason returns the reason that err is for part. Lines of err are joined, and
// a part that err begins with is not repeated.
func NewReason(part string, err error) Reason {
	words := strings.ReplaceAll(err.Error(), "\n", "; ")
	return Reason{Part: part, Cause: strings.TrimPrefix(words, part+": "), Why: cause.Of(err)}
}

// String returns "part: cause".
func (r Reason) String() string { return r.Part + ": " + r.Cause }

// Reasons are all that keeps a role from being ready; it is ready when there are none.
type Reasons []Reason

// Lines returns a line for each reason.
func (r Reasons) Lines() []string {
	lines := make([]string, len(r))
	for i, reason := range r {
		lines[i] = reason.String()
	}
	return lines
}
