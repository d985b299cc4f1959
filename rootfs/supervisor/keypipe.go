package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/config/pairkey"
)

// writeTimeout bounds a write to the key pipe, whose reader may hang. Our own choice.
const writeTimeout = time.Second

// openKeyPipe makes the pair key's file unreadable for the role, and returns the
// reading end of the pipe from which the role, which is about to start, gets its keys.
func (s *Supervisor) openKeyPipe() (reader *os.File, err error) {
	file := s.configuredPaths().keyFile
	if strings.HasPrefix(file, s.Folders.Home+"/") { // elsewhere the sandbox grants nothing
		if err := os.Lchown(file, os.Getuid(), os.Getgid()); err != nil {
			return nil, fmt.Errorf("keeping the pair key from the role: %w", err)
		}
	}
	use, warning, err := pairkey.InUse(file, s.Folders.Keys, time.Now())
	if err != nil {
		return nil, err
	}
	if warning != nil {
		s.Log.Error("pair key with a warning", "error", warning)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if err := use.Hand(writer); err != nil { // a pipe takes more than this without a reader
		_, _ = writer.Close(), reader.Close()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyPipe = writer
	return reader, nil
}

// changeKeys sends a role that runs its new keys; one that does not run gets them at
// its start. A transmitter reads them at its start only.
func (s *Supervisor) changeKeys(use pairkey.Use) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keyPipe == nil {
		return nil
	}
	_ = s.keyPipe.SetWriteDeadline(time.Now().Add(writeTimeout)) // a pipe has deadlines
	if err := use.Hand(s.keyPipe); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// closeKeyPipe closes the pipe of a role that has ended.
func (s *Supervisor) closeKeyPipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keyPipe != nil {
		_ = s.keyPipe.Close()
		s.keyPipe = nil
	}
}
