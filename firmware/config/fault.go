package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration, and where.
type Fault struct {
	File    string
	Line    int // 1 for a key that is missing altogether from the top level
	Message string
}

// Error returns "FILE:LINE: message".
func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message) }

// Faults is every fault of a file, in the order of its lines.
type Faults []Fault

// Error returns one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Warning is something that works and that the operator should still know.
type Warning Fault

// String returns "FILE:LINE: warning: message".
func (w Warning) String() string {
	return fmt.Sprintf("%s:%d: warning: %s", w.File, w.Line, w.Message)
}

// report collects what the checks find. Its lines know where each key stands.
type report struct {
	file     string
	dir      string // what relative paths are relative to
	lines    lines
	mistyped map[string]bool // keys whose value was of the wrong type, and so was not taken
	faults   Faults
	warnings []Warning
}

// at names a table of the document: "" for the top level, "link", "mqtt[0]".
type at string

func (a at) key(key string) string {
	if a == "" {
		return key
	}
	return string(a) + "." + key
}

// fault notes a fault at a key of table a, or at the table's own line when the
// key is not there.
func (r *report) fault(a at, key, format string, args ...any) {
	if r.mistyped[a.key(key)] || r.mistyped[string(a)] {
		return // said already, in better words
	}
	r.faultAt(r.lines.of(a, key), format, args...)
}

// mistype notes a fault and silences what the checks would say about the key.
func (r *report) mistype(a at, key, format string, args ...any) {
	r.fault(a, key, format, args...)
	if r.mistyped == nil {
		r.mistyped = map[string]bool{}
	}
	r.mistyped[a.key(key)] = true
}

func (r *report) faultAt(line int, format string, args ...any) {
	r.faults = append(r.faults, Fault{r.file, line, fmt.Sprintf(format, args...)})
}

func (r *report) warn(a at, key, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{r.file, r.lines.of(a, key), fmt.Sprintf(format, args...)})
}

// has says whether the document holds the key.
func (r *report) has(a at, key string) bool {
	_, ok := r.lines[a.key(key)]
	return ok
}

// err returns all faults in the order of their lines, or nil.
func (r *report) err() error {
	byLine := func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) }
	slices.SortStableFunc(r.faults, byLine)
	slices.SortStableFunc(r.warnings, func(a, b Warning) int { return byLine(Fault(a), Fault(b)) })
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults
}
