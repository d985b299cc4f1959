package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/config/pairkey"
)

// handKeys keeps the pair key's file to PID 1, and returns the pipe from which the
// role, which is about to start, has its keys.
func (r *role) handKeys() (theirs *os.File, err error) {
	file := r.keyFile()
	if strings.HasPrefix(file, home+"/") { // else nothing grants it to the role
		if err := os.Lchown(file, 0, 0); err != nil {
			return nil, fmt.Errorf("keeping the pair key from the role: %w", err)
		}
	}
	use, warning, err := pairkey.InUse(file, keys, time.Now())
	if err != nil {
		return nil, err
	}
	if warning != nil {
		r.log.Error(warning.Error())
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if err := use.Hand(ours); err != nil { // a pipe takes more than this without a reader
		_, _ = ours.Close(), theirs.Close()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pipe = ours
	return theirs, nil
}

// changeKeys hands a role that runs its keys anew. A transmitter reads them at its start alone.
func (r *role) changeKeys(use pairkey.Use) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipe == nil {
		return nil // its start will
	}
	_ = r.pipe.SetWriteDeadline(time.Now().Add(time.Second)) // a pipe has deadlines
	if err := use.Hand(r.pipe); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// endKeys closes the pipe of a role that has ended.
func (r *role) endKeys() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipe != nil {
		_ = r.pipe.Close()
		r.pipe = nil
	}
}
