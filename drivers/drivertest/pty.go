// Package drivertest stands in for link hardware in tests. It refuses to be
// linked into a role: it needs a testing.TB.
package drivertest

import (
	"os"
	"testing"

	"github.com/creack/pty"
)

// OpenPTY returns the far side of a pseudo terminal and the path of the near one.
func OpenPTY(t testing.TB) (master *os.File, slavePath string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatalf("drivertest: opening a pty: %v", err)
	}
	t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	return master, slave.Name()
}
