package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"heliograph/boards"
	"heliograph/ci/await"
)

// screen is a terminal with a person at it, who reads before typing.
type screen struct {
	t    *testing.T
	tty  *os.File
	keys *os.File

	mu    sync.Mutex
	shown bytes.Buffer
	read  int // of what was shown, what the person has read
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	keys, tty, err := pty.Open()
	if err == nil {
		err = pty.Setsize(keys, &pty.Winsize{Rows: 40, Cols: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, tty: tty, keys: keys}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := keys.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.shown.Write(b[:n])
			s.mu.Unlock()
		}
	}()
	// Both ends are left to their finalizers: a form that ends does not wait for its goroutine that
	// reads the tty, and only that end's close ends the one above.
	return s
}

// types waits for a text and types.
func (s *screen) types(after, keys string) {
	s.t.Helper()
	await.NoError(s.t, fmt.Sprintf("%q on the screen", after), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := strings.Index(s.shown.String()[s.read:], after)
		if i < 0 {
			return fmt.Errorf("it shows %q", s.shown.String()[s.read:])
		}
		s.read += i + len(after)
		return nil
	})
	if strings.HasSuffix(after, "Password") {
		await.NoError(s.t, "a terminal that does not echo", s.noEcho)
	}
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// noEcho returns an error while what is typed is shown: the prompt comes before that ends.
func (s *screen) noEcho() error {
	raw, err := s.keys.SyscallConn()
	if err != nil {
		return err
	}
	var mode *unix.Termios
	if controlErr := raw.Control(func(fd uintptr) {
		mode, err = unix.IoctlGetTermios(int(fd), unix.TCGETS)
	}); controlErr != nil || err != nil {
		return errors.Join(controlErr, err)
	}
	if mode.Lflag&unix.ECHO != 0 {
		return errors.New("it echoes")
	}
	return nil
}

// focus is before the title of the field that gets the keys: a key that comes before goes to
// the field before.
const focus = "\x1b[36m"

// init runs "heliograph init" at the screen.
func (s *screen) init(args ...string) <-chan int {
	code := make(chan int, 1)
	go func() { code <- run(s.t.Context(), append([]string{"init"}, args...), s.tty, s.tty, s.tty) }()
	return code
}

// ports replaces P1 to P5 by ports that are free: init looks whether they are.
func ports(t *testing.T) *strings.Replacer {
	t.Helper()
	var pairs []string
	for n := range 5 {
		pairs = append(pairs, fmt.Sprint("P", n+1), fmt.Sprint(await.FreePort(t)))
	}
	return strings.NewReplacer(pairs...)
}

