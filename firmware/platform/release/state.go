package release

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// StateFile is where PID 1 publishes State to the role. It is replaced atomically.
const StateFile = "/run/release/state.json"

const maxState = 64 << 10 // bytes

// Result is the outcome of an update.
type Result string

// The results.
const (
	Refused    Result = "refused"   // nothing was changed
	Installed  Result = "installed" // it is tried at the next start, or is on trial
	Kept       Result = "kept"      // it became healthy, and runs
	RolledBack Result = "went_back" // it did not become healthy: the release before it runs
)

// Words returns the result for a person.
func (r Result) Words() string {
	if r == RolledBack {
		return "rolled back"
	}
	return string(r)
}

// Results lists them all.
func Results() []Result { return []Result{Refused, Installed, Kept, RolledBack} }

// Outcome is the outcome of the update that a board received last.
type Outcome struct {
	Time    time.Time `json:"time"`              // when
	Version uint64    `json:"version,omitempty"` // 0: not known
	Name    string    `json:"name,omitempty"`    // version
	Result  Result    `json:"result"`            // "refused", "installed", "kept" or "went_back"
	Reason  string    `json:"reason,omitempty"`  // why, in words
}

// Running is the release that a board runs, for people and machines.
type Running struct {
	Version uint64   `json:"version"`          // 0: not known
	Name    string   `json:"name,omitempty"`   // version
	OnTrial bool     `json:"on_trial"`         // it is kept once it is healthy
	Fault   string   `json:"fault,omitempty"`  // why no update is possible
	Update  *Outcome `json:"update,omitempty"` // what became of the last one
}

// State is what a role uses to refuse an update before it stores it.
type State struct {
	Running
	Role  string `json:"role"`
	Board string `json:"board"`
	Key   string `json:"key,omitempty"` // minisign's public key; "": this card accepts no update
	Floor uint64 `json:"floor"`         // the lowest version that is installed
}

// ReadState reads what PID 1 has written.
func ReadState(path string) (s State, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, fmt.Errorf("release: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("release: reading %s: %v", path, err)
	}
	return s, nil
}
