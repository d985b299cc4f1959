package memory

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
)

// files are what a pair key's memory is kept in.
type files struct {
	runs, legacy, holes string

	account *store.Slots
}

const (
	maxAccount = 64 << 10 // bytes, deflated: about a thousand channels
	maxState   = 16 << 20 // bytes, inflated
	runSize    = 8 + 16
)

func newFiles(dir, id string) (files, error) {
	account, err := store.OpenSlots(filepath.Join(dir, "account-"+id), maxAccount)
	return files{
		runs: filepath.Join(dir, "runs-"+id), legacy: filepath.Join(dir, "memory-"+id),
		holes: filepath.Join(dir, "holes-"+id), account: account,
	}, err
}

// load returns what the files remember. A cut between the two writes of a new
// session leaves its run in runs alone: it is the mark then. A run that is in
// account alone could not be written to runs.
func (f files) load() (s state, runs []acceptance.Run, damage []error) {
	note := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			damage = append(damage, err)
		}
	}
	b, err := f.account.Read()
	if err == nil {
		err = s.inflate(b)
	} else if note(err); errors.Is(err, fs.ErrNotExist) {
		if b, err = store.Read(f.legacy); err == nil {
			err = json.Unmarshal(b, &s)
		}
		note(err)
	}
	found := err == nil
	if found {
		note(f.addHoles(&s))
	} else {
		s = state{}
	}
	runs, err = readRuns(f.runs)
	note(err)
	last := len(runs) - 1
	switch mark := slices.IndexFunc(runs, s.run().Same); {
	case found && mark < 0:
		runs = append(runs, s.run())
	case last >= 0 && (!found || mark < last):
		s = state{Epoch: runs[last].Epoch, Salt: runs[last].Salt[:], Account: s.Account}
	}
	return s, runs, damage
}

func readRuns(path string) (runs []acceptance.Run, err error) {
	b, err := store.Read(path)
	if err != nil {
		return nil, err
	}
	for ; len(b) >= runSize; b = b[runSize:] {
		runs = append(runs, acceptance.Run{Epoch: binary.BigEndian.Uint64(b), Salt: acceptance.Salt(b[8:runSize])})
	}
	return runs[max(0, len(runs)-maxRuns):], nil
}

func encodeRuns(runs []acceptance.Run) (b []byte) {
	for _, r := range runs {
		b = append(binary.BigEndian.AppendUint64(b, r.Epoch), r.Salt[:]...)
	}
	return b
}

// deflate compresses the state, which is written each second: names of fields and
// channels cost next to nothing after the first.
func (m *Memory) deflate(s *state) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if m.deflater == nil {
		m.deflater, err = flate.NewWriterDict(&b, flate.BestCompression, dictionary())
		if err != nil {
			return nil, err
		}
	} else {
		m.deflater.Reset(&b) // it is large
	}
	_, err = m.deflater.Write(text)
	err = errors.Join(err, m.deflater.Close())
	return b.Bytes(), err
}

func (s *state) inflate(b []byte) error {
	text, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(b), dictionary()), maxState))
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil {
		return fmt.Errorf("memory: the account is damaged: %v", err)
	}
	return nil
}

// dictionary is part of the format of account-KEYID: it must not change.
func dictionary() []byte {
	return []byte(`":{"Delivered":,"Conflated":,"Lost":0,"Unknown":0,"Refused":0,"Expired":0,"Before":0,"Next":` +
		`{"epoch":,"salt":"=","sequence":,"account":{"Epoch":,"Exact":false,"Channels":{"`)
}

// save writes the account, and for a new session the runs before it.
func (m *Memory) save(session bool) {
	b, err := m.deflate(&m.state)
	runs := encodeRuns(m.runs)
	session = session || m.faults[memoryPart] != nil
	if err == nil {
		err = m.onDisk(func() (failed error) {
			if session {
				failed = store.Write(m.files.runs, runs)
			}
			return errors.Join(failed, m.files.account.Write(b), m.files.account.Sync())
		})
	}
	m.setFault(memoryPart, err)
}

var errNoAnswer = fmt.Errorf("memory: the disk has not answered for %s", diskTimeout)

// onDisk runs do, and returns without it when the disk hangs.
func (m *Memory) onDisk(do func() error) error {
	enough := time.NewTimer(diskTimeout)
	defer enough.Stop()
	select {
	case m.writing <- struct{}{}:
	case <-enough.C:
		return errNoAnswer
	}
	done := make(chan error, 1)
	go func() {
		err := do()
		<-m.writing
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-enough.C:
		return errNoAnswer
	}
}

// Parts of the state directory that can fail each for itself.
const (
	memoryPart  = "account and epoch"
	refusedPart = "refused epochs"
	holesPart   = "missing records"
)

// setFault notes why a part of the state cannot be written; nil: it can. The first
// fault and the end of the last one are audited.
func (m *Memory) setFault(part string, err error) {
	before := len(m.faults)
	if err == nil {
		delete(m.faults, part)
	} else {
		m.faults[part] = err
	}
	switch after := len(m.faults); {
	case before == 0 && after > 0:
		m.audit("state_unwritable", fmt.Sprintf(
			"the state directory cannot be written, and frames could be played back after a restart: %s: %v", part,
			err))
	case before > 0 && after == 0:
		m.audit("state_writable", "the state directory can be written again")
	}
}

// SetFault notes why another part of the state directory cannot be written; nil: it can.
func (m *Memory) SetFault(part string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setFault(part, err)
}

// Storage returns which parts of the state the disk does not keep, and why.
func (m *Memory) Storage() task.Reasons {
	m.mu.Lock()
	defer m.mu.Unlock()
	var reasons task.Reasons
	for _, part := range slices.Sorted(maps.Keys(m.faults)) {
		reasons = append(reasons, task.NewReason("state", cause.State(fmt.Errorf("%s not kept: %w", part,
			m.faults[part]))))
	}
	return reasons
}
