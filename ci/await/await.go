// Package await waits in tests for what another process or goroutine does, and
// finds free ports. It imports nothing of this module but ci/freeport, so that every
// test can use it. It refuses to make a test pass or fail by the speed of the
// machine: a bound ends a test that hangs, and is never what a test measures.
package await

import (
	"context"
	"fmt"
	"testing"
	"time"

	"heliograph/ci/freeport"
)

// Bound is how long True and NoError wait: many times what anything here takes on
// a machine that is three times busier than usual.
const Bound = 5 * time.Minute

// The pause between two polls grows, so that a long wait leaves the processors to
// what it waits for.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 50 * time.Millisecond
)

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
	Within(t, Bound, what, f)
}

// Within is NoError for what takes longer than Bound.
func Within(t testing.TB, bound time.Duration, what string, f func() error) {
	t.Helper()
	deadline, pause := time.Now().Add(bound), firstPause
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, bound, err)
		}
		time.Sleep(pause)
		pause = min(pause*3/2, lastPause)
	}
}

// Receive returns the next value of c, or ends the test, naming what did not come.
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Bound):
		t.Fatalf("%s: nothing within %v", what, Bound)
		panic("unreachable")
	}
}

// Context returns a context that ends after Bound, or when the test does.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Bound)
	t.Cleanup(cancel)
	return ctx
}

// FreePort returns a port of loopback that was free for TCP and UDP a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// FreeAddress returns "127.0.0.1:PORT" with a free port.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}
