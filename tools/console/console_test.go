package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	tea "charm.land/bubbletea/v2"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/status"
	"heliograph/rootfs/console"
)

// fake is a board whose link moves on each time it is asked.
type fake struct {
	mu     sync.Mutex
	status console.Status
	done   []string
	typed  []byte
}

func newFake() *fake {
	f := &fake{}
	f.status = console.Status{Role: "rx", Board: "rpi4b", Host: "press-hall-rx", Address: "10.1.0.7/24",
		State: health.Degraded, Reason: "2 frames lost", Up: time.Hour,
		Now: time.Date(2026, 11, 24, 2, 13, 21, 0, time.UTC)}
	f.status.Report.Snapshot = status.Snapshot{Role: "rx", Pair: "press-hall", Version: "v1.2.0",
		Link: status.Link{Medium: "uart", Frames: 1000, Lost: status.Of[uint64](0), Repaired: status.Of[uint64](0)}}
	return f
}

func (f *fake) Status() console.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	f.status.Up += time.Second
	l := &f.status.Report.Snapshot.Link
	l.Frames, l.Lost, l.Repaired = l.Frames+812, status.Of(*l.Lost+1), status.Of(*l.Repaired+5)
	return s
}

func (f *fake) Log(n int) []string                        { return []string{"a log line\x1b[2J"} }
func (f *fake) Identity() console.Certificate             { return console.Certificate{} }
func (f *fake) Rejected() []console.Certificate           { return nil }
func (f *fake) Trust(string) error                        { return nil }
func (f *fake) Keys() (string, error)                     { return "", nil }
func (f *fake) ChangeKey([pairkey.Size]byte) error        { return nil }
func (f *fake) Refused() []console.Run                    { return nil }
func (f *fake) Accept(string) error                       { return nil }
func (f *fake) Network() console.Network                  { return console.Network{Hostname: "h"} }
func (f *fake) CheckNetwork(console.Network) error        { return nil }
func (f *fake) SetNetwork(n console.Network) error        { return f.does("network " + n.Hostname) }
func (f *fake) Selftest(w io.Writer)                      { fmt.Fprintln(w, "pass  link") }
func (f *fake) Probe(context.Context, func(string)) error { return f.does("probe") }
func (f *fake) RestartRole()                              { _ = f.does("restart role") }
func (f *fake) FreezeRole()                               {}
func (f *fake) Restart()                                  { _ = f.does("restart") }
func (f *fake) PowerOff()                                 {}

func (f *fake) does(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, what)
	return nil
}

func (f *fake) did() (done []string, typed []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done), slices.Clone(f.typed)
}

// board serves a console on a pseudo terminal and returns its path.
func board(t *testing.T, f *fake, noise string) string {
	t.Helper()
	master, path := drivertest.OpenPTY(t)
	port, err := console.Open(path, 115200) // raw from the start, so that nothing is echoed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	go func() {
		c := console.New(f, master)
		_, _ = io.WriteString(master, noise)
		b := make([]byte, 1)
		for {
			if _, err := master.Read(b); err != nil {
				return
			}
			f.mu.Lock()
			f.typed = append(f.typed, b[0])
			f.mu.Unlock()
			c.Key(b[0])
		}
	}()
	return path
}

func open(t *testing.T, path string) Port {
	t.Helper()
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAsk(t *testing.T) {
	p := open(t, board(t, newFake(), "[    1.0] a kernel\r\nhalf a li"))
	data, err := Ask(p, console.Enquiry, "status", await.Bound)
	var got console.Status
	if err != nil || json.Unmarshal(data, &got) != nil || got.Host != "press-hall-rx" {
		t.Errorf("got %q, %v; want the status", data, err)
	}
	data, err = Ask(p, 'd', "diagnostics", await.Bound)
	if err != nil || !strings.Contains(string(data), "a log line?[2J") {
		t.Errorf("got %q, %v; want the bundle", data, err)
	}
}

func TestAskOfABoardThatIsSilent(t *testing.T) {
	_, path := drivertest.OpenPTY(t)
	if _, err := Ask(open(t, path), console.Enquiry, "status", 50*time.Millisecond); err == nil ||
		!strings.Contains(err.Error(), "is the board on") {
		t.Errorf("got %v, want what to look at", err)
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	for _, device := range []string{"/dev/null", "/dev/no-such-port"} {
		if _, err := Open(device); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error of one line", device, err)
		}
	}
}

func TestFind(t *testing.T) {
	files := func(names ...string) fstest.MapFS {
		dev := fstest.MapFS{"ttyS0": {}, "null": {}}
		for _, n := range names {
			dev[n] = &fstest.MapFile{}
		}
		return dev
	}
	for _, tt := range []struct {
		name        string
		dev         fstest.MapFS
		want, fails string
	}{
		{"none, and no built-in port is taken", files(), "", "no USB serial adapter"},
		{"by its name", files("ttyUSB0", "serial/by-id/usb-FTDI_A5-port0"), "/dev/serial/by-id/usb-FTDI_A5-port0", ""},
		{"without udev", files("ttyACM3"), "/dev/ttyACM3", ""},
		{"one of two", files("ttyUSB0", "ttyUSB1"), "", "name one of 2 adapters:\n  /dev/ttyUSB0\n  /dev/ttyUSB1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(devices(tt.dev))
			if got != tt.want || (err == nil) != (tt.fails == "") || err != nil &&
				!strings.Contains(err.Error(), tt.fails) {
				t.Errorf("got %q, %v; want %q, %q", got, err, tt.want, tt.fails)
			}
		})
	}
}

