// Package disk measures the disk that a role keeps its state on, and passes on what
// PID 1 of a board did with it at its start.
//
// PID 1 writes File, one JSON object, before it starts the role:
//
//	{"time": "…", "formatted": "why", "memory": "why"}     at most 4 KiB
//
// The package refuses to free anything: each part of a role bounds what it keeps. It
// says when the disk is nearly full, and leaves a folder that it cannot measure out.
package disk

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// File is where PID 1 publishes Start to the role. It is replaced atomically.
const File = "/run/release/disk.json"

// Formatting stands where the data partition of a board begins, which ext4 leaves free, until
// PID 1 has formatted it.
const Formatting = "heliograph: being formatted\n"

// Our own bounds, in bytes.
const (
	maxFile  = 4 << 10
	leastLow = 16 << 20
	mostLow  = 1 << 30
)

// Start is what PID 1 did with the data partition when the board started.
type Start struct {
	Time      time.Time `json:"time"`                // when it was done
	Formatted string    `json:"formatted,omitempty"` // why what was on it is lost; "" if it is not
	Memory    string    `json:"memory,omitempty"`    // why state is in memory alone; "" if it is on the disk
}

// Usage is how full a disk is.
type Usage struct {
	Bytes uint64 `json:"bytes"`           // its size
	Free  uint64 `json:"free_bytes"`      // that a role may still write
	Fault string `json:"fault,omitempty"` // in words; "" when all is well
}

// Low returns below how many free bytes a disk of that size is nearly full: a
// twentieth, but 16 MiB at least and 1 GiB at most, and of a small one a quarter.
func Low(size uint64) uint64 { return min(min(max(size/20, leastLow), mostLow), size/4) }

// Disk is the disk of a role's state. Safe for concurrent use, but for Note.
type Disk struct {
	folder  string
	file    string // of PID 1
	measure func(folder string) (size, free uint64, err error)

	noted time.Time // the start that Note has seen
	fault bool      // Note has seen one
}

// Of returns the disk with that folder.
func Of(folder string) *Disk { return &Disk{folder: folder, file: File, measure: statfs} }

// start reads what PID 1 has written; the zero Start where there is no PID 1 of a board.
func (d *Disk) start() (s Start) {
	f, err := os.Open(d.file)
	if err != nil {
		return s
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil || json.Unmarshal(b, &s) != nil {
		return Start{}
	}
	return s
}

// Usage measures the disk; nil if that fails.
func (d *Disk) Usage() *Usage {
	size, free, err := d.measure(d.folder)
	if err != nil || size == 0 {
		return nil
	}
	u := &Usage{Bytes: size, Free: free}
	if why := d.start().Memory; why != "" {
		u.Fault = inMemory + why
	} else if free < Low(size) {
		u.Fault = fmt.Sprintf("the disk is nearly full: %d MiB of %d MiB are free; lower spool or history_size, or "+
			"use a larger one", free>>20, size>>20)
	}
	return u
}

const inMemory = "state is kept in memory and lost at the next restart: "

// Fault returns what is wrong with the disk, "" when all is well.
func (d *Disk) Fault() string {
	if u := d.Usage(); u != nil {
		return u.Fault
	}
	return ""
}

// Note logs when the disk becomes nearly full and has room again, and has events noted
// for that and for what PID 1 did, unless they were noted before: their text is their
// own. Call it now and then, from one goroutine.
func (d *Disk) Note(log *slog.Logger, once func(kind, text string)) {
	at := func(t time.Time) string { return " (" + t.UTC().Format(time.RFC3339) + ")" }
	if s := d.start(); !s.Time.IsZero() && !s.Time.Equal(d.noted) {
		d.noted = s.Time
		if s.Formatted != "" {
			once("data_formatted", "the data partition was formatted, what was on it is lost: "+s.Formatted+at(s.Time))
		}
		if s.Memory != "" {
			once("data_in_memory", inMemory+s.Memory+at(s.Time))
		}
	}
	u := d.Usage()
	switch {
	case u == nil:
	case u.Fault != "" && !d.fault:
		d.fault = true
		log.Warn("disk of the state", "error", u.Fault)
		if u.Free < Low(u.Bytes) {
			once("disk_low", u.Fault+at(time.Now()))
		}
	case u.Fault == "" && d.fault && u.Free > Low(u.Bytes)/4*5: // not at each file that comes and goes
		d.fault = false
		log.Info("disk of the state has room again", "free_bytes", u.Free)
	}
}
