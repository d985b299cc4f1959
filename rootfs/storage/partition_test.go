package storage

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// machine answers each try to mount with the next of its errors, and the last one for
// ever; nil mounts.
type machine struct {
	faults  []error
	fresh   bool
	unread  error
	mounts  int
	formats int
}

func (m *machine) Mount() error {
	m.mounts++
	if m.formats > 0 {
		return nil
	}
	fault := m.faults[min(m.mounts, len(m.faults))-1]
	if fault == nil {
		return nil
	}
	return fmt.Errorf("mounting: %w", fault)
}

func (m *machine) IsNew() (bool, error) { return m.fresh, m.unread }
func (m *machine) Format() error        { m.formats++; return nil }

func TestPartitionIsPreparedOverRestarts(t *testing.T) {
	damaged := []error{unix.EUCLEAN}
	for _, tt := range []struct {
		name    string
		machine machine
		broken  bool     // the card keeps no writes
		cut     bool     // the power failed while a damaged partition was formatted
		starts  []string // of the board: what becomes of the partition
		formats int      // in all
		logged  string   // "" for nothing
		silent  []string // must not be logged
	}{
		{name: "it mounts", machine: machine{faults: []error{nil}}, starts: []string{"mounted"}},
		{name: "a new card", machine: machine{faults: []error{unix.EINVAL}, fresh: true}, starts: []string{"mounted"},
			formats: 1, logged: "data partition made", silent: []string{"lost", "WARN", "ERROR", "gone"}},
		{name: "damage, and the power failed while it was formatted", machine: machine{faults: []error{unix.EINVAL},
			fresh: true}, cut: true, starts: []string{"formatted"}, formats: 1, logged: "DATA PARTITION FORMATTED"},
		{name: "a new card that did not answer at first", machine: machine{faults: append(repeat(unix.EIO, 5),
			unix.EINVAL), fresh: true}, starts: []string{"restart", "mounted"}, formats: 1, silent: []string{"lost"}},
		{name: "a contact that comes back", machine: machine{faults: []error{unix.EIO, unix.ENXIO, nil}},
			starts: []string{"mounted"}, logged: "data partition not mounted"},
		{name: "damage that goes", machine: machine{faults: []error{unix.EUCLEAN, unix.EUCLEAN, unix.EUCLEAN,
			unix.EUCLEAN, nil}}, starts: []string{"mounted"}},
		{name: "damage that a restart helps", machine: machine{faults: append(repeat(unix.EBADMSG, 5), nil)},
			starts: []string{"restart", "mounted"}},
		{name: "damage that stays", machine: machine{faults: damaged}, starts: []string{"restart", "formatted"},
			formats: 1, logged: "DATA PARTITION FORMATTED"},
		{name: "a card that does not answer", machine: machine{faults: []error{unix.EIO}},
			starts: []string{"restart", "memory", "memory"}},
		{name: "a card that turned read-only", machine: machine{faults: []error{unix.EROFS}},
			starts: []string{"restart", "memory"}},
		{name: "damage, and its beginning cannot be read", machine: machine{faults: damaged, fresh: true,
			unread: unix.EIO}, starts: []string{"restart", "formatted"}, formats: 1},
		{name: "damage, and the card takes no writes", machine: machine{faults: damaged}, broken: true,
			starts: []string{"memory", "memory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				card := newCard()
				card.broken = tt.broken
				if tt.cut {
					if err := writeAttempts(card, formattingDamaged); err != nil {
						t.Fatal(err)
					}
				}
				m := tt.machine
				for i, want := range tt.starts {
					p := Partition{Log: slog.New(slog.NewTextHandler(&log, nil)), Card: card, Machine: &m}
					began := time.Now()
					if got := word(p.Prepare()); got != want {
						t.Fatalf("start %d: got %s, want %s", i+1, got, want)
					}
					if took := time.Since(began); want != "mounted" && !tt.cut && took != 15*time.Second {
						t.Errorf("start %d: took %s, want 15s", i+1, took)
					}
				}
				last := tt.starts[len(tt.starts)-1]
				if n := readAttempts(card); (last == "mounted" || last == "formatted") && n != 0 {
					t.Errorf("got %d attempts after it mounted, want 0", n)
				}
				if m.formats != tt.formats {
					t.Errorf("got %d formats, want %d", m.formats, tt.formats)
				}
				if !strings.Contains(log.String(), tt.logged) {
					t.Errorf("%q is not logged:\n%s", tt.logged, &log)
				}
				for _, s := range tt.silent {
					if strings.Contains(log.String(), s) {
						t.Errorf("%q is logged:\n%s", s, &log)
					}
				}
			})
		})
	}
}

func repeat(err error, n int) (list []error) {
	for range n {
		list = append(list, err)
	}
	return list
}

func word(r Result) string {
	switch {
	case r.Restart:
		return "restart"
	case r.Mounted && r.Start.Formatted != "":
		return "formatted"
	case r.Mounted:
		return "mounted"
	case r.Start.Memory != "":
		return "memory"
	}
	return "nothing"
}
