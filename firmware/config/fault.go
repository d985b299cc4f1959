package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a configuration file.
type Fault struct {
	File    string
	Line    int // 1 if a top-level key is missing
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

// Warning is something that works and that the operator should know.
type Warning Fault

// String returns "FILE:LINE: warning: message".
func (w Warning) String() string {
	return fmt.Sprintf("%s:%d: warning: %s", w.File, w.Line, w.Message)
}

// report collects what the checks find.
type report struct {
	file     string
	dir      string          // what relative paths are relative to
	machine  Machine         // that the configuration is for
	role     string          // tx or rx
	lines    lines           // where each key is
	mistyped map[string]bool // keys whose value has the wrong type, and so was not used
	faults   Faults
	warnings []Warning
}

// tablePath names a table of the document: "" for the top level, "link", "mqtt[0]".
type tablePath string

func (a tablePath) key(key string) string {
	if a == "" {
		return key
	}
	return string(a) + "." + key
}

// fault records a fault at a key of table a, or at the table's own line if the table does
// not have the key.
func (r *report) fault(a tablePath, key, format string, args ...any) {
	if r.mistyped[a.key(key)] || r.mistyped[string(a)] {
		return // already reported as mistyped
	}
	r.faultAt(r.lines.of(a, key), format, args...)
}

// mistype records a value of the wrong type, and keeps later checks from reporting the key
// again.
func (r *report) mistype(a tablePath, key, format string, args ...any) {
	r.fault(a, key, format, args...)
	if r.mistyped == nil {
		r.mistyped = map[string]bool{}
	}
	r.mistyped[a.key(key)] = true
}

func (r *report) faultAt(line int, format string, args ...any) {
	r.faults = append(r.faults, Fault{r.file, line, withoutPassword(fmt.Sprintf(format, args...))})
}

// userinfo is the name and password of a URL: RFC 3986, 3.2.1.
var userinfo = regexp.MustCompile(`://[^/\s"]*@`)

// withoutPassword returns a message without what was written into an address: faults
// are logged, and a board's page shows them.
func withoutPassword(message string) string { return userinfo.ReplaceAllString(message, "://…@") }

func (r *report) warn(a tablePath, key, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{r.file, r.lines.of(a, key), fmt.Sprintf(format, args...)})
}

// has reports whether the document has the key.
func (r *report) has(a tablePath, key string) bool {
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
