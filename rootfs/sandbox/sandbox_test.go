package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
)

func TestWhatTheRoleIsLeftWith(t *testing.T) {
	root(t)
	s := spec(folder(t), Transmit, newWire(t, "socket", "").near)
	s.Arguments = []string{"status"}
	s.Environment = []string{"TZ=UTC"}
	c, err := command(s)
	if err != nil {
		t.Fatal(err)
	}
	// What PID 1 has open, and forgot to mark, stays with PID 1.
	forgotten, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer forgotten.Close()
	c.ExtraFiles = append(c.ExtraFiles, forgotten)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = c.Wait() }()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "running\n" {
		t.Fatalf("the role said %q, %v; want that it runs", line, err)
	}
	proc := fmt.Sprintf("/proc/%d/", c.Process.Pid)
	status := string(read(t, proc+"status"))
	for _, want := range []string{
		"Uid:\t31337\t31337\t31337\t31337\n", "Gid:\t31337\t31337\t31337\t31337\n", "Groups:\t \n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	limits := strings.Join(strings.Fields(string(read(t, proc+"limits"))), " ")
	for _, want := range []string{"core file size 0 0", "open files 256 256", "processes 512 512",
		"locked memory 0 0"} {
		if !strings.Contains(limits, want) {
			t.Errorf("limits lack %q: %s", want, limits)
		}
	}
	if _, err := os.Readlink(proc + "fd/4"); err == nil {
		t.Error("descriptor 4 was handed down, want 0 to 3 alone")
	}
	if got := string(read(t, proc+"environ")); got != "TZ=UTC\x00" {
		t.Errorf("environment %q, want TZ=UTC alone", got)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAStageThatCannotFinishRunsNothing(t *testing.T) {
	root(t)
	for name, spoil := range map[string]func(s *Spec){
		"no program":             func(s *Spec) { s.Program = bench + "/missing" },
		"no state folder":        func(s *Spec) { s.State += "/missing" },
		"too many files":         func(s *Spec) { s.Files = 1 << 40 }, // past fs.nr_open
		"a program that is text": func(s *Spec) { s.Program = s.Read[0] },
	} {
		s := spec(folder(t), Transmit, newWire(t, "socket", "").near)
		s.Arguments = []string{"work", s.State, s.Read[0]}
		spoil(&s)
		c, err := command(s)
		if err != nil {
			t.Fatal(err)
		}
		var problems bytes.Buffer
		c.Stderr = &problems
		_ = c.Run()
		if got := c.ProcessState.ExitCode(); got != Failed || strings.Count(problems.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, %q; want %d and one line", name, got, &problems, Failed)
		}
	}
}

func TestAStandardStreamThatIsASocketIsRefused(t *testing.T) {
	root(t)
	s := spec(folder(t), Transmit, newWire(t, "socket", "").near)
	s.Arguments = []string{"work", s.State, s.Read[0]}
	c, err := command(s)
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout = newWire(t, "socket", "").near
	_ = c.Run()
	if got := c.ProcessState.ExitCode(); got != Failed {
		t.Errorf("exit code %d, want %d", got, Failed)
	}
}

func TestCommandRefusesWhatIsNoSandbox(t *testing.T) {
	good := Spec{Program: "/role", Direction: Receive, UID: 1, GID: 1, State: "/state", Files: 1, Threads: 1}
	for name, spoil := range map[string]func(s *Spec){
		"program that depends on where it runs": func(s *Spec) { s.Program = "role" },
		"state folder that does":                func(s *Spec) { s.State = "state" },
		"path that does":                        func(s *Spec) { s.Read = []string{"config"} },
		"no direction":                          func(s *Spec) { s.Direction = 0 },
		"root":                                  func(s *Spec) { s.UID = 0 },
		"root's group":                          func(s *Spec) { s.GID = 0 },
		"no limit of files":                     func(s *Spec) { s.Files = 0 },
		"no limit of threads":                   func(s *Spec) { s.Threads = 0 },
	} {
		s := good
		spoil(&s)
		if err := s.check(); err == nil {
			t.Errorf("%s: accepted, want an error", name)
		}
	}
	if err := good.check(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if _, err := Command(good); err == nil {
		t.Error("no link: accepted, want an error")
	}
}

func TestLinksThatTurnRoundAreRefused(t *testing.T) {
	dir := t.TempDir()
	open := func(path string, mode int) *os.File {
		f, err := os.OpenFile(path, mode|unix.O_NOCTTY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	device := func() string { _, path := drivertest.OpenPTY(t); return path }
	must := func(f *os.File, err error) *os.File {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	tx, _, err := uart.OpenTransmitterFile(device(), 9600)
	uartTX := must(tx, err)
	rx, _, err := uart.OpenReceiverFile(device(), 9600)
	uartRX := must(rx, err)
	udpTX, udpRX := must(udp.DialFile("127.0.0.1:9")), must(udp.ListenFile("127.0.0.1:0"))
	for _, c := range []struct {
		name   string
		link   *os.File
		tx, rx bool
	}{
		{"UART of a transmitter", uartTX, true, false},
		{"UART of a receiver", uartRX, false, true},
		{"UART open both ways", open(device(), os.O_RDWR), false, false},
		{"UDP of a transmitter", udpTX, true, true}, // receives nothing, which is not a danger
		{"UDP of a receiver", udpRX, false, true},
		{"Unix socket", newWire(t, "socket", "").near, false, false},
		{"pipe", newWire(t, "pipe", "").near, false, false},
		{"file", open(filepath.Join(dir, "file"), os.O_WRONLY), false, false},
		{"nothing", nil, false, false},
	} {
		for d, want := range map[Direction]bool{Transmit: c.tx, Receive: c.rx} {
			if err := CheckLink(c.link, d); (err == nil) != want {
				t.Errorf("%s, direction %d: %v, want accepted: %v", c.name, d, err, want)
			}
		}
	}
}
