package pairkey

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"heliograph/firmware/platform/handover"
)

const maxLine = 1024 // bytes; a line has about 350

// Handed reports whether this process reads its keys from a pipe, not from files.
func Handed() bool { return os.Getenv(handover.Keys) != "" }

// line is a Use as PID 1 of a board writes it to a role's pipe (handover.Keys), because
// the role may not read the files. Each line is a JSON object and replaces the one before:
//
//	{"key": "heliograph-pair-key-1 …", "old": "…", "until": "2026-12-01T00:00:00Z",
//	 "memory": "ceedd16e", "replaced": ""}
type line struct {
	Key      keyText   `json:"key"`
	Old      *keyText  `json:"old,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Memory   string    `json:"memory"`
	Replaced string    `json:"replaced"`
}

// Hand writes the keys to the pipe of a role's Source.
func (u Use) Hand(w io.Writer) error {
	b, err := json.Marshal(line{keyText(u.Key), (*keyText)(u.Old), u.Until, u.Memory, u.Replaced})
	if err != nil {
		return fmt.Errorf("pairkey: %v", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("pairkey: writing the keys to the role: %w", err)
	}
	return nil
}

// Source is where a role reads its keys from: files, or a pipe.
type Source struct {
	keyFile, state string

	mu     sync.Mutex
	handed *Use // nil: read the files
}

// Open returns the source of a role's keys. With a pipe it waits for the first line.
func Open(keyFile, state string) (*Source, error) {
	s := &Source{keyFile: keyFile, state: state}
	if !Handed() {
		return s, nil
	}
	n, _, err := handover.Descriptor(handover.Keys)
	if err != nil {
		return nil, fmt.Errorf("pairkey: %v", err)
	}
	lines := bufio.NewReaderSize(os.NewFile(uintptr(n), "keys"), maxLine)
	if err := s.readLine(lines); err != nil {
		return nil, fmt.Errorf("pairkey: reading the keys from PID 1: %w", err)
	}
	go func() {
		for s.readLine(lines) == nil { // until PID 1 closes the pipe
		}
	}()
	return s, nil
}

func (s *Source) readLine(lines *bufio.Reader) error {
	b, err := lines.ReadSlice('\n')
	if err != nil {
		return err
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	if l.Memory == "" {
		return errors.New("the line has no memory ID")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed = &Use{Key: l.Key, Old: (*[Size]byte)(l.Old), Until: l.Until, Memory: l.Memory, Replaced: l.Replaced}
	return nil
}

// Use returns the keys in force. A damaged key change is a warning.
func (s *Source) Use(now time.Time) (u Use, warning, err error) {
	s.mu.Lock()
	handed := s.handed
	s.mu.Unlock()
	if handed == nil {
		return InUse(s.keyFile, s.state, now)
	}
	u = *handed
	if !now.Before(u.Until) {
		u.Old, u.Until = nil, time.Time{}
	}
	return u, nil, nil
}
