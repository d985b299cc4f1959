package storage

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestBootPartitionIsMountedWhenItsContactComesBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []error
		took   time.Duration
		warned int
		fault  bool
	}{
		{"it mounts", []error{nil}, 0, 0, false},
		{"a contact that comes back", []error{unix.EIO, unix.ENXIO, nil}, 3 * time.Second, 2, false},
		{"a card that does not answer", []error{unix.EIO}, 15 * time.Second, 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				m, began := machine{faults: tt.faults}, time.Now()
				err := MountBoot(slog.New(slog.NewTextHandler(&log, nil)), m.Mount)
				if took := time.Since(began); (err != nil) != tt.fault || took != tt.took {
					t.Errorf("got %v after %s; want a fault: %t, after %s", err, took, tt.fault, tt.took)
				}
				if n := strings.Count(log.String(), "boot partition not mounted"); n != tt.warned {
					t.Errorf("got %d warnings, want %d:\n%s", n, tt.warned, &log)
				}
			})
		})
	}
}
