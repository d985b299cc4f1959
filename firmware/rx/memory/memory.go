// Package memory is what the receiver remembers across restarts: which epochs
// and frames of a pair key were used, the account of every channel, and which
// keys there are.
//
// Its high-water mark is what makes a recorded link worthless to whoever plays
// it back:
//
//	no mark                  → believed, and audited as unanchored
//	the same run             → believed beyond the sequence number remembered
//	a run heard before       → refused, as a replay
//	a later epoch            → believed
//	an earlier epoch, or the
//	same number, another run → refused until the operator accepts this run (package acceptance)
//
// What it cannot tell is a later epoch that it never heard, because it was off,
// from the transmitter's next one, once the operator has accepted an earlier epoch:
// a new pair key is the safer answer to a new card.
//
// The mark is on disk before a session's first frame is believed; within a
// session it and the account follow at most a second behind, so a crash can
// repeat a second of events but not more.
//
// A disk that cannot be written, or does not answer, does not end monitoring:
// the receiver works from memory, Storage says so, one audit event too, and each
// second it is tried again.
//
// The files of a transmitter, one writer each:
//
//	runs-KEYID      package store: {epoch(8) salt(16)}*, the runs believed, newest last
//	account-KEYID   store.Slots: JSON (state), deflated (RFC 1951)
//
// KEYID is made from the pair key and says nothing of it. memory-KEYID is the state as JSON
// that earlier releases wrote; it is read when there is no account-KEYID.
package memory

import (
	"compress/flate"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/rx/pipeline"
)

// ErrRegressed is returned for an epoch that is not beyond the mark.
var ErrRegressed = errors.New("epoch_regressed: the transmitter lost its count, or somebody plays back old frames; " +
	"if the transmitter was replaced or flashed anew, run \"heliograph epoch show\" and \"heliograph epoch accept\" on this side, or give both a new pair key")

// ErrReplayed is returned for a run that was heard before.
var ErrReplayed = errors.New("epoch_replayed: somebody plays back old frames; if it is the transmitter itself, restart it")

// Our own bounds.
const (
	maxRuns    = 1024 // remembered
	maxRefused = 8    // offered to the operator
	quiet      = time.Minute
	noteEvery  = 10 * time.Second
	lookEvery  = 200 * time.Millisecond
	patience   = 3 * time.Second // with the disk
)

// Audit takes note of something that bears on security: a fixed word, and what
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

	mu       sync.Mutex
	state    state
	known    bool
	runs     []acceptance.Run     // believed, the present one last
	refused  []acceptance.Run     // offered to the operator
	noted    time.Time            // when refused was last written
	unnoted  bool                 // one was added since
	looked   time.Time            // when the operator's word was last looked for
	accepted string               // that word
	regress  time.Time            // the last refusal that the operator can end
	audited  map[string]time.Time // by event
	faults   map[string]error     // what cannot be written, by what it is
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
	m.known = len(m.runs) > 0
	m.refused, _ = acceptance.Refused(dir) // damage: they are offered again when they are heard again
	for _, err := range damage {
		text := "the next epoch heard will be believed"
		if m.known {
			text = "the last run remembered still holds"
		}
		audit("memory_damaged", fmt.Sprintf("%v; %s", err, text))
	}
	return m, nil
}

// Account returns the account of the run before.
func (m *Memory) Account() pipeline.Account { return m.state.Account }

// Admit implements receive.Anchor.
func (m *Memory) Admit(epoch uint64, salt [16]byte) (used uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	run := acceptance.Run{Epoch: epoch, Salt: salt, Heard: m.now().UTC()}
	switch before := m.state.run(); {
	case !m.known:
		m.audit("epoch_unanchored", fmt.Sprintf("epoch %d is believed without an anchor: nothing is remembered of this pair key", epoch))
	case run.Same(before):
		return m.state.Sequence, nil
	case slices.ContainsFunc(m.runs, run.Same):
		m.auditNow("epoch_replayed", fmt.Sprintf("run %s: %v", run.ID(), ErrReplayed))
		return 0, ErrReplayed
	case epoch > before.Epoch:
	case m.accepts(run):
		m.audit("epoch_accepted", fmt.Sprintf("the operator accepted run %s after %s", run.ID(), before.ID()))
	default:
		m.refuse(run)
		return 0, ErrRegressed
	}
	m.known, m.regress = true, time.Time{}
	m.settle()
	m.state = state{Epoch: epoch, Salt: salt[:], Account: m.state.Account}
	m.runs = append(m.runs, run)
	m.runs = m.runs[max(0, len(m.runs)-maxRuns):]
	m.save(true)
	return 0, nil
}

// accepts reports whether the operator accepts a run. Its word is not looked for
// each time: somebody who plays back frames would have the disk read as often.
func (m *Memory) accepts(run acceptance.Run) bool {
	if now := m.now(); now.Sub(m.looked) >= lookEvery {
		m.looked, m.accepted = now, acceptance.Accepted(m.dir)
	}
	return m.accepted == run.ID()
}

// settle withdraws what was offered to the operator, and what it said to it: once
// a run is believed, a word about another would serve whoever plays that back.
func (m *Memory) settle() {
	if len(m.refused) > 0 {
		m.refused = nil
		m.fault(refusedPart, m.onDisk(func() error { return acceptance.KeepRefused(m.dir, nil) }))
	}
	m.looked, m.accepted = time.Time{}, ""
	if acceptance.Accepted(m.dir) != "" {
		m.fault(refusedPart, acceptance.Used(m.dir))
	}
}

// refuse offers a run to the operator.
func (m *Memory) refuse(run acceptance.Run) {
	m.regress = m.now()
	m.auditNow("epoch_regressed", fmt.Sprintf("run %s after %s: %v", run.ID(), m.state.run().ID(), ErrRegressed))
	i := slices.IndexFunc(m.refused, run.Same)
	if i >= 0 {
		m.refused = slices.Delete(m.refused, i, i+1)
	}
	m.refused = append(m.refused, run)
	m.refused = m.refused[max(0, len(m.refused)-maxRefused):]
	m.unnoted = m.unnoted || i < 0
	// A new one soon, the time of the others now and then: they cost the card.
	if since := m.regress.Sub(m.noted); m.unnoted && since >= noteEvery || since >= quiet {
		m.noted, m.unnoted = m.regress, false
		runs := slices.Clone(m.refused)
		m.fault(refusedPart, m.onDisk(func() error { return acceptance.KeepRefused(m.dir, runs) }))
	}
}

// auditNow audits an event that repeats, once in a while.
func (m *Memory) auditNow(event, text string) {
	if now := m.now(); now.Sub(m.audited[event]) >= quiet {
		m.audited[event] = now
		m.audit(event, text)
	}
}

// Ready returns why the receiver cannot do without its operator, if it cannot.
func (m *Memory) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.regress.IsZero() && m.now().Sub(m.regress) < quiet {
		return ErrRegressed
	}
	return nil
}

// Keep remembers how far the session has come, and the account.
func (m *Memory) Keep(epoch, sequence uint64, a pipeline.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known || epoch != m.state.Epoch {
		return // no session yet
	}
	m.state.Sequence, m.state.Account = max(m.state.Sequence, sequence), a
	m.save(false)
}
