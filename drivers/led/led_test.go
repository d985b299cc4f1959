package led

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

const ms = time.Millisecond

// recorded is a pin that notes when it changes its level.
type recorded struct {
	gpiotest.Pin
	mu     sync.Mutex
	start  time.Time
	events []string
	broken error
}

func (r *recorded) Out(l gpio.Level) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.Read(); before != l || len(r.events) == 0 {
		r.events = append(r.events, fmt.Sprintf("%d %s", time.Since(r.start).Milliseconds(), l))
	}
	if r.broken != nil {
		return r.broken
	}
	return r.Pin.Out(l)
}

func TestPatternsArePlayed(t *testing.T) {
	type show struct {
		at      time.Duration
		pattern []time.Duration
	}
	blink := []time.Duration{90 * ms, 10 * ms}
	tests := []struct {
		name  string
		shows []show
		for_  time.Duration
		want  string
	}{
		{"nothing set", nil, time.Second, "0 Low"},
		{"two flashes and a pause", []show{{0, []time.Duration{20 * ms, 20 * ms, 20 * ms, 100 * ms}}}, 170 * ms,
			"0 Low, 0 High, 20 Low, 40 High, 60 Low, 160 High, 170 Low"},
		{"steady", []show{{0, []time.Duration{ms}}}, time.Second, "0 Low, 0 High, 1000 Low"},
		{"a change starts at once", []show{{0, []time.Duration{time.Second, time.Second}},
			{100 * ms, []time.Duration{20 * ms, time.Second}}}, 150 * ms,
			"0 Low, 0 High, 120 Low"},
		{"the same again is no change", []show{{0, blink}, {45 * ms, []time.Duration{90 * ms, 10 * ms}}}, 110 * ms,
			"0 Low, 0 High, 90 Low, 100 High, 110 Low"},
		{"an odd number", []show{{0, []time.Duration{20 * ms, 20 * ms, 30 * ms}}}, 95 * ms,
			"0 Low, 0 High, 20 Low, 40 High, 90 Low"},
		{"darkness", []show{{0, blink}, {45 * ms, nil}}, time.Second, "0 Low, 0 High, 45 Low"},
		{"times of nothing do not spin", []show{{0, []time.Duration{0, 0}}}, 25 * ms,
			"0 Low, 0 High, 10 Low, 20 High, 25 Low"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pin := &recorded{start: time.Now()}
				l := New(pin)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- l.Run(ctx) }()
				for _, s := range tt.shows {
					synctest.Wait()
					time.Sleep(s.at - time.Since(pin.start)) // of the simulated clock
					l.Show(s.pattern)
				}
				synctest.Wait()
				time.Sleep(tt.for_ - time.Since(pin.start))
				stop()
				if err := <-done; err != nil {
					t.Errorf("Run: got %v, want nil", err)
				}
				if got := strings.Join(pin.events, ", "); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestPatternIsNotTheCallersAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := &recorded{start: time.Now()}
		l := New(pin)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		pattern := []time.Duration{20 * ms, 20 * ms}
		l.Show(pattern)
		synctest.Wait()
		pattern[1] = time.Hour
		time.Sleep(50 * ms) // of the simulated clock
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		if got, want := strings.Join(pin.events, ", "), "0 Low, 0 High, 20 Low, 40 High, 50 Low"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestBrokenLineEndsRun(t *testing.T) {
	broken := errors.New("no such line")
	if err := New(&recorded{broken: broken}).Run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestSysfsLED(t *testing.T) {
	folder := t.TempDir()
	led := filepath.Join(folder, "ACT")
	if err := os.Mkdir(led, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"trigger": "heartbeat", "brightness": "255"} {
		if err := os.WriteFile(filepath.Join(led, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(what, name, want string) {
		t.Helper()
		if got, err := os.ReadFile(filepath.Join(led, name)); string(got) != want || err != nil {
			t.Errorf("%s: %s is %q, %v; want %q", what, name, got, err, want)
		}
	}
	l, err := OpenSysfs(folder, "ACT")
	if err != nil {
		t.Fatal(err)
	}
	is("taken", "trigger", "none")
	is("taken", "brightness", "0")
	if err := l.out.Out(gpio.High); err != nil {
		t.Fatal(err)
	}
	is("lit", "brightness", "1")
	if _, err := OpenSysfs(folder, "PWR"); err == nil {
		t.Error("got an LED that is not there")
	}
}

func TestChipThatIsNotThere(t *testing.T) {
	if _, err := Open("/dev/gpiochip99", 1); err == nil {
		t.Error("got an LED on a chip that is not there")
	}
}
