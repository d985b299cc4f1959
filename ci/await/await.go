// Package await waits in tests for what another process or goroutine does, and
// finds free ports. It imports nothing of this module, so that every test can use
// it. It refuses to make a test pass or fail by the speed of the machine: a bound
// ends a test that hangs, and is never what a test measures.
package await

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// Bound is how long True and NoError wait: many times what anything here takes on
// a machine that is three times busier than usual.
const Bound = 2 * time.Minute

const poll = 5 * time.Millisecond

// True waits until ok returns true, or ends the test, naming what did not happen.
func True(t testing.TB, what string, ok func() bool) {
	t.Helper()
	NoError(t, what, func() error {
		if !ok() {
			return fmt.Errorf("not so after %v", Bound)
		}
		return nil
	})
}

// NoError waits until f returns nil, or ends the test with f's last error.
func NoError(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(Bound)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(poll)
	}
}

// FreePort returns a TCP port of loopback that was free a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// FreeAddress returns "127.0.0.1:PORT" with a free port.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}
