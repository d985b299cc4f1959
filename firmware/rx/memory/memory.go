// Package memory is what the receiver remembers across restarts: which epochs
// and frames of a pair key were used, the account of every channel, and which
// keys there are.
//
// Its high-water mark is what makes a recording of the link worthless:
//
//	no mark                  → accepted, and audited as unanchored
//	the same run             → accepted beyond the sequence number remembered
//	a run received before    → refused, as a replay
//	a later epoch            → accepted
//	an earlier epoch, or the
//	same number, another run → refused until the operator accepts this run (package acceptance)
//
// It cannot distinguish a later epoch that it missed, because it was off, from the
// transmitter's next one, once the operator has accepted an earlier epoch: a new
// pair key is the safer answer to a new card.
//
// The mark is on disk before a session's first frame is accepted; within a
// session it and the account follow at most a second behind, so a crash can
// repeat a second of events but not more.
//
// A disk that cannot be written, or does not answer, does not end monitoring:
// the receiver works from memory, which Storage and one audit event report, and it
// tries the disk again each second.
//
// The files of a transmitter, one writer each:
//
//	runs-KEYID      package store: {epoch(8) salt(16)}*, the runs accepted, newest last
//	account-KEYID   store.Slots: JSON (state), deflated (RFC 1951)
//	holes-KEYID     package store: epoch(8) sequence(8), of the account that it belongs
//	                to, {length(uvarint) channel length(uvarint) holes}*, as of package
//	                rx/holes: those for which the account has no room
//
// KEYID is derived from the pair key and reveals nothing of it. memory-KEYID is the state as JSON
// that earlier releases wrote; it is read when there is no account-KEYID.
package memory

import (
	"compress/flate"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/rx/pipeline"
)

// ErrRegressed is returned for an epoch that is not beyond the mark.
var ErrRegressed = errors.New("epoch_regressed: the transmitter lost its count, or old frames are played back; " +
	"if the transmitter was replaced or flashed again, run \"heliograph epoch show\" and \"heliograph epoch accept\" " +
	"on this side, or give both a new pair key")

// ErrReplayed is returned for a run that was received before.
var ErrReplayed = errors.New("epoch_replayed: old frames are played back; if it is the transmitter itself, restart it")

// Our own bounds.
const (
	maxRuns    = 1024 // remembered
	maxRefused = 8    // offered to the operator

	// repeatEvery is how often an event that goes on is audited, and how long after
	// its last refusal an epoch keeps the receiver from being ready.
	repeatEvery       = time.Minute
	writeRefusedEvery = 10 * time.Second // a new one: each write wears the card
	readAcceptedEvery = 200 * time.Millisecond
	diskTimeout       = 3 * time.Second // then the receiver goes on without the disk
)

// Audit notes an event that concerns security: its kind, a fixed word, and what
// happened in words.
type Audit func(event, text string)

// Memory implements receive.Anchor. Safe for concurrent use.
type Memory struct {
	dir   string
	files files
	audit Audit
	now   func() time.Time

	writing  chan struct{} // holds a token while the disk is at work
	deflater *flate.Writer

	mu               sync.Mutex
	state            state
	anchored         bool                 // runs has the high-water mark
	first            bool                 // the receiver had no state at all
	runs             []acceptance.Run     // accepted, the present one last
	refused          []acceptance.Run     // offered to the operator
	refusedWritten   time.Time            // when refused was last written
	refusedUnwritten bool                 // one was added since
	acceptedRead     time.Time            // when accepted was last read
	accepted         string               // the run that the operator accepts
	regress          time.Time            // the last refusal that the operator can end
	audited          map[string]time.Time // by event
	faults           map[string]error     // what cannot be written, by what it is
}

// state is the content of account-KEYID.
type state struct {
	Epoch    uint64           `json:"epoch"`
	Salt     []byte           `json:"salt"`
	Sequence uint64           `json:"sequence"`
	Account  pipeline.Account `json:"account"`
}

func (s *state) run() acceptance.Run {
	r := acceptance.Run{Epoch: s.Epoch}
	copy(r.Salt[:], s.Salt)
	return r
}

// Open reads what is remembered in dir of the transmitter whose pair key has an
// ID. Where that is nothing, and the key replaced another one, what is remembered
// under that one's ID is taken over.
func Open(dir, id, replaced string, audit Audit, now func() time.Time) (*Memory, error) {
	files, err := newFiles(dir, id)
	if err != nil {
		return nil, err
	}
	m := &Memory{
		dir: dir, files: files, audit: audit, now: now, writing: make(chan struct{}, 1),
		audited: map[string]time.Time{}, faults: map[string]error{},
	}
	var damage []error
	m.state, m.runs, damage = files.load()
	if len(m.runs) == 0 && len(damage) == 0 && replaced != "" {
		before, err := newFiles(dir, replaced)
		if err != nil {
			return nil, err
		}
		m.state, m.runs, damage = before.load()
	}
	m.anchored = len(m.runs) > 0
	m.refused, _ = acceptance.Refused(dir) // damage: they are offered again when they arrive again
	for _, err := range damage {
		text := "the next epoch received will be accepted"
		if m.anchored {
			text = "the last run remembered still holds"
		}
		audit("memory_damaged", fmt.Sprintf("%v; %s", err, text))
	}
	return m, nil
}