func TestInitAsksOnATerminal(t *testing.T) {
	opcua, _ := simulated(t)
	for name, c := range map[string]struct {
		terminal string
		args     []string
		keys     [][2]string // what is shown, and what is typed then
	}{
		"a form": {"xterm", []string{"--medium", "udp", "--board", "host", "--address", "127.0.0.1:P1",
			"--peer-mac", "none",
			"--rate", "100Mbit/s", "--overhead", "25%", "--mqtt", "none", "--syslog", "none", "--opcua-channel",
			"opcua", "--opcua-listen", "opc.tcp://127.0.0.1:P2", "--history", "1h", "--users-file", "none", "--it-user",
			"none",
			"--rx-status", "127.0.0.1:P3", "--ntp", "none"}, [][2]string{
			{focus + "File for heliotx", "\r"}, {focus + "File for heliorx", "\r"}, {focus + "Name of the pair",
				"-2\r"},
			{focus + "OPC UA server", "opc.tcp://127.0.0.1:1\r"}, {"Change the address", "\r"},
			{focus + "OPC UA server", "\x15" + opcua + "\r"}, {focus + "Security of", "\r"}, {focus + "User at the",
				"ot\r"},
			{focus + "Password", "secret\r"}, {"Change the login", "\r"}, {focus + "Security of", "\r"},
			{focus + "User at the", "\x15\r"}, {focus + "Another source", "\r"}, {focus + "Status page of TX",
				"\x15127.0.0.1:P4\r"},
			{"Write tx.toml", "\r"},
		}},
		"a dialogue": {"dumb", nil, [][2]string{
			{"[tx.toml]: ", "\r"}, {"[rx.toml]: ", "\r"}, {"[press-hall]: ", "press-hall-2\r"}, {"[host]: ", "1\r"},
			{"[udp]: ", "\r"}, {"[127.0.0.1:17000]: ", "127.0.0.1:P1\r"}, {"MAC address", "x\r"},
			{"it is not a MAC address", "\r"}, {"[100Mbit/s]: ", "\r"},
			{"[25%]: ", "\r"},
			{"OPC UA server", "opc.tcp://127.0.0.1:1\r"}, {"MQTT broker", "\r"}, {"A number [1]: ", "\r"},
			{"[opc.tcp://127.0.0.1:1]: ", opcua + "\r"}, {"Syslog listeners", "\r"}, {"[opcua]: ", "\r"}, {"[None]: ",
				"\r"},
			{"User at the", "ot\r"}, {"Password", "secret\r"}, {"Change the login", "\r"}, {"[None]: ", "\r"},
			{"[ot]: ", "none\r"}, {"[opc.tcp://127.0.0.1:4840]: ", "opc.tcp://127.0.0.1:P2\r"}, {"[30d]: ", "1h\r"},
			{"Users file", "\r"},
			{"User who", "\r"}, {"Another source", ""}, {"A number [1]: ", "4\r"}, {"[udp://0.0.0.0:5514]: ",
				"udp://127.0.0.1:P5\r"},
			{"[syslog]: ", "logs\r"}, {"[tcp://127.0.0.1:5601]: ", "\r"}, {"Another source", ""}, {"A number [1]: ",
				"\r"},
			{"[127.0.0.1:9464]: ", "127.0.0.1:P4\r"}, {"[127.0.0.1:9465]: ", "127.0.0.1:P3\r"}, {"NTP", "\r"},
			{"A number",
				"1\r"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", c.terminal)
			t.Chdir(t.TempDir())
			s := newScreen(t)
			free := ports(t)
			for n, arg := range c.args {
				c.args[n] = free.Replace(arg)
			}
			code := s.init(c.args...)
			for _, k := range c.keys {
				s.types(free.Replace(k[0]), free.Replace(k[1]))
			}
			if got := await.Receive(t, "its end", code); got != 0 {
				t.Fatal(got, s.shown.String())
			}
			s.types("Next:", "")
			if both := laid(t, boards.Board{}, 1); both.TX.Pair != "press-hall-2" || both.TX.OPCUA[0].Username != "" {
				t.Errorf("%+v", both.TX)
			} else if logs := both.TX.Syslog; name == "a dialogue" && (len(logs) != 1 || logs[0].Channel != "logs") {
				t.Errorf("got %+v, want the listeners of the second source", logs)
			}
			if shown := s.shown.String(); strings.Contains(shown, "secret") ||
				strings.Contains(shown, "What is in the plant: opc.tcp://127.0.0.1:1\r") {
				t.Errorf("it shows the password, or keeps an address that was given up: %q", shown)
			}
		})
	}
}

func TestInitAsksAgainWhatCannotBe(t *testing.T) {
	const both = "--offline --tx tx.toml --rx rx.toml --pair p --board host --medium udp --address 127.0.0.1:P1 " +
		"--peer-mac none --rate 1Mbit/s --overhead 25% --opcua none --tx-status 127.0.0.1:P4 --ntp none "
	for name, c := range map[string]struct {
		args string
		keys [][2]string
		code int
	}{
		"a users file that exists": {"--mqtt mqtt://x --syslog none --mqtt-channel m --mqtt-topics # " +
			"--mqtt-user none --mqtt-to none --mqtt-listen mqtt://127.0.0.1:P2 --users-file none " +
			"--it-user ann --rx-status none",
			[][2]string{{"Password", "secret\r"}, {"users exists already", ""}, {"use it with --users-file", ""},
				{"Users file of RX", "other\r"}, {"file not found: other", "\r"}, {"[ann]: ", "none\r"},
				{"anyone could read", "\x04"}}, 1},
		"a port of both sides": {"--mqtt none --syslog tcp://127.0.0.1:P3 --syslog-channel s " +
			"--syslog-to tcp://127.0.0.1:5601",
			[][2]string{{"A number", "\r"}, {"[127.0.0.1:9465]: ", "127.0.0.1:P3\r"}, {`--rx-status "127.0.0.1:P3": `,
				""},
				{"[127.0.0.1:P3]: ", "127.0.0.1:P5\r"}, {"A number", "1\r"}, {"wrote", ""}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", "dumb")
			t.Chdir(t.TempDir())
			if err := os.WriteFile("users", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s := newScreen(t)
			free := ports(t)
			code := s.init(strings.Fields(free.Replace(both + c.args))...)
			for _, k := range c.keys {
				s.types(free.Replace(k[0]), free.Replace(k[1]))
			}
			if got := await.Receive(t, "its end", code); got != c.code {
				t.Error(got)
			}
		})
	}
}

func TestInitThatIsStoppedWritesNothing(t *testing.T) {
	for terminal, shown := range map[string]string{"xterm": "File for heliotx", "dumb": "[tx.toml]: "} {
		t.Run(terminal, func(t *testing.T) {
			t.Setenv("TERM", terminal)
			t.Chdir(t.TempDir())
			s := newScreen(t)
			code := s.init()
			s.types(shown, map[string]string{"xterm": "\x03", "dumb": "\x04"}[terminal])
			if got := await.Receive(t, "its end", code); got != 1 {
				t.Error(got)
			}
			s.types("stopped: nothing was written", "")
			if written, _ := os.ReadDir("."); len(written) > 0 {
				t.Error(written)
			}
		})
	}
}

func TestInitFailsWhenItCannotSayWhatComesNext(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("not proved: a full disk behind stdout, because %v", err)
	}
	defer full.Close()
	for _, flag := range []string{"--yes", "--json"} {
		t.Chdir(t.TempDir())
		var said bytes.Buffer
		code := run(t.Context(), []string{"init", "--offline", flag}, os.Stdin, full, &said)
		if code != 1 || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%s: %d %s", flag, code, &said)
		}
	}
}
