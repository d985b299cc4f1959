// Package mosquitto starts a mosquitto for tests, on a free port of loopback, with
// the limits that Debian ships unless the test says otherwise. A test whose machine
// has none is skipped, and says what it does not prove.
package mosquitto

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
)

// Persistent makes a broker keep its sessions and retained messages when it is
// killed, each change at once.
const Persistent = "persistence true\nautosave_interval 1\nautosave_on_changes true\n"

// Broker is a mosquitto. It ends with its test.
type Broker struct {
	Address string // 127.0.0.1:PORT

	t             testing.TB
	program       string
	folder        string
	configuration string
	process       *os.Process // nil while it does not run
	ended         chan struct{}
}

// Start starts a broker with further lines of configuration; proves is what the
// test shows with it.
func Start(t testing.TB, proves, lines string) *Broker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // not in everyone's PATH
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("not proved: %s, because mosquitto is not installed", proves)
	}
	b := &Broker{t: t, program: path, folder: t.TempDir(), Address: await.FreeAddress(t)}
	b.configuration = Configure(t, b.folder, b.Address, lines)
	b.Run()
	t.Cleanup(b.Kill)
	return b
}

// Configure writes a configuration into a folder, in which the broker also saves,
// and returns its path.
func Configure(t testing.TB, folder, address, lines string) (path string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence_location %s/\n%s\n", port, host, folder,
		lines)
	if os.Getuid() == 0 {
		text = "user root\n" + text // another user has no right to the folder
	}
	path = filepath.Join(folder, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Run starts the broker again after Kill, on the same address.
func (b *Broker) Run() {
	b.t.Helper()
	var output bytes.Buffer
	command := exec.Command(b.program, "-c", b.configuration)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	b.process, b.ended = command.Process, ended
	go func() { defer close(ended); _ = command.Wait() }()
	await.NoError(b.t, "mosquitto listens", func() error {
		select {
		case <-ended:
			b.t.Fatalf("mosquitto ended: %s", &output)
		default:
		}
		c, err := net.Dial("tcp", b.Address)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// Kill ends the broker at once, as a power cut does.
func (b *Broker) Kill() {
	if b.process != nil {
		_ = b.process.Kill()
		<-b.ended
		b.process = nil
	}
}

// URL returns the broker's address as the configuration has it.
func (b *Broker) URL() string { return "mqtt://" + b.Address }

// Saved reports whether what the broker has on disk contains all these words.
func (b *Broker) Saved(words ...string) bool {
	db, err := os.ReadFile(filepath.Join(b.folder, "mosquitto.db"))
	for _, w := range words {
		if err != nil || !bytes.Contains(db, []byte(w)) {
			return false
		}
	}
	return true
}

// Port returns the broker's port.
func (b *Broker) Port() string { return b.Address[strings.LastIndexByte(b.Address, ':')+1:] }