// SetFirst says that the receiver had no state at all when it started: that it knows no run of
// the transmitter is then as it should be.
func (m *Memory) SetFirst() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.first = true
}

// Account returns the account of the run before.
func (m *Memory) Account() pipeline.Account { return m.state.Account }

// Admit implements receive.Anchor.
func (m *Memory) Admit(epoch uint64, salt [16]byte) (used uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	run := acceptance.Run{Epoch: epoch, Salt: salt, LastFrame: m.now().UTC()}
	switch before := m.state.run(); {
	case !m.anchored && m.first:
		m.audit("epoch_first", fmt.Sprintf("epoch %d of the transmitter is the first here: this receiver had no state "+
			"yet", epoch))
	case !m.anchored:
		m.audit("epoch_unanchored", fmt.Sprintf(
			"epoch %d is accepted without an anchor: nothing is remembered of this pair key", epoch))
	case run.Same(before):
		if m.state.Account.Exact {
			m.state.Account.Exact = false // a crash from here on is not the end in order of the run before
			m.save(false)
		}
		return m.state.Sequence, nil
	case slices.ContainsFunc(m.runs, run.Same):
		m.auditRepeated("epoch_replayed", fmt.Sprintf("run %s: %v", run.ID(), ErrReplayed))
		return 0, ErrReplayed
	case epoch > before.Epoch:
	case m.accepts(run):
		m.audit("epoch_accepted", fmt.Sprintf("the operator accepted run %s after %s", run.ID(), before.ID()))
	default:
		m.refuse(run)
		return 0, ErrRegressed
	}
	m.anchored, m.regress = true, time.Time{}
	m.withdrawRefused()
	m.state = state{Epoch: epoch, Salt: salt[:], Account: m.state.Account}
	m.state.Account.Exact = false
	m.runs = append(m.runs, run)
	m.runs = m.runs[max(0, len(m.runs)-maxRuns):]
	m.save(true)
	return 0, nil
}

// accepts reports whether the operator accepts a run. The disk is not read each time:
// old frames that are played back would have it read as often.
func (m *Memory) accepts(run acceptance.Run) bool {
	if now := m.now(); now.Sub(m.acceptedRead) >= readAcceptedEvery {
		m.acceptedRead, m.accepted = now, acceptance.Accepted(m.dir)
	}
	return m.accepted == run.ID()
}

// withdrawRefused withdraws the runs offered to the operator, and what it accepted:
// once a run is admitted, accepting another would only help to play that back.
func (m *Memory) withdrawRefused() {
	if len(m.refused) > 0 {
		m.refused = nil
		m.setFault(refusedPart, m.onDisk(func() error { return acceptance.KeepRefused(m.dir, nil) }))
	}
	m.acceptedRead, m.accepted = time.Time{}, ""
	if acceptance.Accepted(m.dir) != "" {
		m.setFault(refusedPart, acceptance.Used(m.dir))
	}
}

// refuse offers a run to the operator.
func (m *Memory) refuse(run acceptance.Run) {
	m.regress = m.now()
	m.auditRepeated("epoch_regressed", fmt.Sprintf("run %s after %s: %v", run.ID(), m.state.run().ID(), ErrRegressed))
	i := slices.IndexFunc(m.refused, run.Same)
	if i >= 0 {
		m.refused = slices.Delete(m.refused, i, i+1)
	}
	m.refused = append(m.refused, run)
	m.refused = m.refused[max(0, len(m.refused)-maxRefused):]
	m.refusedUnwritten = m.refusedUnwritten || i < 0
	// A new one soon, the time of the others now and then: each write wears the card.
	if since := m.regress.Sub(m.refusedWritten); m.refusedUnwritten && since >= writeRefusedEvery ||
		since >= repeatEvery {
		m.refusedWritten, m.refusedUnwritten = m.regress, false
		runs := slices.Clone(m.refused)
		m.setFault(refusedPart, m.onDisk(func() error { return acceptance.KeepRefused(m.dir, runs) }))
	}
}

// auditRepeated audits an event that repeats, at most once in repeatEvery.
func (m *Memory) auditRepeated(event, text string) {
	if now := m.now(); now.Sub(m.audited[event]) >= repeatEvery {
		m.audited[event] = now
		m.audit(event, text)
	}
}

// Ready returns why the receiver needs its operator, if it does.
func (m *Memory) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.regress.IsZero() && m.now().Sub(m.regress) < repeatEvery {
		return ErrRegressed
	}
	return nil
}

// Keep remembers how far the session has come, and the account.
func (m *Memory) Keep(epoch, sequence uint64, a pipeline.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.anchored || epoch != m.state.Epoch {
		return // no session yet
	}
	m.state.Sequence, m.state.Account = max(m.state.Sequence, sequence), a
	m.save(false)
}

// KeepOn remembers the account while there is no session, under the mark of the last one:
// what a sink's peer did not take is counted then too.
func (m *Memory) KeepOn(a pipeline.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Exact = a.Exact && m.state.Account.Exact // one may have opened in between
	if !m.anchored || m.faults[memoryPart] == nil && reflect.DeepEqual(a, m.state.Account) {
		return // each write wears the card
	}
	m.state.Account = a
	m.save(false)
}
