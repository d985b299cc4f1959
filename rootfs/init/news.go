package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/store"
	"heliograph/rootfs/update"
)

// outcomeFile keeps what became of the last update over a restart.
const outcomeFile = "/data/update"

// news is what PID 1 tells the role and the console of releases: the one that runs, and
// what became of the last update. Safe for concurrent use.
type news struct {
	log                *slog.Logger
	stateFile, outcome string // where it is told, and where the outcome is kept

	mu    sync.Mutex
	state release.State
}

func newNews(log *slog.Logger, role, board string) *news {
	n := &news{log: log, stateFile: release.StateFile, outcome: outcomeFile, state: release.State{Role: role, Board: board}}
	if err := os.MkdirAll(filepath.Dir(n.stateFile), 0o755); err != nil { // before the role's sandbox is made, which names it
		log.Error("release: " + err.Error())
	}
	n.recall()
	return n
}

// recall reads what became of the last update.
func (n *news) recall() {
	b, err := store.Read(n.outcome)
	if err != nil {
		return // there was none, or the data partition is new
	}
	var o release.Outcome
	if err := json.Unmarshal(b, &o); err == nil {
		n.state.Update = &o
	}
}

// running begins with how the card stands. A trial that ended with a restart is
// judged now: by the card's record.
func (n *news) running(s update.State, name, key string) {
	n.mu.Lock()
	n.state.Version, n.state.Name, n.state.OnTrial = s.Version, name, s.Trying
	n.state.Floor, n.state.Key = s.Floor, key
	o := n.state.Update
	n.mu.Unlock()
	switch {
	case o == nil || o.Result != release.Installed:
		n.tell()
	case s.Refused == o.Version:
		n.wentBack("it was tried and never became healthy")
	case s.Version == o.Version && !s.Trying:
		n.kept()
	default:
		n.tell()
	}
}

// impossible says why no update can be installed. One that waits would wait for ever.
func (n *news) impossible(why error) {
	_ = os.Remove(incoming) // as a rule there is none
	n.mu.Lock()
	n.state.Fault = "no update is possible: " + why.Error()
	n.mu.Unlock()
	n.tell()
}

// became says what became of an update.
func (n *news) became(m release.Manifest, result release.Result, reason string) {
	n.remember(&release.Outcome{Version: m.Version, Name: m.Name, Result: result, Reason: reason})
}

// kept says that the release on trial is kept.
func (n *news) kept() {
	n.mu.Lock()
	n.state.OnTrial, n.state.Floor = false, max(n.state.Floor, n.state.Version)
	o := release.Outcome{Version: n.state.Version, Name: n.state.Name, Result: release.Kept}
	n.mu.Unlock()
	n.remember(&o)
}

// wentBack says that the update was given up.
func (n *news) wentBack(reason string) {
	n.mu.Lock()
	o := release.Outcome{Version: n.state.Version, Name: n.state.Name, Result: release.WentBack, Reason: reason}
	if before := n.state.Update; before != nil && before.Result == release.Installed {
		o.Version, o.Name = before.Version, before.Name
	}
	n.mu.Unlock()
	n.remember(&o)
}

func (n *news) remember(o *release.Outcome) {
	o.Time = time.Now().UTC()
	n.mu.Lock()
	n.state.Update = o
	n.mu.Unlock()
	if b, err := json.Marshal(o); err == nil {
		if err := store.Write(n.outcome, b); err != nil {
			n.log.Error("what became of the update is not kept: " + err.Error())
		}
	}
	n.tell()
}

// tell writes the state for the role.
func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, err := json.Marshal(n.state)
	if err == nil {
		err = store.ReplaceFile(n.stateFile, 0o644, b)
	}
	if err != nil {
		n.log.Error("the role does not know of releases: " + err.Error())
	}
}

// now returns what the console shows.
func (n *news) now() release.Running {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state.Running
}

// updateKey is the key of updates as the role gets it, "" when this image has none.
func updateKey(log *slog.Logger) string {
	key, err := release.ReadKey(release.KeyFile)
	if err != nil {
		log.Warn(err.Error())
		return ""
	}
	text, err := key.MarshalText()
	if err != nil {
		log.Error("update key: " + err.Error())
	}
	return string(text)
}
