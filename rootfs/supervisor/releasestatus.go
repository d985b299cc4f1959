package supervisor

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/store"
	"heliograph/rootfs/bootloader"
	"heliograph/rootfs/update"
)

// ReleaseStatus publishes to the role and the console which release runs and what
// became of the last update. Safe for concurrent use.
type ReleaseStatus struct {
	log         *slog.Logger
	stateFile   string // that the role reads
	outcomeFile string // keeps what became of the last update over a restart

	mu    sync.Mutex
	state release.State
}

// ReleaseFiles are the files of a ReleaseStatus.
type ReleaseFiles struct {
	State   string // that the role reads, as in package release
	Outcome string // keeps what became of the last update over a restart
}

// NewReleaseStatus reads what became of the last update. It makes the folder of the
// state file, which has to exist before the role's sandbox is made.
func NewReleaseStatus(log *slog.Logger, files ReleaseFiles, t update.Target) *ReleaseStatus {
	s := &ReleaseStatus{log: log, stateFile: files.State, outcomeFile: files.Outcome}
	s.state.Role, s.state.Board = t.Role, t.Board
	if err := os.MkdirAll(filepath.Dir(s.stateFile), 0o755); err != nil {
		log.Error("release status has no folder", "error", err)
	}
	b, err := store.Read(s.outcomeFile)
	if err != nil {
		return s // there was no update, or the data partition is new
	}
	var o release.Outcome
	if err := json.Unmarshal(b, &o); err == nil {
		s.state.Update = &o
	}
	return s
}

// Running is the release that runs.
type Running struct {
	Card update.State
	Name string
	Key  string // of updates, as text; "" if this image accepts none
	Boot bootloader.Info
}

// SetRunning publishes the running release, and that none can follow it where the boot
// loader starts no trial. A trial that ended with a restart is judged now, by the card's
// record.
func (s *ReleaseStatus) SetRunning(r Running) {
	s.mu.Lock()
	s.state.Version, s.state.Name, s.state.OnTrial = r.Card.Version, r.Name, r.Card.Trying
	s.state.Floor, s.state.Key = r.Card.Floor, r.Key
	if advice := r.Boot.Advice(); advice != "" {
		s.state.Fault = noUpdate + advice
	}
	o := s.state.Update
	s.mu.Unlock()
	switch {
	case r.gaveUp(o):
		s.gaveUp(r.Card.Refused, r.fate())
	case o == nil || o.Result != release.Installed:
		s.publish()
	case r.Card.Refused == o.Version:
		s.rolledBack(r.fate())
	case r.Card.Version == o.Version && !r.Card.Trying:
		s.committed()
	default:
		s.publish()
	}
}

// gaveUp says whether the card has given up a newer release than the one that runs, of which
// o, the last outcome, says nothing: one that a PC installed, or a kept one that is damaged.
func (r Running) gaveUp(o *release.Outcome) bool {
	if r.Card.Refused <= r.Card.Version || r.Card.Pending != 0 {
		return false
	}
	return o == nil || o.Result != release.Refused &&
		(o.Version != r.Card.Refused || o.Result != release.RolledBack)
}

// fate says what became of the trial of a release that was given up before this program
// ran.
func (r Running) fate() string {
	if advice := r.Boot.Advice(); advice != "" && r.Card.Fate == update.NeverBegan {
		return advice
	}
	return r.Card.Fate
}

// noUpdate begins a fault.
const noUpdate = "no update is possible: "

// SetUnavailable publishes why no update can be installed.
func (s *ReleaseStatus) SetUnavailable(why error) {
	s.mu.Lock()
	s.state.Fault = noUpdate + why.Error()
	s.mu.Unlock()
	s.publish()
}

// Current returns what the console shows.
func (s *ReleaseStatus) Current() release.Running {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Running
}

func (s *ReleaseStatus) refused(m release.Manifest, why error) {
	s.record(release.Outcome{Version: m.Version, Name: m.Name, Result: release.Refused, Reason: why.Error()})
}

func (s *ReleaseStatus) installed(m release.Manifest) {
	s.record(release.Outcome{Version: m.Version, Name: m.Name, Result: release.Installed})
}

// committed records that the release on trial is kept.
func (s *ReleaseStatus) committed() {
	s.mu.Lock()
	s.state.OnTrial, s.state.Floor = false, max(s.state.Floor, s.state.Version)
	o := release.Outcome{Version: s.state.Version, Name: s.state.Name, Result: release.Kept}
	s.mu.Unlock()
	s.record(o)
}

// rolledBack records that the release before the update runs, or runs next.
func (s *ReleaseStatus) rolledBack(why string) {
	s.mu.Lock()
	o := release.Outcome{Version: s.state.Version, Name: s.state.Name, Result: release.RolledBack, Reason: why}
	if before := s.state.Update; before != nil && before.Result == release.Installed {
		o.Version, o.Name = before.Version, before.Name
	}
	s.mu.Unlock()
	s.record(o)
}

// gaveUp records that the initramfs has given a release up.
func (s *ReleaseStatus) gaveUp(version uint64, why string) {
	o := release.Outcome{Version: version, Result: release.RolledBack, Reason: why}
	s.mu.Lock()
	if before := s.state.Update; before != nil && before.Version == version {
		o.Name = before.Name
	}
	s.mu.Unlock()
	s.record(o)
}

func (s *ReleaseStatus) record(o release.Outcome) {
	o.Time = time.Now().UTC()
	s.mu.Lock()
	s.state.Update = &o
	s.mu.Unlock()
	b, err := json.Marshal(o)
	if err == nil {
		err = store.Write(s.outcomeFile, b)
	}
	if err != nil {
		s.log.Error("outcome of the update not saved", "error", err)
	}
	s.publish()
}

// publish writes the state for the role.
func (s *ReleaseStatus) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(s.state)
	if err == nil {
		err = store.ReplaceFile(s.stateFile, 0o644, b)
	}
	if err != nil {
		s.log.Error("release status not published to the role", "error", err)
	}
}
