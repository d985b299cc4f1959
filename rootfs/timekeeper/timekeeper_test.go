package timekeeper

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
)

// machine is a board with a clock that is wrong and a role that measures it. Its
// true time is that of the bubble, 2000-01-01 at first.
type machine struct {
	offset  time.Duration // of the machine's clock to the true time
	lies    time.Duration // of the source's time to the true time
	number  uint64        // of the newest measurement; 0: none
	silent  bool          // the role measures nothing
	refused error         // what setting the clock fails with

	steps, slews, confirmed int
	log                     bytes.Buffer
	config                  Config
}

func newMachine(t *testing.T) *machine {
	m := &machine{}
	m.config = Config{
		Log: slog.New(slog.NewTextHandler(&m.log, nil)), Clock: m, Now: m.now, Measurement: m.measure,
		Released: releaseDate, File: filepath.Join(t.TempDir(), "clock"),
	}
	return m
}

var (
	bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // as package synctest says
	releaseDate = time.Date(1999, 6, 1, 0, 0, 0, 0, time.UTC)
)

func (m *machine) now() time.Time { return time.Now().Round(0).Add(m.offset) }

func (m *machine) measure() report.Clock {
	if m.silent {
		return report.Clock{}
	}
	m.number++
	return report.Clock{Number: m.number, OffsetSeconds: (m.lies - m.offset).Seconds(), Source: "ntp"}
}

func (m *machine) Step(to time.Time) error {
	if m.refused == nil {
		m.steps++
		m.offset += to.Sub(m.now())
	}
	return m.refused
}

func (m *machine) Slew(offset time.Duration) error {
	if m.refused == nil {
		m.slews++
		m.offset += offset
	}
	return m.refused
}

func (m *machine) Confirm(time.Duration) error { m.confirmed++; return m.refused }

// run keeps the clock for so long.
func (m *machine) run(t *testing.T, long time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	Start(m.config).Run(ctx)
}

// off checks how far the machine's clock is off.
func (m *machine) off(t *testing.T, want time.Duration) {
	t.Helper()
	if got := m.offset - want; got.Abs() > time.Millisecond {
		t.Errorf("clock is off by %v, want %v; log:\n%s", m.offset, want, m.log.String())
	}
}

func (m *machine) logged(t *testing.T, text string, want int) {
	t.Helper()
	if got := strings.Count(m.log.String(), text); got != want {
		t.Errorf("%q logged %d times, want %d:\n%s", text, got, want, m.log.String())
	}
}

func TestClockIsSteppedThenSlewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.offset = -100 * time.Hour
		m.run(t, time.Minute+time.Second/2)
		m.off(t, 0)
		if m.steps != 1 || m.slews < 50 || m.confirmed < 50 {
			t.Errorf("got %d steps, %d slews, confirmed %d times; want one step and then slewing", m.steps, m.slews,
				m.confirmed)
		}
		m.logged(t, "clock set", 1)
		m.logged(t, "time of day known", 1)
	})
}

func TestClockStartsAtTheLatestTimeThatIsKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		saved  time.Time // zero: no file
		offset time.Duration
		want   time.Duration
	}{
		"clock behind the release": {time.Time{}, -30 * 365 * 24 * time.Hour, releaseDate.Sub(bubbleStart)},
		"clock behind the saved time": {time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC), -100 * 24 * time.Hour,
			-31 * 24 * time.Hour},
		"saved time before the release": {time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), -300 * 24 * time.Hour,
			releaseDate.Sub(bubbleStart)},
		"clock later than both": {time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC), time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				m.offset, m.silent = tt.offset, true
				if !tt.saved.IsZero() {
					if err := store.Write(m.config.File,
						binary.BigEndian.AppendUint64(nil, uint64(tt.saved.Unix()))); err != nil {
						t.Fatal(err)
					}
				}
				m.run(t, time.Second)
				m.off(t, tt.want)
			})
		})
	}
}

func TestDamagedSavedTimeIsReportedAndIgnored(t *testing.T) {
	for name, write := range map[string]func(string) error{
		"not a record": func(file string) error { return os.WriteFile(file, []byte("soon"), 0o600) },
		"too short":    func(file string) error { return store.Write(file, []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				if err := write(m.config.File); err != nil {
					t.Fatal(err)
				}
				m.run(t, 5*time.Second)
				m.off(t, 0)
				m.logged(t, "saved time cannot be read", 1)
			})
		})
	}
}

func TestImpossibleTimesAreRejectedOnce(t *testing.T) {
	for name, lies := range map[string]time.Duration{
		"before the release": -365 * 24 * time.Hour,
		"decades after it":   40 * 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				m.lies = lies
				m.run(t, 3*time.Hour)
				m.off(t, 0)
				m.logged(t, "measured time rejected", 1)
				if _, err := os.Stat(m.config.File); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("time saved that is not known: %v", err)
				}
			})
		})
	}
}

func TestTimeIsSavedOnceItHasHeld(t *testing.T) {
	for name, tt := range map[string]struct {
		long, saved time.Duration // saved 0: never
	}{
		"not before ten minutes":          {9 * time.Minute, 0},
		"at the end":                      {15 * time.Minute, 15 * time.Minute},
		"again at the end of a long time": {25*time.Minute + time.Second/2, 25 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				start := time.Now()
				m.run(t, tt.long)
				saved, err := readSaved(m.config.File)
				if err != nil || saved.IsZero() != (tt.saved == 0) {
					t.Fatalf("saved %v, %v", saved, err)
				}
				if tt.saved > 0 && saved.Sub(start) != tt.saved {
					t.Errorf("saved the time after %v, want after %v", saved.Sub(start), tt.saved)
				}
			})
		})
	}
}

func TestTimeIsSavedEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, start := newMachine(t), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		k, ended := Start(m.config), make(chan struct{})
		go func() { defer close(ended); k.Run(ctx) }()
		time.Sleep(25 * time.Minute)
		defer func() { cancel(); <-ended }()
		saved, err := readSaved(m.config.File)
		if age := saved.Sub(start); err != nil || age < 20*time.Minute || age > 21*time.Minute {
			t.Errorf("saved the time after %v, %v; want after the second ten minutes", age, err)
		}
	})
}

func TestClockThatCannotBeSetIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.offset, m.refused = time.Hour, errors.New("operation not permitted")
		m.run(t, 5*time.Second)
		m.off(t, time.Hour)
		m.logged(t, "clock not set", 1)
		m.logged(t, "time of day known", 0)
	})
}
