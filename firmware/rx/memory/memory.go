// Package memory is what the receiver remembers across restarts: which epochs
// and frames of a pair key were used, and the account of every channel.
//
// Its high-water mark is what makes a recorded link worthless to whoever plays
// it back:
//
//	no mark                  → believed, and audited as unanchored
//	a later epoch            → believed
//	the same run             → believed beyond the sequence number remembered
//	an earlier epoch, or the
//	same number, another run → refused until the operator accepts it (Accept)
//
// The mark is on disk before a session's first frame is believed; within a
// session it and the account follow at most a second behind, so a crash can
// repeat a second of events but not more. One file per pair key, one writer.
package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/store"
)

// ErrRegressed is returned for an epoch that is not beyond the mark.
var ErrRegressed = errors.New("epoch_regressed: the transmitter lost its count, or somebody plays back old frames; " +
	"if the transmitter was replaced or flashed anew, run \"heliograph epoch accept\" on this side, or give both a new pair key")

// Audit takes note of something that bears on security: a fixed word, and what
// happened in words.
type Audit func(event, text string)

// Memory implements receive.Anchor. Safe for concurrent use.
type Memory struct {
	dir, path string
	audit     Audit
	now       func() time.Time

	mu      sync.Mutex
	state   state
	known   bool
	refused time.Time // the last time
	audited time.Time
	broken  error // the file cannot be written
}

// state is the content of the file.
type state struct {
	Epoch    uint64           `json:"epoch"`
	Salt     []byte           `json:"salt"`
	Sequence uint64           `json:"sequence"`
	Account  pipeline.Account `json:"account"`
}

const acceptFile = "epoch-accept"

// Open reads what is remembered of a pair key in dir.
func Open(dir string, key wire.PairKey, audit Audit, now func() time.Time) (*Memory, error) {
	id := sha256.Sum256(append([]byte("heliograph key id"), key[:]...))
	m := &Memory{dir: dir, path: filepath.Join(dir, "memory-"+hex.EncodeToString(id[:4])), audit: audit, now: now}
	b, err := store.Read(m.path)
	if err == nil {
		err = json.Unmarshal(b, &m.state)
		m.known = err == nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.state = state{}
		audit("memory_damaged", fmt.Sprintf("%s: %v; the next epoch heard will be believed", m.path, err))
	}
	return m, nil
}

// Account returns the account of the run before.
func (m *Memory) Account() pipeline.Account { return m.state.Account }

// Accept lets the receiver that works in dir believe the next epoch, whatever
// it remembers.
func Accept(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, acceptFile), nil, 0o600); err != nil {
		return fmt.Errorf("memory: accepting the transmitter's epoch: %v", err)
	}
	return nil
}

// Admit implements receive.Anchor.
func (m *Memory) Admit(epoch uint64, salt [16]byte) (used uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch same := m.known && string(m.state.Salt) == string(salt[:]); {
	case !m.known:
		m.audit("epoch_unanchored", fmt.Sprintf("epoch %d is believed without an anchor: nothing is remembered of this pair key", epoch))
	case epoch > m.state.Epoch:
	case epoch == m.state.Epoch && same:
		return m.state.Sequence, nil
	case os.Remove(filepath.Join(m.dir, acceptFile)) == nil:
		m.audit("epoch_accepted", fmt.Sprintf("the operator accepted epoch %d after %d", epoch, m.state.Epoch))
	default:
		m.refused = m.now()
		if m.refused.Sub(m.audited) >= time.Minute {
			m.audited = m.refused
			m.audit("epoch_regressed", fmt.Sprintf("epoch %d after %d: %v", epoch, m.state.Epoch, ErrRegressed))
		}
		return 0, ErrRegressed
	}
	m.known, m.refused = true, time.Time{}
	m.state = state{Epoch: epoch, Salt: salt[:], Account: m.state.Account}
	m.save()
	return 0, nil
}

// Ready returns why the receiver cannot do without its operator, if it cannot.
func (m *Memory) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.refused.IsZero() && m.now().Sub(m.refused) < time.Minute {
		return ErrRegressed
	}
	return m.broken
}

// Keep remembers how far the session has come, and the account.
func (m *Memory) Keep(epoch, sequence uint64, a pipeline.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known || epoch != m.state.Epoch {
		return // no session yet
	}
	m.state.Sequence, m.state.Account = max(m.state.Sequence, sequence), a
	m.save()
}

// save writes the file. A disk that is full or read-only must not end
// monitoring; it is said on /readyz instead.
func (m *Memory) save() {
	b, err := json.Marshal(&m.state)
	if err == nil {
		err = store.Write(m.path, b)
	}
	if err != nil && m.broken == nil {
		m.audit("memory_unwritable", fmt.Sprintf("frames could be played back after a restart: %v", err))
	}
	m.broken = err
}
