package qemu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/tools/console"
)

// TestReceiverSendsNothingFromPowerOnOn has a line talk to RX from before its kernel
// starts until its role works: not one byte comes back, by the file that takes them and
// by the count of RX's own port. Between the opening of a port and its setting the kernel
// echoes, unless that is prevented.
func TestReceiverSendsNothingFromPowerOnOn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy"} {
		need(t, name)
	}
	wire := filepath.Join(t.TempDir(), "wire")
	if err := unix.Mkfifo(wire+".in", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wire+".out", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	card := build(t, "rx", common+"[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://10.0.2.2:601\"\n")
	noise(t, wire+".in")
	m := boot(t, card, wiring{status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)), link: "pipe,path=" + wire})
	m.shows(t, "msg=starting program=heliorx", 1)
	port, err := console.Open(m.cable(t))
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	m.until(t, "a self-test that knows of characters received", func() error {
		return selfTested(port, "pass        the link's port keeps up with its rate: ")
	})
	const silent = "pass        the link's port has worked in one direction only: 0 characters sent, "
	if err := selfTested(port, silent); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(wire + ".out"); len(got) != 0 || err != nil {
		t.Errorf("RX put %d bytes on the link, %v; want none; they begin with %q", len(got), err,
			got[:min(len(got), 100)])
	}
}

// noise puts random bytes on a wire until the test ends, about as many as a port at
// 115200 baud carries.
func noise(t *testing.T, wire string) {
	t.Helper()
	f, err := os.OpenFile(wire, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { stop(); f.Close(); <-ended })
	go func() {
		defer close(ended)
		source, b := rand.NewChaCha8([32]byte{}), make([]byte, 115)
		for ctx.Err() == nil {
			_, _ = source.Read(b)
			if _, err := f.Write(b); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond) // the pace of the line
		}
	}()
}
