// Package report carries a role's reports to the process that started it: on a board
// PID 1, which drives the LED, the watchdog, the clock and the console from them.
//
// One line of JSON a second on the role's standard output:
//
//	{"evidence": …, "snapshot": …, "clock": …} LF      at most MaxLine bytes
//
// A role writes only when handover.Report is 1. The reader of the lines accepts
// nothing else from the role, and bounds all it accepts: a compromised role may write
// anything.
package report

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
)

const (
	// MaxLine is the longest line, its end included.
	MaxLine = 64 << 10
	every   = time.Second

	// Of a report that is too long.
	newestNotes = 8
	mostDown    = 32
	longestDown = 256 // bytes of one
)

// Wanted reports whether the process that started this one reads reports.
func Wanted() bool { return os.Getenv(handover.Report) == "1" }

// Report is the state of a role.
type Report struct {
	Evidence health.Evidence `json:"evidence"`
	Snapshot status.Snapshot `json:"snapshot"`
	Clock    Clock           `json:"clock"`
}

// Clock is what a role has measured of the time of day. It cannot set the machine's
// clock itself.
type Clock struct {
	Number        uint64  `json:"number"`         // rises with every measurement; 0: the time of day is not known
	OffsetSeconds float64 `json:"offset_seconds"` // to be added to the machine's clock
	Source        string  `json:"source"`         // "ntp 10.0.0.1", "link"; "" while not known
}

// Append appends the report's line to b. A report that is too long for a line, or that JSON cannot
// have, loses parts of variable length: first clients, then all but the newest notes, holes, counters,
// the other notes, what TX reports about itself, certificates, peers, channels, all but the first that
// are down, and the rest of the snapshot but for whose it is.
func (r *Report) Append(b []byte) []byte {
	short := *r
	var line []byte
	for _, cut := range []func(*status.Snapshot){
		func(*status.Snapshot) {},
		func(s *status.Snapshot) { s.Clients = nil },
		func(s *status.Snapshot) { s.Notes = s.Notes[max(len(s.Notes)-newestNotes, 0):] },
		func(s *status.Snapshot) { s.Channels = withoutHoles(s.Channels) },
		func(s *status.Snapshot) { s.Counters = nil },
		func(s *status.Snapshot) { s.Notes = nil },
		func(s *status.Snapshot) { s.Transmitter = nil },
		func(s *status.Snapshot) { s.Certificates = nil },
		func(s *status.Snapshot) { s.Peers, s.Reasons, s.NotReady = nil, nil, nil },
		func(s *status.Snapshot) { s.Channels = nil },
		func(*status.Snapshot) { short.Evidence.Down = first(short.Evidence.Down) },
		func(s *status.Snapshot) {
			*s = status.Snapshot{Role: s.Role, Pair: s.Pair, Version: s.Version, Ready: s.Ready}
		},
	} {
		cut(&short.Snapshot)
		var err error
		if line, err = json.Marshal(&short); err == nil && len(line) < MaxLine {
			break
		}
	}
	return append(append(b, line...), '\n')
}

// first returns the first of those that are down, cut, and how many more there are.
func first(down []string) (short []string) {
	for i, one := range down {
		if i == mostDown {
			return append(short, fmt.Sprintf("and %d more", len(down)-i))
		}
		short = append(short, text.Clip(one, longestDown))
	}
	return short
}

// withoutHoles returns the channels without their holes, whose number stays.
func withoutHoles(channels map[string]status.Channel) map[string]status.Channel {
	channels = maps.Clone(channels)
	for name, c := range channels {
		c.Holes = nil
		channels[name] = c
	}
	return channels
}

// Task writes a report each second. It blocks while no process reads, which
// holds up no other part of the role.
type Task struct {
	To   io.Writer
	Make func() Report
}

// String names the task.
func (t *Task) String() string { return "report to PID 1" }

// Ready returns nil: whether the role is ready is what the task reports.
func (t *Task) Ready() error { return nil }

// Run reports until ctx ends.
func (t *Task) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var line []byte
	for {
		r := t.Make()
		line = r.Append(line[:0])
		if _, err := t.To.Write(line); err != nil {
			return fmt.Errorf("report: %v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Read passes reports to accept until from ends. For a line that is too long or not a
// report it calls refuse with the reason.
func Read(from io.Reader, accept func(Report), refuse func(error)) error {
	r := bufio.NewReaderSize(from, MaxLine)
	skipping := false
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if !skipping {
				refuse(errors.New("report: a line is too long"))
			}
			skipping = true
			continue
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("report: %v", err)
		case skipping:
			skipping = false
			continue
		}
		var got Report
		if err := json.Unmarshal(line, &got); err != nil {
			refuse(fmt.Errorf("report: %v", err))
			continue
		}
		accept(got)
	}
}