func TestAdaptersOfMacOS(t *testing.T) {
	ports := []string{"/dev/cu.Bluetooth-Incoming-Port", "/dev/tty.usbserial-A10", "/dev/cu.debug-console"}
	for name, c := range map[string]struct {
		more        []string
		want, fails string
	}{
		"none":             {nil, "", "no USB serial adapter"},
		"FTDI":             {[]string{"/dev/cu.usbserial-A10"}, "/dev/cu.usbserial-A10", ""},
		"CDC ACM":          {[]string{"/dev/cu.usbmodem1101"}, "/dev/cu.usbmodem1101", ""},
		"CP2102":           {[]string{"/dev/cu.SLAB_USBtoUART"}, "/dev/cu.SLAB_USBtoUART", ""},
		"CH340":            {[]string{"/dev/cu.wchusbserial1410"}, "/dev/cu.wchusbserial1410", ""},
		"two, and guessed": {[]string{"/dev/cu.usbserial-B", "/dev/cu.PL2303-1"}, "", "name one of 2 adapters"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(callOut(append(ports, c.more...)))
			if got != c.want || (err == nil) != (c.fails == "") || err != nil &&
				!strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.fails)
			}
		})
	}
}

func TestAdaptersSayWhatTheyAre(t *testing.T) {
	_, err := choose([]adapter{{"COM7", "USB Serial\x1b[2J (FTDI)"}, {"COM3", ""}})
	if want := "console: name one of 2 adapters:\n  COM3\n  COM7  USB Serial"; err == nil ||
		!strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestSaveKeepsWhatIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle")
	if err := Save(file, []byte("one")); err != nil {
		t.Fatal(err)
	}
	err := Save(file, []byte("two"))
	if got, _ := os.ReadFile(file); !errors.Is(err, os.ErrExist) || string(got) != "one" {
		t.Errorf("got %q, %v; want the first one kept", got, err)
	}
}

// typist types as a person would who reads the screen first.
type typist struct {
	io.Writer // to the program
	screen    *screen
}

type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) waits(t *testing.T, for_ string) {
	t.Helper()
	await.NoError(t, "the screen", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if text := s.text.String(); !strings.Contains(text, for_) {
			return fmt.Errorf("got %q, want %q in it", text, for_)
		}
		return nil
	})
}

func (y typist) types(t *testing.T, keys, until string) {
	t.Helper()
	for _, k := range keys { // a key at a time: ESC and another are one key else
		if _, err := io.WriteString(y, string(k)); err != nil {
			t.Fatal(err)
		}
	}
	y.screen.waits(t, until)
}

func TestWatch(t *testing.T) {
	t.Chdir(t.TempDir())
	f := newFake()
	path := board(t, f, "")
	in, keys := io.Pipe()
	y := typist{keys, &screen{}}
	ended := make(chan error, 1)
	port := open(t, path)
	go func() {
		ended <- Watch(context.Background(), port, path, tea.WithInput(in), tea.WithOutput(y.screen),
			tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm"}))
	}()
	y.screen.waits(t, "press-hall-rx")
	y.types(t, "l", "a log line?[2J")
	y.types(t, "d", "The bundle is in heliograph-press-hall-rx-")
	y.types(t, "nnew\r", "interface []:")
	y.types(t, "\x03", "")
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	if found, _ := filepath.Glob("heliograph-*.txt"); len(found) != 1 {
		t.Errorf("got %q, want one bundle", found)
	}
	await.NoError(t, "the last key arrives", func() error {
		if done, typed := f.did(); len(done) != 0 || typed[len(typed)-1] != escape {
			return fmt.Errorf("got %q done and %q typed last, want nothing done and the question left", done,
				typed[len(typed)-1])
		}
		return nil
	})
	y.screen.waits(t, "\x1b[?1049l") // the terminal's own screen is back
}
