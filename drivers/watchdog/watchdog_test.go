package watchdog

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// played is a device that notes what is asked of it.
type played struct {
	timeout   int  // its own, in seconds
	fixed     bool // refuses another
	unread    bool // does not report it
	unwritten bool // refuses the magic close
	said      []string
}

var errNot = errors.New("operation not supported")

func (p *played) set(request uint, v int) error {
	p.said = append(p.said, fmt.Sprintf("set %#x %d", request, v))
	if p.fixed {
		return errNot
	}
	p.timeout = min(v, 15) // as the BCM2835 does
	return nil
}

func (p *played) get(request uint) (int, error) {
	p.said = append(p.said, fmt.Sprintf("get %#x", request))
	if p.unread {
		return 0, errNot
	}
	return p.timeout, nil
}

func (p *played) feed() error { p.said = append(p.said, "feed"); return nil }

func (p *played) Write(b []byte) (int, error) {
	p.said = append(p.said, fmt.Sprintf("write %q", b))
	if p.unwritten {
		return 0, errNot
	}
	return len(b), nil
}

func (p *played) Close() error { p.said = append(p.said, "close"); return nil }

func TestArming(t *testing.T) {
	set, get := fmt.Sprintf("set %#x 20", uint(unix.WDIOC_SETTIMEOUT)),
		fmt.Sprintf("get %#x", uint(unix.WDIOC_GETTIMEOUT))
	tests := []struct {
		name   string
		device played
		want   time.Duration // 0: refused
	}{
		{"rounds down", played{timeout: 60}, 15 * time.Second},
		{"fixed, longer", played{timeout: 60, fixed: true}, time.Minute},
		{"fixed, too short", played{timeout: 2, fixed: true}, 0},
		{"does not report its time-out", played{unread: true}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			said := []string{set, get}
			if tt.want == 0 {
				said = append(said, `write "V"`, "close") // or it would reset the board
			}
			w, err := arm(&tt.device, 20*time.Second)
			if (err == nil) != (tt.want != 0) || err == nil && w.Timeout() != tt.want {
				t.Errorf("got %+v, %v; want %s", w, err, tt.want)
			}
			if !slices.Equal(tt.device.said, said) {
				t.Errorf("the device was asked %q, want %q", tt.device.said, said)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		device played
		end    func(*Watchdog) error
		want   []string
		fails  bool
	}{
		{"stopped", played{timeout: 10}, (*Watchdog).Close, []string{"feed", `write "V"`, "close"}, false},
		{"cannot be stopped, and is closed", played{timeout: 10, unwritten: true}, (*Watchdog).Close,
			[]string{"feed", `write "V"`, "close"}, true},
		{"abandoned", played{timeout: 10}, (*Watchdog).Abandon, []string{"feed", "close"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := arm(&tt.device, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			tt.device.said = nil
			if err := w.Feed(); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(w); (err != nil) != tt.fails {
				t.Errorf("got %v, want an error: %t", err, tt.fails)
			}
			if !slices.Equal(tt.device.said, tt.want) {
				t.Errorf("the device was asked %q, want %q", tt.device.said, tt.want)
			}
		})
	}
}

func TestDeviceThatIsNotThere(t *testing.T) {
	if _, err := Open("/dev/no-watchdog", time.Second); err == nil {
		t.Error("got a watchdog that is not there")
	}
}
