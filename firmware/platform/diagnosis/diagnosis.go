// Package diagnosis names the cause of what does not work, and the command, or the key
// and its value, that cures it.
//
//	snapshot.go  what is wrong with the numbers: each status.Fact with its cure
//	link.go      why the link does not deliver
//	peer.go      why a server, a broker or a collector is not reached, by its cause.Code
//	warning.go   what else is wrong, or will be: disk, certificates, ports
//
// The facts are those that trust is judged by (package status), so that no finding of the
// level Fault stands beside "the numbers can be trusted", and nothing keeps them from being
// trusted without a finding that says what to do.
// `heliograph doctor` and the console of a board use the same rules, with the cures of
// where the operator is. The package refuses to ask anything itself: it connects to no
// peer and reads no file. What no role knows, such as the account of a user at a server
// or a fibre that is in the wrong socket, it cannot name; it then repeats the words that it
// was given. It reads no words: causes are values (package cause).
package diagnosis

import (
	"slices"
	"strings"
)

// Finding is one thing that is wrong.
type Finding struct {
	Level Level  `json:"level"`
	Code  string `json:"code"`  // for programs; does not change
	Where string `json:"where"` // "link", "channel press-line"
	Cause string `json:"cause"` // in words
	Cure  string `json:"cure"`  // a command, or a key and its value, and what to do with it
}

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Alarm   Level = "alarm"   // the link is not one-way
	Fault   Level = "fault"   // the numbers are wrong, old, late or missing now
	Warning Level = "warning" // they are not, yet
)

// Site is where the operator is.
type Site struct {
	Role   string // tx or rx
	Config string // file of the role on a host; "" on the console of a board
}

// board reports whether the operator is at the console of a board.
func (s Site) board() bool { return s.Config == "" }

// pick returns the cure of where the operator is.
func (s Site) pick(host, board string) string {
	if s.board() {
		return board
	}
	return strings.NewReplacer("CONFIG", s.Config, "ROLE", s.Role).Replace(host)
}

// set returns how a key gets a value: `key = "value"`, or "key, to what it is in words".
func (s Site) set(table, line string) string {
	key, to, words := strings.Cut(line, ", to ")
	if words {
		to = " to " + to
	}
	return s.pick("set "+key+" in "+table+" of CONFIG"+to+", and restart helioROLE",
		"set "+key+" in "+table+" of heliograph.toml"+to+": \"heliograph image configure\" writes it to the card")
}

// List collects findings, each once.
type List []Finding

// Add adds a finding unless the same code stands for the same place. A cause that begins with
// its place does not repeat it.
func (l *List) Add(f Finding) {
	f.Cause = strings.TrimPrefix(f.Cause, f.Where+": ")
	same := func(o Finding) bool { return o.Code == f.Code && o.Where == f.Where }
	if !slices.ContainsFunc(*l, same) {
		*l = append(*l, f)
	}
}

// names reports whether a finding is about a place.
func (l List) names(where string) bool {
	return slices.ContainsFunc(l, func(f Finding) bool { return f.Where == where })
}

// Lines shows findings, cure below cause.
func (l List) Lines() (lines []string) {
	for _, f := range l {
		lines = append(lines, f.Where+": "+f.Cause, "  cure: "+f.Cure)
	}
	return lines
}
